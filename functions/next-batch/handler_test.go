package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type memory struct {
	run        run.Run
	deployment deployment.Deployment
	generation deployment.Generation
	targets    []run.Target
	releases   map[release.Key]release.Release
	entries    map[string]release.PlanEntry // by planHash
	gates      map[string]run.Gate
}

func (m *memory) OpenGate(_ context.Context, _, _ string, g run.Gate) error {
	if m.gates == nil {
		m.gates = map[string]run.Gate{}
	}
	if _, ok := m.gates[g.Wave]; !ok {
		m.gates[g.Wave] = g
	}
	return nil
}

func (m *memory) ListGates(context.Context, string, string) (map[string]run.Gate, error) {
	return m.gates, nil
}

func (m *memory) FindReleases(_ context.Context, keys []release.Key) (map[release.Key]release.Release, error) {
	found := map[release.Key]release.Release{}
	for _, k := range keys {
		if rel, ok := m.releases[k]; ok {
			found[k] = rel
		}
	}
	return found, nil
}

func (m *memory) RecheckTarget(_ context.Context, _, _ string, t run.Target) error {
	t.SucceededAt, t.Status = t.EndedAt, run.TargetVerifying
	*m.target(t.ClusterID) = t
	return nil
}

func (m *memory) RevertTarget(_ context.Context, _, _ string, t run.Target) error {
	*m.target(t.ClusterID) = t
	return nil
}

func (m *memory) target(cluster string) *run.Target {
	return &m.targets[slices.IndexFunc(m.targets, func(t run.Target) bool { return t.ClusterID == cluster })]
}

func (m *memory) FindPlanEntry(_ context.Context, _, hash, _ string) (release.PlanEntry, error) {
	entry, ok := m.entries[hash]
	if !ok {
		return entry, problem.NotFound("plan-not-found", "there is no %s", hash)
	}
	return entry, nil
}

func (m *memory) PutPlan(_ context.Context, _, hash string, entries []release.PlanEntry) error {
	m.entries[hash] = entries[0]
	return nil
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindIntent(context.Context, string, run.Run) (deployment.Deployment, deployment.Generation, error) {
	return m.deployment, m.generation, nil
}

func (m *memory) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return append([]run.Target{}, m.targets...), nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	if was := m.target(t.ClusterID); !was.Status.Done() {
		*was = t
	}
	return nil
}

func TestNextBatch(t *testing.T) {
	cases := map[string]struct {
		run      run.Run
		head     deployment.Deployment
		items    []string
		statuses []run.TargetStatus
	}{
		"what waits is taken, what is done is not": {
			run: run.Run{Type: run.Deploy, Generation: 2}, head: deployment.Deployment{Generation: 2},
			items: []string{"a", "c"}, statuses: []run.TargetStatus{run.TargetWaiting, run.TargetSucceeded, run.TargetWaiting},
		},
		"a canceled run goes no further": {
			run: run.Run{Type: run.Deploy, Generation: 2, CancelRequested: true}, head: deployment.Deployment{Generation: 2},
			items: []string{}, statuses: []run.TargetStatus{run.TargetCanceled, run.TargetSucceeded, run.TargetCanceled},
		},
		"nor one that a newer generation took over": {
			run: run.Run{Type: run.Deploy, Generation: 2}, head: deployment.Deployment{Generation: 3},
			items: []string{}, statuses: []run.TargetStatus{run.TargetSuperseded, run.TargetSucceeded, run.TargetSuperseded},
		},
		"nor one of a deployment that is being removed": {
			run: run.Run{Type: run.Sync, Generation: 2}, head: deployment.Deployment{Generation: 2, Deleting: true},
			items: []string{}, statuses: []run.TargetStatus{run.TargetSuperseded, run.TargetSucceeded, run.TargetSuperseded},
		},
		"a plan is not superseded": {
			run: run.Run{Type: run.Plan, Generation: 2}, head: deployment.Deployment{Generation: 3, Deleting: true},
			items: []string{"a", "c"}, statuses: []run.TargetStatus{run.TargetWaiting, run.TargetSucceeded, run.TargetWaiting},
		},
		"the removal itself goes on": {
			run: run.Run{Type: run.Remove, Generation: 2}, head: deployment.Deployment{Generation: 2, Deleting: true},
			items: []string{"a", "c"}, statuses: []run.TargetStatus{run.TargetWaiting, run.TargetSucceeded, run.TargetWaiting},
		},
		"clusters that left are cleaned whatever is newer": {
			run: run.Run{Type: run.Leave, Generation: 2}, head: deployment.Deployment{Generation: 3},
			items: []string{"a", "c"}, statuses: []run.TargetStatus{run.TargetWaiting, run.TargetSucceeded, run.TargetWaiting},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.run.Org, c.run.ID, c.run.PlanHash = "o", "r", "p"
			m := &memory{run: c.run, deployment: c.head, targets: []run.Target{
				{ClusterID: "a", Status: run.TargetWaiting}, {ClusterID: "b", Status: run.TargetSucceeded}, {ClusterID: "c", Status: run.TargetWaiting},
			}}
			in := workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: "r"}, Done: 1}
			batch, err := handler{m, time.Now}.handle(t.Context(), in)
			if err != nil || batch.Progress != in {
				t.Fatal(batch, err)
			}
			items, statuses := []string{}, []run.TargetStatus{}
			for _, item := range batch.Items {
				if item.Org != "o" || item.Run != "r" || item.Plan != "p" || item.Attempt != 0 {
					t.Errorf("item %+v", item)
				}
				items = append(items, item.Cluster)
			}
			for _, target := range m.targets {
				if ended := !target.EndedAt.IsZero(); ended != (target.Status == run.TargetCanceled || target.Status == run.TargetSuperseded) {
					t.Errorf("target %s is %s, ended %v", target.ClusterID, target.Status, ended)
				}
				statuses = append(statuses, target.Status)
			}
			if diff := cmp.Diff(c.items, items) + cmp.Diff(c.statuses, statuses); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestABatchFitsAState(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Type: run.Deploy}}
	for i := range rollout.MaxBatch + 1 {
		m.targets = append(m.targets, run.Target{ClusterID: fmt.Sprint(i), Status: run.TargetWaiting})
	}
	batch, err := handler{m, time.Now}.handle(t.Context(), workflow.Progress{})
	if err != nil || len(batch.Items) != rollout.MaxBatch {
		t.Fatal(len(batch.Items), err)
	}
}
