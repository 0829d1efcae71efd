package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/lease"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

var key = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}

// memory is the store and the keeper of credentials of one release.
type memory struct {
	server     *kubetest.Server
	entry      release.PlanEntry
	relay      cluster.Relay
	reported   watch.Watch
	later      int // how many looks do not find it yet
	wait       watch.Wait
	learnedBy  run.LearnedBy
	release    release.Release
	generation deployment.Generation
	target     run.Target
}

func (m *memory) FindCluster(_ context.Context, org, id string) (cluster.Cluster, error) {
	return cluster.Cluster{Org: org, ID: id, Name: "demo", Relay: m.relay}, nil
}

func (m *memory) FindTarget(_ context.Context, _, _, id string) (run.Target, error) {
	m.target.ClusterID = id
	return m.target, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.target = t
	return nil
}

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}

func (m *memory) FindGeneration(context.Context, string, string, int) (deployment.Generation, error) {
	return m.generation, nil
}

func (m *memory) FindRelease(context.Context, release.Key) (release.Release, error) {
	return m.release, nil
}

func (m *memory) AcquireLease(context.Context, release.Key, string, time.Time, time.Time) (int64, error) {
	m.release.Fence++
	return m.release.Fence, nil
}
func (m *memory) FreeLease(context.Context, release.Key, string, int64) error { return nil }

func (m *memory) SetObserved(_ context.Context, _ release.Key, o release.Observed, _ *release.Observed) (bool, error) {
	m.release.Observed = &o
	return true, nil
}

func (m *memory) SetHealth(_ context.Context, _ release.Key, health release.Health, _ string, _ time.Time) error {
	m.release.Health = health
	return nil
}

func (m *memory) SetFailed(context.Context, release.Key, *release.Observed, string, time.Time) error {
	m.release.Health = release.Unhealthy
	return nil
}

func (m *memory) SetHealthy(_ context.Context, _ release.Key, revision int, _ release.Desired, _ time.Time) error {
	m.release.Health, m.release.Healthy = release.Healthy, revision
	return nil
}

func (m *memory) FindWatch(context.Context, release.Key) (watch.Watch, error) {
	if m.later--; m.later >= 0 {
		return watch.Watch{}, nil
	}
	return m.reported, nil
}

func (m *memory) PutWait(_ context.Context, w watch.Wait) error {
	m.wait = w
	return nil
}

func (m *memory) SetLearnedBy(_ context.Context, _, _, _ string, by run.LearnedBy) error {
	m.learnedBy = by
	return nil
}

func (m *memory) Get(context.Context, string) (secrets.Secret, error) {
	raw, err := m.server.Credential().Marshal()
	return secrets.Of(raw), err
}

func (m *memory) handler() handler {
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return handler{
		store: m, clusters: kube.Opener{Credentials: m, Policy: loopback},
		leases: lease.Holder{Store: m, Log: slog.New(slog.DiscardHandler), Invocation: func(context.Context) string { return "i" }},
	}
}

// apply makes a revision as deploy-release does, and looks at it; age is since when the release was to become ready.
func (m *memory) apply(t *testing.T, h handler, action release.Action, input string, age time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	op := helm.Op{
		Credential: m.server.Credential(), AllowedNetworks: h.clusters.Policy.String(), ReleaseName: key.Name, Namespace: key.Namespace, Action: action,
		Archive: helmtest.Workload().Archive(t), Values: map[string]any{"image": "registry.example/" + input},
		Labels: map[string]string{release.LabelOwner: release.OwnerLabel(m.release.Owner), release.LabelInput: input, release.LabelRun: "r"},
		Fence:  1, StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: 20 * time.Second,
	}
	if _, err := helm.Apply(ctx, op); err != nil {
		t.Fatal(err)
	}
	m.entry = release.PlanEntry{ClusterID: key.ClusterID, ClusterName: "demo", Key: key, InputHash: input, Timeout: 60}
	if age > 0 {
		m.entry.Timeout = -1 // the record's own time counts, too
	}
	m.release.Desired = &release.Desired{RunID: "r", InputHash: input, SetAt: time.Now().Add(-age)}
	_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: "r", Plan: "p", Cluster: key.ClusterID})
	return err
}

func TestTheRevisionThatWasHealthyLastIsRemembered(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	h := m.handler()
	wants := func(err error, code string, health release.Health, healthy int) {
		t.Helper()
		if code == "" && err != nil || code != "" && (err == nil || taskerr.CodeOf(err) != code) {
			t.Errorf("got %v, want %q", err, code)
		}
		if m.release.Health != health || m.release.Healthy != healthy {
			t.Errorf("revision %d was healthy last, and it is %s; want %d and %s", m.release.Healthy, m.release.Health, healthy, health)
		}
	}
	wants(m.apply(t, h, release.Install, "one", 0), "", release.Healthy, 1)
	wants(m.apply(t, h, release.Upgrade, "two", 0), "", release.Healthy, 2)
	m.server.SetReady(false)
	err := m.apply(t, h, release.Upgrade, "three", 0)
	wants(err, "not-ready", release.Progressing, 2)
	var named interface{ ErrorName() string }
	if !errors.As(err, &named) || named.ErrorName() != taskerr.NotReady {
		t.Errorf("the machine does not try again: %v", err)
	}
	wants(m.apply(t, h, release.Upgrade, "four", time.Hour), "not-ready", release.Unhealthy, 2)
	m.server.SetReady(true)
	wants(m.apply(t, h, release.Upgrade, "five", 0), "", release.Healthy, 5)
}
