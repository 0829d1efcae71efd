//go:build stack

package e2e_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/swell-sh/swell/shared/openapi"
)

// gitHub is a Git host over TLS with what Swell calls of GitHub's API: statuses of commits, and comments.
type gitHub struct {
	*gitHost
	t  *testing.T
	ca string

	mu       sync.Mutex
	statuses []string
	comments []string
}

const hostToken = "hunter2-of-the-host"

func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	h := &gitHub{gitHost: newGitHost(t), t: t}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != hostToken && r.Header.Get("Authorization") != "Bearer "+hostToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if path, ok := strings.CutPrefix(r.URL.Path, "/api/v3/repos/acme/shop/"); ok {
			h.api(w, r, path)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	h.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Server.Certificate().Raw}))
	return h
}

func (h *gitHub) api(w http.ResponseWriter, r *http.Request, path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var body map[string]string
	if r.Method != http.MethodGet {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	var id int
	commit, isStatus := strings.CutPrefix(path, "statuses/")
	_, changeErr := fmt.Sscanf(path, "issues/comments/%d", &id)
	switch {
	case isStatus && r.Method == http.MethodPost:
		h.statuses = append(h.statuses, commit[:8]+" "+body["state"]+" "+body["context"])
		openapi.Write(w, http.StatusCreated, map[string]any{})
	case path == "issues/7/comments" && r.Method == http.MethodGet:
		openapi.Write(w, http.StatusOK, []any{})
	case path == "issues/7/comments" && r.Method == http.MethodPost:
		h.comments = append(h.comments, body["body"])
		openapi.Write(w, http.StatusCreated, map[string]any{"id": len(h.comments)})
	case changeErr == nil && id >= 1 && id <= len(h.comments) && r.Method == http.MethodPatch:
		h.comments[id-1] = body["body"]
		openapi.Write(w, http.StatusOK, map[string]any{"id": id})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *gitHub) await(what string, found func() bool) {
	h.t.Helper()
	err := poll(h.t.Context(), 6*time.Minute, func() (bool, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return found(), nil
	})
	if err != nil {
		h.t.Fatalf("waiting for %s: %v: statuses %v, comments %v", what, err, h.statuses, h.comments)
	}
}

func (h *gitHub) hasStatus(status string) func() bool {
	return func() bool { return strings.Contains(strings.Join(h.statuses, "\n"), status) }
}

// A pull request gets a plan over all clusters as one comment, and its commit a status; the deploy after its merge, too.
func TestPullRequestIsPlannedAndTold(t *testing.T) {
	t.Parallel()
	host := newGitHub(t)
	a := newApp(t, swell.group, "pull")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	f := follower{app: a, name: unique("source"), kind: "github"}
	must(t, http.StatusCreated, http.MethodPost, "/sources", map[string]any{
		"name": f.name, "kind": "github", "url": host.repository(), "secret": hookSecret, "token": hostToken, "ca": host.ca,
		"rules": []any{map[string]any{"group": a.groupName(), "releaseName": a.name, "branch": "main", "path": "values.yaml"}},
	}, nil)
	forgetAtEnd(t, "/sources/"+f.name)
	commit := host.Commit(map[string]string{"values.yaml": "replicaCount: 1\nmessage: main\n"})
	f.changes(sampleOf(t, "github-push", unique("delivery")))
	about := a.groupName() + "/" + a.name
	host.await("the status of the deploy", host.hasStatus(commit[:8]+" success swell/"+about))

	host.Git("checkout", "-q", "-b", "sale")
	head := host.Commit(map[string]string{"values.yaml": "replicaCount: 2\nmessage: sale\n"})
	r := f.changes(sampleOf(t, "github-pull-request", unique("delivery")))
	if r.Type != openapi.RunTypePlan || r.Origin.PullRequest != 7 || r.Origin.Commit != head {
		t.Errorf("the run is a %s of %+v", r.Type, r.Origin)
	}
	host.await("the plan's status", host.hasStatus(head[:8]+" success swell/plan/"+about))
	host.await("the comment", func() bool {
		return len(host.comments) == 1 && strings.Contains(host.comments[0], "`"+clusterA+"` | upgrade") && strings.Contains(host.comments[0], "spec.replicas`: `1` → `2`")
	})
	next := host.Commit(map[string]string{"values.yaml": "replicaCount: 3\nmessage: sale\n"})
	f.changes(sampleOf(t, "github-pull-request", unique("delivery")))
	host.await("the comment to be updated", func() bool {
		return len(host.comments) == 1 && strings.Contains(host.comments[0], next[:11]) && strings.Contains(host.comments[0], "`1` → `3`")
	})
	wantReplicas(t, clusterA, a.name, 1) // a plan changes nothing
	f.ignored(sampleOf(t, "github-fork", unique("delivery")).named("pull_request"), "comes from another repository")
}

// named is the sample as one of that event of GitHub's.
func (s sample) named(event string) sample {
	s.header["X-GitHub-Event"] = event
	return s
}

// An image pushed to ECR comes by the account's bus.
func TestImageOfECRDeploys(t *testing.T) {
	t.Parallel()
	images := ecr.NewFromConfig(swell.aws)
	repository := unique("acme/shop")
	made, err := images.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: &repository})
	if err != nil {
		t.Fatal(err)
	}
	manifest := `{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, "layers": []}`
	for _, tag := range []string{"1.2.3", "1.10.0", "2.0.0"} {
		if _, err := images.PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: &repository, ImageManifest: aws.String(strings.Replace(manifest, "\"size\": 2", fmt.Sprintf("\"size\": %d", len(tag)), 1)), ImageTag: aws.String(tag)}); err != nil {
			t.Fatal(err)
		}
	}
	account := aws.ToString(made.Repository.RegistryId)
	a := newApp(t, swell.group, "image-ecr")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	f := a.follow("ecr", "https://"+account+".dkr.ecr."+swell.aws.Region+".amazonaws.com", map[string]any{"image": repository, "range": "^1", "valuesPath": "image.tag"})
	raw, err := os.ReadFile(filepath.Join(swell.root, "shared", "source", "testdata", "ecr-push.json"))
	if err != nil {
		t.Fatal(err)
	}
	var event map[string]any
	if err := json.Unmarshal(raw, &event); err != nil {
		t.Fatal(err)
	}
	event["id"], event["account"], event["region"] = unique("event"), account, swell.aws.Region
	event["detail"].(map[string]any)["repository-name"] = repository
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	// The local AWS refuses events of AWS' own sources, as AWS does: the message is put where the rule on the bus puts it.
	queues := sqs.NewFromConfig(swell.aws)
	list, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String("swell-Data-")})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list.QueueUrls, func(url string) bool { return strings.Contains(url, "-Deliveries-") })
	if at < 0 {
		t.Fatalf("there is no queue of deliveries in %v", list.QueueUrls)
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &list.QueueUrls[at], MessageBody: aws.String(string(body))}); err != nil {
		t.Fatal(err)
	}
	d := f.outcome(event["id"].(string))
	if d.Outcome != openapi.DeliveryOutcomeAccepted || len(d.Rules) != 1 {
		t.Fatalf("delivery %+v was not accepted", d)
	}
	if r := ended(t, d.Rules[0].Run, openapi.RunStatusSucceeded); r.Origin.Ref != "1.10.0" {
		t.Errorf("the run's origin is %+v", r.Origin)
	}
}
