package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
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
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

var key = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}

// memory is the store, the bucket and the keeper of credentials of one release.
type memory struct {
	server  *kubetest.Server
	archive []byte
	entry   release.PlanEntry
	release release.Release
	phase   run.Phase
}

func (m *memory) FindRun(_ context.Context, org, id string) (run.Run, error) {
	r := run.New(id, run.Deploy, org, "api", "ann", time.Time{}).About("d", "g", key.Name, m.entry.Generation)
	r.Seq, r.Phase = int64(m.entry.Generation), m.phase
	return r, nil
}

func (m *memory) FindDeployment(_ context.Context, org, id string) (deployment.Deployment, error) {
	return deployment.Deployment{Org: org, ID: id, Generation: m.entry.Generation}, nil
}

func (m *memory) FindCluster(_ context.Context, org, id string) (cluster.Cluster, error) {
	return cluster.Cluster{Org: org, ID: id, Name: "demo"}, nil
}

func (m *memory) FindTarget(_ context.Context, _, _, id string) (run.Target, error) {
	return run.Target{ClusterID: id}, nil
}
func (m *memory) UpdateTarget(context.Context, string, string, run.Target) error { return nil }

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}

func (m *memory) FindRelease(context.Context, release.Key) (release.Release, error) {
	return m.release, nil
}

func (m *memory) AcquireLease(context.Context, release.Key, string, time.Time, time.Time) (int64, error) {
	m.release.Fence++
	return m.release.Fence, nil
}
func (m *memory) FreeLease(context.Context, release.Key, string, int64) error { return nil }

func (m *memory) SetDesired(_ context.Context, _ release.Key, _ release.Owner, d release.Desired) error {
	m.release.Desired = &d
	return nil
}

func (m *memory) SetDrift(context.Context, release.Key, release.Drift, *release.Drift) (bool, error) {
	return false, nil
}

func (m *memory) SetObserved(_ context.Context, _ release.Key, o release.Observed, _ *release.Observed) (bool, error) {
	m.release.Observed = &o
	return true, nil
}

func (m *memory) GetChart(context.Context, string, string) ([]byte, error) { return m.archive, nil }

func (m *memory) GetValues(_ context.Context, _, _ string, into any) error {
	*into.(*map[string]any) = map[string]any{"text": m.entry.InputHash}
	return nil
}

func (m *memory) Get(context.Context, string) (secrets.Secret, error) {
	raw, err := m.server.Credential().Marshal()
	return secrets.Of(raw), err
}

func newHandler(t *testing.T) (*memory, handler) {
	t.Helper()
	m := &memory{server: kubetest.New(t, kubetest.Options{}), archive: helmtest.ConfigMaps(1).Archive(t)}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	log := slog.New(slog.DiscardHandler)
	m.release = release.Release{Key: key, Owner: release.OwnedByDeployment("d")}
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return m, handler{
		store: m, objects: m, clusters: kube.Opener{Credentials: m, Policy: loopback}, log: log,
		leases: lease.Holder{Store: m, Log: log, Invocation: func(context.Context) string { return "i" }},
	}
}

// deploy brings the release to a generation, and returns the records that are kept, newest first.
func (m *memory) deploy(t *testing.T, h handler, generation int) []record.Meta {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := m.attempt(ctx, h, generation); err != nil {
		t.Fatal(err)
	}
	return m.history(t, h)
}

// attempt runs the function once for a generation; ctx has its deadline.
func (m *memory) attempt(ctx context.Context, h handler, generation int) error {
	m.entry = release.PlanEntry{ClusterID: key.ClusterID, ClusterName: "demo", Key: key, Generation: generation, InputHash: fmt.Sprintf("input-%d", generation)}
	_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: fmt.Sprintf("run-%d", generation), Plan: "p", Cluster: key.ClusterID})
	return err
}

func (m *memory) history(t *testing.T, h handler) []record.Meta {
	t.Helper()
	client, err := kube.New(m.server.Credential(), h.clusters.Policy)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	history, err := record.HistoryOf(t.Context(), client.Metadata(), record.KeyOf(key))
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// fail marks the newest record as check-release does with one whose pods never got ready.
func (m *memory) fail(t *testing.T, h handler, newest record.Meta) {
	t.Helper()
	client, err := kube.New(m.server.Credential(), h.clusters.Policy)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := record.MarkFailed(t.Context(), client.Kubernetes().CoreV1(), newest, "never ready"); err != nil {
		t.Fatal(err)
	}
}

// Helm takes the newest failed revision for superseded once another is deployed, so statuses do not tell which one was good.
func TestTheLastHealthyRecordSurvivesBadGenerations(t *testing.T) {
	m, h := newHandler(t)
	m.deploy(t, h, 1)
	m.release.Healthy = 1
	const bad = 7
	var kept []record.Meta
	for generation := 2; generation < 2+bad; generation++ {
		kept = m.deploy(t, h, generation)
		m.fail(t, h, kept[0])
	}
	var revisions []int
	for _, meta := range kept {
		revisions = append(revisions, meta.Revision)
	}
	if want := []int{8, 7, 6, 5, 4, 1}; !slices.Equal(revisions, want) {
		t.Errorf("revisions %v are kept, want %v: the newest %d and the healthy one", revisions, want, keepRevisions)
	}

	m.deploy(t, h, 9)
	m.release.Healthy = 9 // a new one is healthy: the old one need not stay
	kept = m.deploy(t, h, 10)
	for generation := 11; generation < 16; generation++ {
		kept = m.deploy(t, h, generation)
	}
	if oldest := kept[len(kept)-1].Revision; oldest != 9 {
		t.Errorf("revision %d is the oldest that is kept, want 9", oldest)
	}
}
