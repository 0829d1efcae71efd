package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/cluster"
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
	"github.com/swell-sh/swell/shared/workflow"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

var key = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}

// memory is the store, the objects and the keeper of credentials of one release.
type memory struct {
	server  *kubetest.Server
	entry   release.PlanEntry
	release release.Release
	target  run.Target
	held    bool
}

func (m *memory) FindCluster(_ context.Context, org, id string) (cluster.Cluster, error) {
	return cluster.Cluster{Org: org, ID: id, Name: "demo"}, nil
}
func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return m.target, nil
}
func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.target = t
	return nil
}
func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}
func (m *memory) FindRelease(context.Context, release.Key) (release.Release, error) {
	return m.release, nil
}
func (m *memory) AcquireLease(context.Context, release.Key, string, time.Time, time.Time) (int64, error) {
	m.release.Fence++
	m.held = true
	return m.release.Fence, nil
}
func (m *memory) FreeLease(context.Context, release.Key, string, int64) error {
	m.held = false
	return nil
}
func (m *memory) SetFailed(_ context.Context, _ release.Key, o *release.Observed, cause string, _ time.Time) error {
	failed := *o
	failed.Status = "failed"
	m.release.Observed, m.release.Health, m.release.HealthMessage = &failed, release.Unhealthy, cause
	return nil
}
func (m *memory) SetHealthy(_ context.Context, _ release.Key, revision int, _ release.Desired, _ time.Time) error {
	m.release.Health, m.release.Healthy = release.Healthy, revision
	return nil
}
func (m *memory) GetValues(context.Context, string, string, any) error { return nil }
func (m *memory) Get(context.Context, string) (secrets.Secret, error) {
	raw, err := m.server.Credential().Marshal()
	return secrets.Of(raw), err
}

const works = `apiVersion: v1
kind: Pod
metadata:
  name: works
  annotations:
    helm.sh/hook: test
spec:
  restartPolicy: Never
  containers:
    - {name: ask, image: "registry.example/ask:1"}
`

// scene is a release that is deployed and not yet tested.
func scene(t *testing.T) (*memory, func() error) {
	t.Helper()
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{
		Key: key, Owner: release.OwnedByDeployment("d"), Health: release.Progressing,
		Desired: &release.Desired{RunID: "r", InputHash: "h"}, Observed: &release.Observed{Revision: 1, Status: "deployed"},
	}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	policy := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	_, err := helm.Apply(t.Context(), helm.Op{
		Credential: m.server.Credential(), AllowedNetworks: policy.String(), ReleaseName: key.Name, Namespace: key.Namespace, Action: release.Install,
		Archive: helmtest.Workload().With("templates/works.yaml", works).Archive(t),
		Labels:  map[string]string{release.LabelOwner: release.OwnerLabel(m.release.Owner), release.LabelInput: "h", release.LabelRun: "r"},
		Fence:   1, StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.entry = release.PlanEntry{ClusterID: key.ClusterID, ClusterName: "demo", Key: key, InputHash: "h", Tests: 30}
	m.release.Fence = 1
	h := handler{
		store: m, objects: m, clusters: kube.Opener{Credentials: m, Policy: policy},
		leases: lease.Holder{Store: m, Log: slog.New(slog.DiscardHandler), Invocation: func(context.Context) string { return "i" }},
	}
	return m, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: "r", Plan: "p", Cluster: key.ClusterID})
		if m.held {
			t.Error("the lease is still held")
		}
		return err
	}
}

// A release is healthy once its tests have passed, however often they run.
func TestTestsThatPass(t *testing.T) {
	m, handle := scene(t)
	for range 2 {
		if err := handle(); err != nil {
			t.Fatal(err)
		}
	}
	if m.release.Health != release.Healthy || m.release.Healthy != 1 || m.target.Cause != "its chart's tests run" {
		t.Errorf("%+v, %+v", m.release, m.target)
	}
	if n := m.server.Count("create", "pods"); n != 2 {
		t.Errorf("%d tests ran, want 2", n)
	}
}

// A test that fails fails the target with the test's words, and marks the record and the release.
func TestTestThatFails(t *testing.T) {
	m, handle := scene(t)
	m.server.SetReady(false)
	m.server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
			pod := m.server.Get("pods", key.Namespace, "works")
			pod["status"] = map[string]any{"phase": "Failed", "containerStatuses": []any{map[string]any{
				"name": "ask", "state": map[string]any{"terminated": map[string]any{"exitCode": int64(7), "message": "got 500"}},
			}}}
			m.server.Put(pod)
		}
		return nil
	})
	err := handle()
	if taskerr.CodeOf(err) != "test-failed" || taskerr.NameOf(err) != taskerr.TargetFailed || !strings.Contains(err.Error(), "Pod/works") ||
		!strings.Contains(err.Error(), "ended with code 7: got 500") {
		t.Errorf("got %v", err)
	}
	if m.release.Health != release.Unhealthy || m.release.Healthy != 0 || m.release.Observed.Status != "failed" || !strings.Contains(m.release.HealthMessage, "got 500") {
		t.Errorf("%+v", m.release)
	}
	record := m.server.Get("secrets", key.Namespace, "sh.helm.release.v1.web.v1")
	if labels := record["metadata"].(map[string]any)["labels"].(map[string]any); labels["status"] != "failed" || labels[release.LabelInput] != "h" {
		t.Errorf("the record says %v", labels)
	}
}

func TestTestsOfAnothersRelease(t *testing.T) {
	m, handle := scene(t)
	m.entry.InputHash = "another"
	if err := handle(); taskerr.CodeOf(err) != "release-changed" {
		t.Errorf("got %v", err)
	}
	m.release.Desired.RunID = "r2"
	if err := handle(); taskerr.CodeOf(err) != "superseded" {
		t.Errorf("got %v", err)
	}
	if n := m.server.Count("create", "pods"); n != 0 {
		t.Errorf("%d tests ran", n)
	}
}
