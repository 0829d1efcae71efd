//go:build stack

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

const faultyClusters = 2

// unwell is the local AWS with faults before it.
type unwell struct {
	*httptest.Server
	throttled float64 // the share of DynamoDB's calls that are refused
	lost      float64 // the share that is done, and whose answer is lost
	denied    string  // the secret that may not be read

	calls, refused, answersLost, denials atomic.Int64 // of DynamoDB, all three; of Secrets Manager
}

func newUnwell(t *testing.T, endpoint string) *unwell {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	u := &unwell{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := r.Header.Get("X-Amz-Target")
		switch {
		case target == "secretsmanager.GetSecretValue" && u.denied != "":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			if strings.Contains(string(body), u.denied) {
				u.denials.Add(1)
				fault(w, "AccessDeniedException", "User is not authorized to perform: secretsmanager:GetSecretValue")
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		case strings.HasPrefix(target, "DynamoDB_"):
			u.calls.Add(1)
			if rand.Float64() < u.throttled {
				u.refused.Add(1)
				fault(w, []string{"ProvisionedThroughputExceededException", "ThrottlingException"}[rand.IntN(2)], "Rate exceeded")
				return
			}
			if rand.Float64() < u.lost {
				u.answersLost.Add(1)
				proxy.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func fault(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws#" + code, "message": message})
}

// rehearsal is a deployment over clusters in memory, walked by the real functions in the order of the machines `deploy` and `roll-out`.
type rehearsal struct {
	*scene
	t        *testing.T
	bench    *bench
	aws      *unwell
	clusters []cluster.Cluster
	servers  []*kubetest.Server
	group    group.Group
	digest   string // of the chart
	workers  map[string]*worker
	tries    map[string]int // of the functions
}

func newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{root: root, work: t.TempDir(), notes: os.Stderr}
	s, err := b.newScene(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close(context.WithoutCancel(t.Context())) })
	r := &rehearsal{scene: s, t: t, bench: b, aws: newUnwell(t, *s.cfg.BaseEndpoint), workers: map[string]*worker{}, tries: map[string]int{}}
	t.Cleanup(r.dismiss)
	for i := range faultyClusters {
		server := kubetest.New(t, kubetest.Options{})
		c, err := s.addCluster(t.Context(), fmt.Sprintf("one-of-%d", i), server.Credential())
		if err != nil {
			t.Fatal(err)
		}
		r.servers, r.clusters = append(r.servers, server), append(r.clusters, c)
	}
	r.group = group.Group{Org: org, ID: id.New(), Name: "many", CreatedAt: time.Now().UTC()}
	for _, c := range r.clusters { // each is in a group of its own so far
		g, err := s.store.FindGroup(t.Context(), org, c.ID)
		if err == nil {
			err = s.store.DeleteGroup(t.Context(), org, c.ID, g.Version)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.group.Members = append(r.group.Members, c.ID)
	}
	if r.group, err = s.store.CreateGroup(t.Context(), r.group); err != nil {
		t.Fatal(err)
	}
	archive, err := configMaps("1.0.0", 0, 3, workload)
	if err != nil {
		t.Fatal(err)
	}
	r.digest = bucket.DigestOf(archive)
	if err := s.objects.PutChart(t.Context(), org, r.digest, archive); err != nil {
		t.Fatal(err)
	}
	return r
}

// dismiss ends the functions' processes: the next ones remember nothing.
func (r *rehearsal) dismiss() {
	for name, w := range r.workers {
		w.kill()
		delete(r.workers, name)
	}
}

// call runs a function once.
func (r *rehearsal) call(function string, in, out any) error {
	r.t.Helper()
	w := r.workers[function]
	if w == nil {
		path, err := r.bench.bootstrap(function)
		if err != nil {
			r.t.Fatal(err)
		}
		if w, err = startWorker(r.t.Context(), path, append(r.environment(), "AWS_ENDPOINT_URL="+r.aws.URL)); err != nil {
			r.t.Fatal(err)
		}
		r.workers[function] = w
	}
	r.tries[function]++
	err := w.invoke(r.t.Context(), in, 90*time.Second)
	if err == nil && out != nil {
		return json.Unmarshal(w.said, out)
	}
	return err
}

// task runs a function as its state does: with the state's attempts, and without its pauses.
func (r *rehearsal) task(function string, in, out any) *functionError {
	r.t.Helper()
	left := map[string]int{taskerr.Internal: 4, taskerr.ClusterUnreachable: 5, taskerr.ReleaseLeased: 60, taskerr.NotReady: 50}
	whatever := map[string]int{"record-release": 6, "evaluate-batch": 5}[function]
	for {
		err := r.call(function, in, out)
		if err == nil {
			return nil
		}
		e, ok := errors.AsType[*functionError](err)
		if !ok {
			r.t.Fatal(err)
		}
		if whatever--; whatever < 0 {
			if left[e.Type]--; left[e.Type] < 0 {
				return e
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// must is a task that ends the run where it fails.
func (r *rehearsal) must(function string, in, out any) {
	r.t.Helper()
	if e := r.task(function, in, out); e != nil {
		r.t.Fatalf("%s: %v", function, e)
	}
}

// deploy admits a generation and walks its run to the end.
func (r *rehearsal) deploy(text string) (run.Run, []run.Target) {
	r.t.Helper()
	ctx := r.t.Context()
	d, err := r.store.FindDeploymentByName(ctx, org, r.group.ID, "web")
	if err != nil {
		d = deployment.Deployment{Org: org, ID: id.New(), GroupID: r.group.ID, ReleaseName: "web", Namespace: "shop", Mode: deployment.Detect}
	}
	values, _, err := r.objects.PutValues(ctx, org, deployment.Values{Common: map[string]any{"text": text}})
	if err != nil {
		r.t.Fatal(err)
	}
	_, admitted, err := r.store.AdmitDeployment(ctx, dynamo.Admission{
		Deployment: d, ExpectedVersion: d.Version, Run: run.New(id.New(), run.Deploy, org, "api", "bench", time.Now().UTC()),
		Generation: deployment.Generation{Org: org, DeploymentID: d.ID, Number: d.Newest + 1, ValuesRef: values, TimeoutSeconds: 60,
			Chart: deployment.Chart{Ref: r.digest, Name: "bench", Version: "1.0.0", Digest: r.digest}, CreatedAt: time.Now().UTC()},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ref := workflow.RunRef{Org: org, Run: admitted.ID}
	r.must("resolve-targets", ref, nil)
	r.must("plan-targets", ref, nil)
	for verdict := (workflow.Verdict{Again: true, Progress: workflow.Progress{RunRef: ref}}); verdict.Again; {
		var batch workflow.Batch
		r.must("next-batch", verdict.Progress, &batch)
		for _, item := range batch.Items {
			r.walk(item)
		}
		r.must("evaluate-batch", batch.Progress, &verdict)
	}
	ended, targets, _, err := r.store.ReadRun(ctx, org, admitted.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return ended, targets
}

// walk is one target's path.
func (r *rehearsal) walk(item workflow.TargetRef) {
	r.t.Helper()
	outcome := workflow.Outcome{TargetRef: item}
	for _, function := range []string{"prepare-release", "deploy-release", "check-release"} {
		if e := r.task(function, item, nil); e != nil {
			cause, err := json.Marshal(map[string]string{"errorType": e.Type, "errorMessage": e.Message})
			if err != nil {
				r.t.Fatal(err)
			}
			outcome.Caught = &taskerr.Caught{Error: e.Type, Cause: string(cause)}
			break
		}
	}
	r.must("record-release", outcome, nil)
}

// check is what the queue has each cluster looked at by; a message that failed comes again.
func (r *rehearsal) check() {
	r.t.Helper()
	for _, c := range r.clusters {
		body, err := json.Marshal(workflow.TargetRef{Org: org, Cluster: c.ID, EverySeconds: 300})
		if err != nil {
			r.t.Fatal(err)
		}
		message := map[string]any{"Records": []any{map[string]any{"messageId": c.ID, "body": string(body)}}}
		for try := 1; ; try++ {
			var answer struct {
				BatchItemFailures []struct{ ItemIdentifier string } `json:"batchItemFailures"`
			}
			if err := r.call("check-cluster", message, &answer); err == nil && len(answer.BatchItemFailures) == 0 {
				break
			} else if try == 3 {
				r.t.Fatalf("the message of cluster %s is in the dead-letter queue: %v", c.Name, err)
			}
		}
	}
}

// wantDeployed: every cluster has as many revisions as it should, one of them deployed, and the text in every object. It is for five revisions: those
// before are pruned.
func (r *rehearsal) wantDeployed(revision int, text string, but ...int) {
	r.t.Helper()
	for i, server := range r.servers {
		if len(but) > 0 && i == but[0] {
			continue
		}
		got := map[string]int{}
		for _, o := range server.Objects("secrets") {
			labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any)
			if labels["owner"] == "helm" {
				got[labels["status"].(string)]++
			}
		}
		if got["deployed"] != 1 || got["superseded"] != revision-1 || len(got) > 2 {
			r.t.Errorf("cluster %d has the records %v, want %d superseded and one deployed", i, got, revision-1)
		}
		maps := server.Objects("configmaps")
		for _, o := range maps {
			if o["data"].(map[string]any)["text"] != text {
				r.t.Errorf("cluster %d: an object says %v, want %s", i, o["data"], text)
			}
		}
		if len(maps) != 3 {
			r.t.Errorf("cluster %d has %d objects", i, len(maps))
		}
	}
}

func (r *rehearsal) wantSucceeded(ended run.Run, targets []run.Target) {
	r.t.Helper()
	for _, target := range targets {
		if target.Status != run.TargetSucceeded {
			r.t.Errorf("target %s ended %s: %s: %s", target.ClusterName, target.Status, target.Code, target.Cause)
		}
	}
	if ended.Status != run.Succeeded || len(targets) != len(r.clusters) {
		r.t.Errorf("the run ended %s with %d targets", ended.Status, len(targets))
	}
}

// DynamoDB refuses 30 % of the calls, or does 10 % of them and loses the answer. The run succeeds, every target has one new revision, and the calls are
// at most three times those of a run in peace.
func TestDynamoDBIsUnwell(t *testing.T) {
	r := newRehearsal(t)
	measure := func(text string, revision int) int64 {
		before := r.aws.calls.Load()
		clear(r.tries)
		ended, targets := r.deploy(text)
		r.wantSucceeded(ended, targets)
		r.wantDeployed(revision, text)
		r.check()
		return r.aws.calls.Load() - before
	}
	measure("first", 1)
	peace := measure("in peace", 2)
	t.Logf("in peace: %d calls, functions %v", peace, r.tries)
	revision := 2
	for _, c := range []struct {
		what            string
		throttled, lost float64
	}{{"throttled", 0.3, 0}, {"answers lost", 0, 0.1}} {
		r.aws.throttled, r.aws.lost = c.throttled, c.lost
		r.aws.refused.Store(0)
		r.aws.answersLost.Store(0)
		revision++
		calls := measure(c.what, revision)
		t.Logf("%s: %d calls, %d refused, %d answers lost, functions %v", c.what, calls, r.aws.refused.Load(), r.aws.answersLost.Load(), r.tries)
		if calls > 3*peace {
			t.Errorf("%s: %d calls, in peace %d", c.what, calls, peace)
		}
	}
}

// Secrets Manager refuses the credential of one cluster: that target says so, the others succeed, and the next run brings it.
func TestSecretsManagerDeniesOne(t *testing.T) {
	r := newRehearsal(t)
	const away = faultyClusters - 1
	r.aws.denied = r.clusters[away].Access.CredentialRef
	ended, targets := r.deploy("first")
	for _, target := range targets {
		if failed := target.ClusterID == r.clusters[away].ID; failed != (target.Status == run.TargetFailed) || failed != (target.Code == "credential-unreadable") {
			t.Errorf("target %s ended %s: %s: %s", target.ClusterName, target.Status, target.Code, target.Cause)
		} else if failed {
			t.Logf("it says: %s: %s (left behind %t)", target.Code, target.Cause, target.LeftBehind)
			if strings.Contains(target.Cause, r.servers[away].Credential().Token) || !strings.Contains(target.Cause, "AccessDenied") || target.LeftBehind {
				t.Errorf("the outcome is %+v", target)
			}
		}
	}
	if ended.Status != run.Partial || r.aws.denials.Load() == 0 || r.servers[away].Writes() > 0 {
		t.Errorf("the run ended %s, %d denials, %d writes", ended.Status, r.aws.denials.Load(), r.servers[away].Writes())
	}
	r.wantDeployed(1, "first", away)
	t.Logf("%d denials, functions %v", r.aws.denials.Load(), r.tries)
	r.aws.denied = ""
	ended, targets = r.deploy("second")
	r.wantSucceeded(ended, targets)
	r.wantDeployed(2, "second", away)
	if n := len(r.servers[away].Objects("configmaps")); n != 3 {
		t.Errorf("the cluster whose credential was denied has %d objects", n)
	}
}
