package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// memory has one target of run r and one release, unless it is nil.
type memory struct {
	target  run.Target
	entry   release.PlanEntry
	release *release.Release
	steps   int
	run     run.Run
	taken   bool // a newer run has the release
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) {
	m.run.Org, m.run.ID = "o", "r"
	return m.run, nil
}

func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return m.target, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, target run.Target) error {
	m.target = target
	return nil
}

func (m *memory) PutStep(context.Context, string, string, run.Step) error {
	m.steps++
	return nil
}

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}

func (m *memory) FindRelease(context.Context, release.Key) (release.Release, error) {
	if m.release == nil {
		return release.Release{}, problem.NotFound("release-not-found", "gone")
	}
	return *m.release, nil
}

func (m *memory) ClearActiveRun(_ context.Context, _ release.Key, runID string) error {
	if m.release.ActiveRun == runID {
		m.release.ActiveRun = ""
	}
	return nil
}

func (m *memory) SetDesired(_ context.Context, _ release.Key, _ release.Owner, d release.Desired) error {
	if m.taken {
		return taskerr.Failed("superseded", "a newer run took over")
	}
	m.release.Desired = &d
	return nil
}

func (m *memory) SetCatchUp(_ context.Context, _ release.Key, c release.CatchUp) error {
	m.release.CatchUp = &c
	return nil
}

func (m *memory) ClearCatchUp(context.Context, release.Key, string) error {
	m.release.CatchUp = nil
	return nil
}

func (m *memory) DeleteRelease(context.Context, release.Key, release.Owner, string) error {
	m.release = nil
	return nil
}

func caught(name, code string) *taskerr.Caught {
	cause, err := json.Marshal(map[string]string{"errorMessage": code + ": raw words", "errorType": name})
	if err != nil {
		panic(err)
	}
	return &taskerr.Caught{Error: name, Cause: string(cause)}
}

func TestOutcome(t *testing.T) {
	deployed := &release.Observed{Revision: 4, Status: "deployed", OwnerLabel: release.OwnerLabel(release.Owner{})}
	broken := &release.Observed{Revision: 4, Status: "failed", OwnerLabel: release.OwnerLabel(release.Owner{})}
	gone := &release.Observed{Absent: true}
	mine, others := &release.Desired{RunID: "r"}, &release.Desired{RunID: "before"}
	cases := map[string]struct {
		caught   *taskerr.Caught
		absent   bool // the release should be gone
		desired  *release.Desired
		observed *release.Observed
		health   release.Health
		want     run.Target
	}{
		"it succeeded": {desired: mine, observed: deployed, health: release.Healthy, want: run.Target{Status: run.TargetSucceeded, Revision: 4}},
		"it was canceled": {caught: caught("TargetFailed", "canceled"), desired: others, observed: deployed,
			want: run.Target{Status: run.TargetCanceled, Code: "canceled", Revision: 4}},
		"its run was turned around first": {caught: caught("TargetFailed", "reverted"), desired: others, observed: deployed,
			want: run.Target{Status: run.TargetCanceled, Code: "reverted", Revision: 4}},
		"it was superseded": {caught: caught("TargetFailed", "superseded"), desired: others, observed: deployed,
			want: run.Target{Status: run.TargetSuperseded, Code: "superseded", Revision: 4}},
		"it failed before it reached the cluster": {caught: caught("ClusterUnreachable", "cluster-unreachable"), desired: others, observed: broken,
			want: run.Target{Status: run.TargetUnreachable, Code: "cluster-unreachable", Revision: 4}},
		"it failed and no run has reached it ever": {caught: caught("TargetFailed", "forbidden"), want: run.Target{Status: run.TargetFailed, Code: "forbidden"}},
		"it failed and left a failed revision": {caught: caught("TargetFailed", "helm-failed"), desired: mine, observed: broken,
			want: run.Target{Status: run.TargetFailed, Code: "helm-failed", Revision: 4, LeftBehind: true}},
		"it failed and left workloads that do not run": {caught: caught("TargetFailed", "not-ready"), desired: mine, observed: deployed, health: release.Unhealthy,
			want: run.Target{Status: run.TargetFailed, Code: "not-ready", Revision: 4, LeftBehind: true}},
		"it failed and left what was there": {caught: caught("TargetFailed", "record-too-large"), desired: mine, observed: deployed, health: release.Healthy,
			want: run.Target{Status: run.TargetFailed, Code: "record-too-large", Revision: 4}},
		"it failed and left nothing": {caught: caught("TargetFailed", "helm-failed"), desired: mine, observed: gone,
			want: run.Target{Status: run.TargetFailed, Code: "helm-failed"}},
		"it failed and nobody looked since": {caught: caught("TargetFailed", "helm-killed"), desired: mine,
			want: run.Target{Status: run.TargetFailed, Code: "helm-killed", LeftBehind: true}},
		"a removal failed": {caught: caught("TargetFailed", "not-gone"), absent: true, desired: mine, observed: deployed,
			want: run.Target{Status: run.TargetFailed, Code: "not-gone", Revision: 4, LeftBehind: true}},
		"the function was killed": {caught: &taskerr.Caught{Error: "Runtime.ExitError", Cause: "signal: killed"}, desired: mine,
			want: run.Target{Status: run.TargetFailed, Code: "function-died", LeftBehind: true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{target: run.Target{ClusterID: "a", Status: run.TargetVerifying}, entry: release.PlanEntry{Absent: c.absent},
				release: &release.Release{ActiveRun: "r", Desired: c.desired, Observed: c.observed, Health: c.health}}
			if _, err := (handler{m}).handle(t.Context(), workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "a"}, Caught: c.caught}); err != nil {
				t.Fatal(err)
			}
			got := m.target
			if got.Status != c.want.Status || got.Code != c.want.Code || got.Revision != c.want.Revision || got.LeftBehind != c.want.LeftBehind {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if (got.Cause == "") != (c.caught == nil) || got.EndedAt.IsZero() || m.steps != 1 {
				t.Errorf("cause %q, ended %v, %d steps", got.Cause, got.EndedAt, m.steps)
			}
			if m.release.ActiveRun != "" {
				t.Error("the run still has the release")
			}
		})
	}
}

func TestARemovedReleaseIsForgotten(t *testing.T) {
	m := &memory{target: run.Target{ClusterID: "a", Status: run.TargetVerifying}, entry: release.PlanEntry{Absent: true},
		release: &release.Release{ActiveRun: "r", Observed: &release.Observed{Absent: true}}}
	in := workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "a"}}
	for attempt := range 3 {
		if attempt == 1 { // the attempt before died when the release was forgotten and the outcome was not yet written
			m.target = run.Target{ClusterID: "a", Status: run.TargetVerifying}
		}
		if _, err := (handler{m}).handle(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if m.release != nil || m.target.Status != run.TargetSucceeded {
			t.Fatalf("attempt %d: release %v, target %+v", attempt, m.release, m.target)
		}
	}
	if m.steps != 2 {
		t.Errorf("%d steps: a target that is done is left alone", m.steps)
	}
}

func TestACheckHasNoPlan(t *testing.T) {
	m := &memory{target: run.Target{ClusterID: "a", Status: run.TargetWaiting}} // no release: to look for one would be an error
	in := workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Cluster: "a"}, Caught: caught("Internal", "internal")}
	if _, err := (handler{m}).handle(t.Context(), in); err != nil || m.target.Status != run.TargetFailed || m.target.Code != "internal" {
		t.Fatal(m.target, err)
	}
}
