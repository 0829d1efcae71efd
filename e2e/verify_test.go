//go:build stack

package e2e_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/webhook"
)

// watched is a cluster in memory whose relay is this test.
type watched struct {
	inMemory
	relaytest.Sender
}

func newWatched(t *testing.T) watched {
	t.Helper()
	c := inMemory{Server: kubetest.New(t, kubetest.Options{}), name: unique("watched")}
	var doc openapi.Cluster
	must(t, http.StatusCreated, http.MethodPost, "/clusters", values{"name": c.name, "kubeconfig": string(c.Kubeconfig()), "relay": values{"enabled": false}}, &doc)
	c.id = doc.ID
	forgetAtEnd(t, "/clusters/"+c.id)
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	key := webhook.KeyOf(secret)
	api, name := secretsmanager.NewFromConfig(swell.aws), relay.KeysName("default", c.id)
	_, err := api.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(string(relay.FormatKeys(key, webhook.Key{})))})
	var exists *smtypes.ResourceExistsException
	if err != nil && !errors.As(err, &exists) {
		t.Fatal(err)
	}
	return watched{c, relaytest.Sender{URL: hooksURL() + "/clusters/" + c.id + "/reports", Keys: []webhook.Key{key}}}
}

func hooksURL() string { return strings.TrimSuffix(swell.url, "/") + "/hooks/v1/orgs/default" }

// report says what became of a release's Deployment, as it stands on the cluster.
func (w watched) report(t *testing.T, a app, state relay.State) {
	t.Helper()
	d := relaytest.Delivery()
	if state != "" {
		o := w.workload(t, a)
		d.Reports = []relay.Report{{ID: unique(string(state)), Namespace: a.name, Release: a.name, Object: o, State: state, SeenAt: time.Now()}}
	}
	if status, err := w.Send(t.Context(), d); err != nil || status != http.StatusAccepted {
		t.Fatalf("the report is answered %d, %v", status, err)
	}
}

func (w watched) workload(t *testing.T, a app) relay.Object {
	t.Helper()
	for _, o := range w.Objects("deployments") {
		meta, _ := o["metadata"].(map[string]any)
		if meta["namespace"] == a.name {
			uid, _ := meta["uid"].(string)
			name, _ := meta["name"].(string)
			generation, _ := meta["generation"].(int64)
			return relay.Object{Kind: "Deployment", Namespace: a.name, Name: name, UID: uid, Generation: generation}
		}
	}
	t.Fatalf("release %s has no Deployment", a.name)
	return relay.Object{}
}

// finish has the Deployment's controller say that it runs.
func (w watched) finish(t *testing.T, a app) {
	t.Helper()
	obj := w.Get("deployments", a.name, w.workload(t, a).Name)
	spec, _ := obj["spec"].(map[string]any)
	meta, _ := obj["metadata"].(map[string]any)
	obj["status"] = map[string]any{
		"observedGeneration": meta["generation"], "replicas": spec["replicas"], "updatedReplicas": spec["replicas"], "readyReplicas": spec["replicas"], "availableReplicas": spec["replicas"],
		"conditions": []any{
			map[string]any{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
			map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
		},
	}
	w.Put(obj)
}

// verifying waits until the run looked at the workloads in vain, and the next look is as it should be.
func verifying(t *testing.T, run, cluster string) {
	t.Helper()
	if err := poll(t.Context(), time.Minute, func() (bool, error) {
		return slices.ContainsFunc(getRun(t, run).Targets, func(target openapi.RunTarget) bool {
			return target.ClusterName == cluster && target.Status == openapi.RunTargetStatusVerifying
		}), nil
	}); err != nil {
		t.Fatalf("waiting for run %s to verify: %v", run, err)
	}
}

func wantLearned(t *testing.T, r openapi.RunDetails, cluster string, by openapi.LearnedBy) {
	t.Helper()
	if got := targetOf(t, r, cluster).LearnedBy; got != by {
		t.Errorf("it was learned by %q, want %q: %s", got, by, describe(r))
	}
}

// A deployment is done when its workloads run: the relay's report ends the wait, whether it comes after the task that waits for it or before; a relay that
// says nothing is not waited for.
func TestARelayEndsTheWait(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	a := newApp(t, newGroup(t, w.id), "verify")
	demo := pushDemo(t)
	wantLearned(t, a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"replicaCount": 1}}), w.name, openapi.LearnedByLook)

	w.SetReady(false)
	w.report(t, a, "") // its relay is alive
	run := a.update(intent{"values": values{"replicaCount": 2}}).Run
	verifying(t, run, w.name)
	time.Sleep(3 * time.Second) // so long that a poll would have looked again
	looks := w.Count("get", "deployments")
	time.Sleep(3 * time.Second)
	if more := w.Count("get", "deployments") - looks; more > 0 {
		t.Errorf("while the relay is waited for, the cluster was looked at %d times", more)
	}
	w.finish(t, a)
	finished := time.Now()
	w.report(t, a, relay.Complete)
	r := ended(t, run, openapi.RunStatusSucceeded)
	t.Logf("%.1f s from the report to the run's end", time.Since(finished).Seconds())
	wantLearned(t, r, w.name, openapi.LearnedByRelay)
	if got := walkOf(t, "deploy", run); len(got.Targets) != 1 || !strings.Contains(got.Targets[0], "CheckRelease arn:aws:states:::lambda:invoke.waitForTaskToken CheckRelease RecordRelease") {
		t.Errorf("the target went %v", got.Targets)
	}

	// The report is there before the task: nothing of it is lost. It is sent again and again, as soon as there is something to report.
	run = a.update(intent{"values": values{"replicaCount": 3}}).Run
	generation := w.workload(t, a).Generation
	if err := poll(t.Context(), time.Minute, func() (bool, error) { return w.workload(t, a).Generation > generation, nil }); err != nil {
		t.Fatal(err)
	}
	w.finish(t, a)
	w.report(t, a, relay.Complete)
	r = ended(t, run, openapi.RunStatusSucceeded)
	if by := targetOf(t, r, w.name).LearnedBy; by == "" {
		t.Errorf("it is not said how the end was learned: %s", describe(r))
	}
}

// Without a relay, and with one that was never heard, the cluster is looked at again and again, and the run says so.
func TestWithoutARelayItIsPolled(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	a := newApp(t, newGroup(t, w.id), "polled")
	w.SetReady(false)
	run := a.create(intent{"name": pushDemo(t)}).Run
	verifying(t, run, w.name)
	w.finish(t, a)
	wantLearned(t, ended(t, run, openapi.RunStatusSucceeded), w.name, openapi.LearnedByPoll)
}

// A report of a failure has the run end at once where the cluster says so too; a forged one does nothing.
func TestAForgedReportDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	a := newApp(t, newGroup(t, w.id), "forged")
	w.SetReady(false)
	w.report(t, a, "")
	run := a.create(intent{"name": pushDemo(t), "timeoutSeconds": 600}).Run
	verifying(t, run, w.name)
	other := newWatched(t)
	other.URL = w.URL
	o := w.workload(t, a)
	forged := relay.Report{ID: "forged", Namespace: a.name, Release: a.name, Object: o, State: relay.Complete, SeenAt: time.Now()}
	if status, err := other.Send(t.Context(), relaytest.Delivery(forged)); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a report signed with another cluster's key is answered %d, %v", status, err)
	}
	w.report(t, a, "")             // a heartbeat: the task goes on waiting
	w.report(t, a, relay.Complete) // signed, and not true: the cluster is looked at, and not taken for ready
	time.Sleep(3 * time.Second)
	if got := getRun(t, run); over(got.Status) {
		t.Errorf("a report that is not true ended the run: %s", describe(got))
	}
	w.finish(t, a)
	ended(t, run, openapi.RunStatusSucceeded)
}

// What somebody changes on a cluster is seen when its relay says so, not at the next round.
func TestWhatOthersChangeIsLookedAtNow(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	a := newApp(t, newGroup(t, w.id), "touched")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	obj := w.Get("deployments", a.name, w.workload(t, a).Name)
	spec, _ := obj["spec"].(map[string]any)
	spec["replicas"] = int64(7)
	w.Put(obj)
	w.finish(t, a)
	w.report(t, a, relay.Changed)
	if err := poll(t.Context(), 30*time.Second, func() (bool, error) { return a.target(w.name).Status == openapi.TargetStatusDRIFTED, nil }); err != nil {
		t.Errorf("the change is not seen: %v", a.target(w.name))
	}
}
