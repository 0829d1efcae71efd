package main

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/watch"
)

// Where the relay is alive and has not said its last word, it is waited for; else the release is looked at again and again.
func TestWhoIsWaitedFor(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	m.server.SetReady(false)
	h := m.handler()
	wants := func(when, input string, action release.Action, name string) {
		t.Helper()
		m.wait = watch.Wait{}
		if got := taskerr.NameOf(m.apply(t, h, action, input, 0)); got != name {
			t.Fatalf("%s: %s, want %s", when, got, name)
		}
		if waits := len(m.wait.Objects) > 0; waits != (name == taskerr.AwaitReport) {
			t.Errorf("%s: it waits for %+v", when, m.wait.Objects)
		}
	}
	wants("no relay was ever heard", "one", release.Install, taskerr.NotReady)
	m.relay = cluster.Relay{HeardAt: time.Now().Add(-relay.SilentAfter)}
	wants("the relay is silent", "two", release.Upgrade, taskerr.NotReady)
	m.relay.HeardAt = time.Now().Add(-relay.Heartbeat - time.Minute)
	wants("the relay is alive, and nothing happened before", "three", release.Upgrade, taskerr.AwaitReport)
	waited := m.wait.Objects[0]
	if waited.UID == "" || waited.Generation == 0 || m.wait.Run != "r" || m.wait.Until.IsZero() || m.wait.Token != "" {
		t.Errorf("it waits for %+v of run %s until %s", waited, m.wait.Run, m.wait.Until)
	}
	report := func(state relay.State, generation int64) {
		waited.Generation = generation
		m.reported.Take([]relay.Report{{ID: string(state), Namespace: key.Namespace, Release: key.Name, Object: waited, State: state, SeenAt: time.Now()}}, time.Now())
	}
	report(relay.Complete, waited.Generation)
	wants("its last word was on a generation before", "four", release.Upgrade, taskerr.AwaitReport)
	report(relay.Failed, m.wait.Objects[0].Generation+1)
	wants("its last word is said, and not believed", "five", release.Upgrade, taskerr.NotReady)
}

// An older last word is never taken for the new: a report is only a reason to look, and what is looked at is the record of this very run.
func TestALastWordIsNotTheCluster(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	h := m.handler()
	if err := m.apply(t, h, release.Install, "one", 0); err != nil {
		t.Fatal(err)
	}
	m.server.SetReady(false)
	m.relay.HeardAt = time.Now()
	if got := taskerr.NameOf(m.apply(t, h, release.Upgrade, "two", 0)); got != taskerr.AwaitReport {
		t.Fatal(got)
	}
	for _, o := range m.wait.Objects {
		m.reported.Take([]relay.Report{{ID: o.Name, Namespace: key.Namespace, Release: key.Name, Object: o, State: relay.Complete, SeenAt: time.Now()}}, time.Now())
	}
	if got := taskerr.NameOf(m.apply(t, h, release.Upgrade, "three", 0)); got == "" || m.release.Healthy != 1 {
		t.Errorf("%q; revision %d is taken for healthy on the relay's word", got, m.release.Healthy)
	}
	if err := m.apply(t, h, release.Upgrade, "four", time.Hour); taskerr.NameOf(err) != taskerr.TargetFailed || m.learnedBy != run.LearnedByLook {
		t.Errorf("%v, learned by %q", err, m.learnedBy)
	}
}
