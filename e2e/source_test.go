//go:build stack

package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/gittest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/webhook"
)

// gitHost serves a real Git repository.
type gitHost struct {
	*httptest.Server
	*gittest.Repository
}

func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	h := &gitHost{Repository: gittest.New(t)}
	h.Server = httptest.NewServer(h.Repository)
	t.Cleanup(h.Close)
	return h
}

func (h *gitHost) repository() string { return h.URL + gittest.Path }

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"

// follower is a source of a test, and the deployment that follows it.
type follower struct {
	app
	name, kind string
}

// follow creates the source; rule is what it says beside the deployment.
func (a app) follow(kind, url string, rule map[string]any) follower {
	a.t.Helper()
	f := follower{app: a, name: unique("source"), kind: kind}
	rule["group"], rule["releaseName"] = a.groupName(), a.name
	must(a.t, http.StatusCreated, http.MethodPost, "/sources", map[string]any{"name": f.name, "kind": kind, "url": url, "secret": hookSecret, "rules": []any{rule}}, nil)
	forgetAtEnd(a.t, "/sources/"+f.name)
	return f
}

// sample is a body as the host sends it, with the headers that say what it is.
type sample struct {
	body   []byte
	header map[string]string
}

func sampleOf(t *testing.T, file, delivery string) sample {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(swell.root, "shared", "source", "testdata", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	event := strings.SplitN(file, "-", 2)[1]
	return sample{body, map[string]string{
		"X-GitHub-Event": strings.ReplaceAll(strings.TrimPrefix(event, "registry-"), "-", "_"), "X-GitHub-Delivery": delivery, "X-Gitlab-Event": event, "Idempotency-Key": delivery,
		"X-Event-Key": map[string]string{"push": "repo:push", "pull-request": "pullrequest:updated"}[event], "X-Request-UUID": delivery,
		"X-Gitea-Event": strings.ReplaceAll(event, "-", "_"), "X-Gitea-Delivery": delivery,
	}}
}

// deliver sends the body as the host does, and answers what was taken.
func (f follower) deliver(s sample, secret string) (int, openapi.DeliveryTaken, error) {
	var taken openapi.DeliveryTaken
	path := "/hooks/v1/orgs/default/sources/" + f.name
	if f.kind == "dockerhub" {
		path += "?token=" + url.QueryEscape(secret)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, swell.url+path, bytes.NewReader(s.body))
	if err != nil {
		return 0, taken, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(s.body)
	sum := hex.EncodeToString(mac.Sum(nil))
	switch f.kind {
	case "github", "ghcr":
		r.Header.Set("X-Hub-Signature-256", "sha256="+sum)
	case "bitbucket":
		r.Header.Set("X-Hub-Signature", "sha256="+sum)
	case "gitea":
		r.Header.Set("X-Gitea-Signature", sum)
	case "gitlab":
		r.Header.Set("X-Gitlab-Token", secret)
	case "harbor":
		r.Header.Set("Authorization", secret)
	case "generic":
		key, err := webhook.ParseKey(secret)
		if err != nil {
			return 0, taken, err
		}
		webhook.Sign(r.Header, webhook.Message{ID: s.header["X-GitHub-Delivery"], At: time.Now()}, s.body, key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, taken, err
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, taken, json.NewDecoder(resp.Body).Decode(&taken)
}

// outcome waits until a delivery was done with.
func (f follower) outcome(id string) openapi.Delivery {
	f.t.Helper()
	var found openapi.Delivery
	err := poll(f.t.Context(), 6*time.Minute, func() (bool, error) {
		var list openapi.DeliveryList
		a, err := swell.send(f.t.Context(), http.MethodGet, "/sources/"+f.name+"/deliveries?limit=500", nil)
		if err == nil {
			err = a.want(http.StatusOK, &list)
		}
		for _, d := range list.Items {
			if d.ID == id {
				found = d
			}
		}
		return !found.EndedAt.IsZero(), err
	})
	if err != nil {
		f.t.Fatalf("waiting for delivery %s: %v: %+v", id, err, found)
	}
	return found
}

// changes delivers and waits for the run that it starts to succeed.
func (f follower) changes(s sample) openapi.RunDetails {
	f.t.Helper()
	status, taken, err := f.deliver(s, hookSecret)
	if err != nil || status != http.StatusAccepted || taken.Repeated {
		f.t.Fatalf("the delivery was answered %d, %+v, %v", status, taken, err)
	}
	d := f.outcome(taken.Delivery)
	if d.Outcome != openapi.DeliveryOutcomeAccepted || len(d.Rules) != 1 || d.Rules[0].Run == "" {
		f.t.Fatalf("delivery %+v was not accepted", d)
	}
	return ended(f.t, d.Rules[0].Run, openapi.RunStatusSucceeded)
}

// ignored delivers and wants nothing to be done, since why.
func (f follower) ignored(s sample, why string) {
	f.t.Helper()
	status, taken, err := f.deliver(s, hookSecret)
	if err != nil || status != http.StatusAccepted {
		f.t.Fatalf("the delivery was answered %d, %+v, %v", status, taken, err)
	}
	if d := f.outcome(taken.Delivery); d.Outcome != openapi.DeliveryOutcomeIgnored || !strings.Contains(d.Why, why) {
		f.t.Errorf("delivery %+v, want it ignored since %q", d, why)
	}
}

// runs are those that the source started.
func (f follower) runs() []openapi.Run {
	f.t.Helper()
	var list openapi.RunList
	must(f.t, http.StatusOK, http.MethodGet, "/runs?trigger=source&deploymentId="+f.get().ID, nil, &list)
	return list.Items
}

// A push to each Git host, by a body as the host sends it, ends in a deployed change whose run says which commit.
func TestPushesDeploy(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"github", "gitlab", "bitbucket", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			host := newGitHost(t)
			a := newApp(t, swell.group, "push-"+kind)
			a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
			f := a.follow(kind, host.repository(), map[string]any{"branch": "main", "path": "deploy/values.yaml", "overrides": "deploy/clusters"})
			commit := host.Commit(map[string]string{"deploy/values.yaml": "replicaCount: 2\nmessage: from " + kind + "\n", "deploy/clusters/" + clusterB + ".yaml": "replicaCount: 3\n"})

			push := sampleOf(t, kind+"-push", unique("delivery"))
			r := f.changes(push)
			if r.Origin.Source != f.name || string(r.Origin.Kind) != kind || r.Origin.Commit != commit || r.Origin.Ref != "refs/heads/main" || r.Origin.Repository != "acme/shop" {
				t.Errorf("the run's origin is %+v, want commit %s", r.Origin, commit)
			}
			if r.Trigger != openapi.RunTriggerSource || r.Actor != "source/"+f.name {
				t.Errorf("the run was started by %s of %s", r.Trigger, r.Actor)
			}
			wantReplicas(t, clusterA, a.name, 2)
			wantReplicas(t, clusterB, a.name, 3)
			if out, code := cli(t, "run", "show", r.ID); code != 0 || !strings.Contains(out, "commit "+commit) {
				t.Errorf("swell run show answers %d without the commit:\n%s", code, out)
			}

			if status, taken, err := f.deliver(push, hookSecret); err != nil || status != http.StatusAccepted || !taken.Repeated {
				t.Errorf("the same delivery again: %d, %+v, %v", status, taken, err)
			}
			if status, _, err := f.deliver(sampleOf(t, kind+"-push", unique("forged")), strings.Replace(hookSecret, "M", "N", 1)); err != nil || status != http.StatusUnauthorized {
				t.Errorf("a forged delivery: %d, %v", status, err)
			}
			f.ignored(sampleOf(t, kind+"-push", unique("late")), commit+" is deployed")
			host.Commit(map[string]string{"README.md": "another file"})
			f.ignored(sampleOf(t, kind+"-push", unique("other")), "is as it was deployed")
			if runs := f.runs(); len(runs) != 1 {
				t.Errorf("%d runs were started, want 1", len(runs))
			}
		})
	}
}

// The chart can stand in the repository, and tags can be followed.
func TestTagDeploysItsChart(t *testing.T) {
	t.Parallel()
	host := newGitHost(t)
	a := newApp(t, swell.group, "tag")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	f := a.follow("github", host.repository(), map[string]any{"tag": "v*", "chartPath": "chart"})
	files := map[string]string{}
	root := filepath.Join(swell.root, "charts", "demo")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		files[filepath.Join("chart", name)] = strings.Replace(string(raw), "message: Hello from Swell.", "message: Hello from a tag.", 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	commit := host.Commit(files)
	host.Git("tag", "v1.10.0")
	host.Git("tag", "v1.2.0")
	host.Git("tag", "newest")
	r := f.changes(sampleOf(t, "github-push", unique("delivery")).of("refs/heads/main", "refs/tags/v1.2.0"))
	if r.Origin.Ref != "refs/tags/v1.10.0" || r.Origin.Commit != commit {
		t.Errorf("the run's origin is %+v, want the highest tag", r.Origin)
	}
	if got := messageOf(t, clusterA, a.name); got != "Hello from a tag." {
		t.Errorf("the chart of the repository says %q", got)
	}
}

// of is the sample with a text in place of another.
func (s sample) of(old, text string) sample {
	s.body = []byte(strings.Replace(string(s.body), old, text, 1))
	return s
}

// An image's tag becomes a value: the highest in the range that the registry itself lists.
func TestImagesDeploy(t *testing.T) {
	t.Parallel()
	for kind, file := range map[string]string{"dockerhub": "dockerhub-push", "ghcr": "ghcr-package", "harbor": "harbor-push", "generic": "generic-image"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			host := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			t.Cleanup(host.Close)
			tag := func(tags ...string) {
				for _, tag := range tags {
					ref, err := name.ParseReference(host.Listener.Addr().String() + "/acme/shop:" + tag)
					if err == nil {
						err = remote.Write(ref, empty.Image)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			a := newApp(t, swell.group, "image-"+kind)
			a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"replicaCount": 2}})
			f := a.follow(kind, host.URL, map[string]any{"image": "acme/shop", "range": "^1", "valuesPath": "image.tag"})

			tag("1.2.3", "1.10.0", "2.0.0", "latest")
			r := f.changes(sampleOf(t, file, unique("delivery")))
			if r.Origin.Ref != "1.10.0" || r.Origin.Repository != "acme/shop" || r.Origin.Commit != "" {
				t.Errorf("the run's origin is %+v", r.Origin)
			}
			got, _ := a.get().Values["image"].(map[string]any)
			if got["tag"] != "1.10.0" || fmt.Sprint(a.get().Values["replicaCount"]) != "2" {
				t.Errorf("the values are %v", a.get().Values)
			}
			tag("1.9.0")
			f.ignored(sampleOf(t, file, unique("late")).of("1.2.3", "1.9.0"), "1.10.0 is deployed")
			if status, _, err := f.deliver(sampleOf(t, file, unique("forged")).of("1.2.3", "9.9.9"), strings.Replace(hookSecret, "M", "N", 1)); err != nil || status != http.StatusUnauthorized {
				t.Errorf("a forged delivery: %d, %v", status, err)
			}
		})
	}
}

// A thousand deliveries of one change, repeated and out of order, a hundred at once: one run.
func TestThousandDeliveriesOneRun(t *testing.T) {
	t.Parallel()
	const deliveries, atOnce, distinct = 1000, 100, 20 // the local AWS hands a function one message at a time
	host := newGitHost(t)
	a := newApp(t, swell.group, "thousand")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	f := a.follow("github", host.repository(), map[string]any{"branch": "main", "path": "values.yaml"})
	older := host.Commit(map[string]string{"values.yaml": "message: older\n"})
	newest := host.Commit(map[string]string{"values.yaml": "message: newest\n"})
	ids := make([]string, distinct)
	for i := range ids {
		ids[i] = unique("delivery")
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for n := range deliveries {
		group.Go(func() error {
			s := sampleOf(t, "github-push", ids[n%distinct])
			if n%2 == 0 {
				s = s.of("0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", older)
			}
			status, _, err := f.deliver(s, hookSecret)
			if err == nil && status != http.StatusAccepted {
				err = fmt.Errorf("delivery %d was answered %d", n, status)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	outcomes := map[openapi.DeliveryOutcome]int{}
	for _, id := range ids {
		outcomes[f.outcome(id).Outcome]++
	}
	runs := f.runs()
	if len(runs) != 1 || outcomes[openapi.DeliveryOutcomeFailed] != 0 {
		t.Fatalf("%d runs, outcomes %v; want one run, and no failure", len(runs), outcomes)
	}
	if r := ended(t, runs[0].ID, openapi.RunStatusSucceeded); r.Origin.Commit != newest {
		t.Errorf("the run is of commit %s, want the newest %s", r.Origin.Commit, newest)
	}
	t.Logf("%d deliveries of %d ids: outcomes %v", deliveries, distinct, outcomes)
}
