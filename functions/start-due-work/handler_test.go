package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// memory is the table, Step Functions and the queue.
type memory struct {
	groupsInMemory
	clusters []cluster.Cluster
	runs     []run.Run
	targets  map[string][]run.Target
	machines map[string]bool // by name: whether it is alive
	broken   string          // the machine of which nothing can be learnt

	turns    map[string]run.Turn // by run
	head     deployment.Deployment
	woken    []string
	sent     []workflow.TargetRef
	started  []string
	deferred map[string]time.Time
	ended    map[string]string
}

func (m *memory) ClaimDueClusters(context.Context, time.Time, int) ([]cluster.Cluster, error) {
	due := m.clusters
	m.clusters = nil
	return due, nil
}

func (m *memory) DueRuns(context.Context, time.Time, int) ([]run.Run, error) { return m.runs, nil }

func (m *memory) DeferRun(_ context.Context, _, id string, until time.Time) error {
	m.deferred[id] = until
	return nil
}

func (m *memory) FindTurn(_ context.Context, _, id string) (run.Turn, bool, error) {
	turn, ok := m.turns[id]
	return turn, ok, nil
}

func (m *memory) FindDeployment(context.Context, string, string) (deployment.Deployment, error) {
	return m.head, nil
}

func (m *memory) Wake(_ context.Context, token string) error {
	m.woken = append(m.woken, token)
	return nil
}

func (m *memory) ListTargets(_ context.Context, _, id string) ([]run.Target, error) {
	return slices.Clone(m.targets[id]), nil
}

func (m *memory) UpdateTarget(_ context.Context, _, id string, target run.Target) error {
	for i, t := range m.targets[id] {
		if t.ClusterID == target.ClusterID {
			m.targets[id][i] = target
		}
	}
	return nil
}

func (m *memory) FinishRun(_ context.Context, of run.Run, status run.Status, code, _ string, _ time.Time) (run.Run, error) {
	m.ended[of.ID] = string(status) + " " + code
	return run.Run{}, nil
}

func (m *memory) Start(_ context.Context, machine, name string, _ any) error {
	m.started = append(m.started, machine+" "+name)
	return nil
}

func (m *memory) Alive(_ context.Context, _, name string) (alive, known bool, err error) {
	if name == m.broken {
		return false, false, errors.New("boom")
	}
	alive, known = m.machines[name]
	return alive, known, nil
}

func (m *memory) Send(_ context.Context, body any) error {
	ref, ok := body.(workflow.TargetRef)
	if !ok {
		return errors.New("not what check-cluster takes")
	}
	m.sent = append(m.sent, ref)
	return nil
}

func tick(t *testing.T, m *memory) error {
	t.Helper()
	m.deferred, m.ended = map[string]time.Time{}, map[string]string{}
	h := handler{store: m, machines: m, waiters: m, checks: m, log: slog.New(slog.DiscardHandler), now: func() time.Time { return noon }, newID: func() string { return "new" }}
	_, err := h.handle(t.Context(), struct{}{})
	return err
}

func TestDueClustersAreSent(t *testing.T) {
	m := &memory{clusters: []cluster.Cluster{{Org: "o", ID: "a"}, {Org: "p", ID: "b"}}}
	m.kept = map[string][]group.Group{"o": {{Members: []string{"a"}, Reconcile: group.Reconcile{Every: time.Hour}}}}
	if err := tick(t, m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]workflow.TargetRef{{Org: "o", Cluster: "a", EverySeconds: 3600}, {Org: "p", Cluster: "b", EverySeconds: 300}}, m.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSweep(t *testing.T) {
	m := &memory{
		runs: []run.Run{
			{Org: "o", ID: "unknown", Type: run.Deploy, Status: run.Pending}, {Org: "o", ID: "never", Type: run.Remove, Status: run.Pending},
			{Org: "o", ID: "alive", Type: run.Deploy, Status: run.Running}, {Org: "o", ID: "dead", Type: run.Deploy, Status: run.Running},
		},
		machines: map[string]bool{"alive": true, "dead": false},
		broken:   "unknown",
		targets: map[string][]run.Target{"dead": {
			{ClusterID: "a", Status: run.TargetSucceeded}, {ClusterID: "b", Status: run.TargetDeploying}, {ClusterID: "c", Status: run.TargetWaiting},
		}},
	}
	if err := tick(t, m); err == nil {
		t.Error("a fault is not told")
	}
	again := noon.Add(dynamo.SweepAgainAfter)
	got := []any{m.started, m.deferred, m.ended}
	want := []any{[]string{"remove-deployment never"}, map[string]time.Time{"never": again, "alive": again}, map[string]string{"dead": "Failed machine-died"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("started, deferred, ended (-want +got):\n%s", diff)
	}
	const code, cause = "machine-died", "the run's state machine ended without recording how"
	targets := []run.Target{
		{ClusterID: "a", Status: run.TargetSucceeded},
		{ClusterID: "b", Status: run.TargetFailed, Code: code, Cause: cause, LeftBehind: true, EndedAt: noon},
		{ClusterID: "c", Status: run.TargetFailed, Code: code, Cause: cause, EndedAt: noon},
	}
	if diff := cmp.Diff(targets, m.targets["dead"]); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}
