package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// rolling is a run at its canary, which has just succeeded and bakes for a minute.
func rolling() *memory {
	bake := rollout.Limits{MinSuccessTime: new(time.Minute)}
	return &memory{
		run:        run.Run{Org: "o", ID: "r", Type: run.Deploy, Trigger: "api", Generation: 2, PlanHash: "p"},
		deployment: deployment.Deployment{Generation: 2, Namespace: "n", ReleaseName: "web"},
		generation: deployment.Generation{Rollout: rollout.Rollout{Waves: []rollout.Wave{{Name: "canary", Limits: bake}}}},
		targets: []run.Target{
			{ClusterID: "a", Wave: "canary", Status: run.TargetSucceeded, Revision: 3, EndedAt: noon, Before: &run.Before{Revision: 2, PlanHash: "old"}},
			{ClusterID: "b", Status: run.TargetWaiting},
		},
		releases: map[release.Key]release.Release{}, entries: map[string]release.PlanEntry{"old": {ClusterID: "a", InputHash: "before"}},
	}
}

func (m *memory) next(t *testing.T, at time.Time) workflow.Batch {
	t.Helper()
	batch, err := handler{m, func() time.Time { return at }}.handle(t.Context(), workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: "r"}})
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func want(t *testing.T, got workflow.Batch, want workflow.Batch) {
	t.Helper()
	if want.Items == nil {
		want.Items = []workflow.TargetRef{}
	}
	want.RunRef = workflow.RunRef{Org: "o", Run: "r"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABakeIsWaitedForAndLookedAt(t *testing.T) {
	m := rolling()
	want(t, m.next(t, noon), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "await", Reason: "bake", Until: "2026-11-21T12:01:00Z"})
	want(t, m.next(t, noon.Add(50*time.Second)), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "bake", Reason: "bake", Until: "2026-11-21T12:01:00Z"})
	again := workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "a", Recheck: true}
	for range 2 { // the second time, of an answer that was lost
		want(t, m.next(t, noon.Add(time.Minute)), workflow.Batch{Turn: "walk", Items: []workflow.TargetRef{again}})
	}
	if got := m.targets[0]; got.Status != run.TargetVerifying || !got.SucceededAt.Equal(noon) {
		t.Errorf("%+v", got)
	}
	m.targets[0].Status, m.targets[0].EndedAt = run.TargetSucceeded, noon.Add(time.Minute)
	want(t, m.next(t, noon.Add(time.Minute)), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "walk", Items: []workflow.TargetRef{{Org: "o", Run: "r", Plan: "p", Cluster: "b"}}})
}

func TestAReleaseThatWasSeenChangedIsLookedAt(t *testing.T) {
	m := rolling()
	m.targets[0].SucceededAt = noon
	key := release.Key{Org: "o", ClusterID: "a", Namespace: "n", Name: "web"}
	m.releases[key] = release.Release{Key: key, Desired: &release.Desired{RunID: "r"}, Observed: &release.Observed{Revision: 4, At: noon.Add(time.Second)}}
	want(t, m.next(t, noon.Add(time.Hour)), workflow.Batch{Turn: "walk", Items: []workflow.TargetRef{{Org: "o", Run: "r", Plan: "p", Cluster: "a", Recheck: true}}})
}

func TestABudgetKeepsTheOthersBack(t *testing.T) {
	m := rolling()
	m.targets[0].Status = run.TargetFailed
	want(t, m.next(t, noon), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "end"})
	if got := m.targets[1]; got.Status != run.TargetCanceled || got.Code != "budget-exhausted" || got.Cause == "" || got.EndedAt.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestAPausedRunWaits(t *testing.T) {
	m := rolling()
	m.run.Paused = true
	want(t, m.next(t, noon.Add(time.Hour)), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "await", Reason: "paused"})
}

// reconcile's run is about a single cluster that is not as it was: it does not bake.
func TestReconcileHasNoWaves(t *testing.T) {
	m := rolling()
	m.run.Type, m.run.Trigger = run.Sync, "reconcile"
	want(t, m.next(t, noon), workflow.Batch{Progress: workflow.Progress{Done: 1}, Turn: "walk", Items: []workflow.TargetRef{{Org: "o", Run: "r", Plan: "p", Cluster: "b"}}})
}

func TestATurnedRunTakesBackWhatItChanged(t *testing.T) {
	m := rolling()
	m.run.Phase = run.Reverting
	batch := m.next(t, noon)
	if len(batch.Items) != 1 || batch.Items[0].Cluster != "a" || batch.Done != 0 {
		t.Fatalf("%+v", batch)
	}
	if again := m.next(t, noon); !cmp.Equal(batch, again) {
		t.Errorf("a second call: %s", cmp.Diff(batch, again))
	}
	entry := m.entries[batch.Items[0].Plan]
	if got := m.targets[0]; got.Status != run.TargetVerifying || !got.Remedy.Reverts || entry.RollbackTo != 2 || entry.InputHash != "before" {
		t.Errorf("%+v by %+v", got, entry)
	}
	m.targets[0].Status = run.TargetReverted
	if batch = m.next(t, noon); batch.Turn != "end" || m.targets[1].Status != run.TargetCanceled || m.targets[1].Code != "reverted" {
		t.Errorf("%+v, %+v", batch, m.targets[1])
	}
}

func TestWhatCannotBeTakenBackSaysWhy(t *testing.T) {
	m := rolling()
	m.run.Phase, m.targets[0].Before = run.Reverting, &run.Before{Revision: 2, PlanHash: "lost"}
	if batch := m.next(t, noon); batch.Turn != "walk" || len(batch.Items) != 0 {
		t.Errorf("%+v", batch)
	}
	if got := m.targets[0]; got.Status != run.TargetFailed || got.Code != "revert-failed" || got.Remedy.Code != "nothing-healthy" {
		t.Errorf("%+v", got)
	}
	if batch := m.next(t, noon); batch.Turn != "end" {
		t.Errorf("%+v", batch)
	}
}
