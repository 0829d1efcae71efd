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

// What was answered at a gate is found though no target of the run has succeeded.
func TestAGateIsReadThoughNothingSucceeded(t *testing.T) {
	gated := func(change func(*memory)) *memory {
		m := rolling()
		m.generation.Rollout.Waves[0].Gate = &rollout.Gate{Receiver: "ci", Timeout: time.Hour}
		change(m)
		return m
	}
	cases := map[string]func(*memory){
		"the canary failed, as it may": func(m *memory) {
			m.targets[0].Status, m.generation.Rollout.Waves[0].MaxFailures = run.TargetFailed, &rollout.Amount{N: 1}
		},
		"a redrive walks no canary": func(m *memory) {
			m.run.RedriveOf, m.targets = "before", m.targets[1:]
		},
	}
	answers := map[run.GateStatus]string{run.GatePassed: "walk", run.GateFailed: "end"}
	for name, change := range cases {
		for answer, turn := range answers {
			t.Run(name+", "+string(answer), func(t *testing.T) {
				m := gated(change)
				for minutes := range 2 {
					got := m.next(t, noon.Add(time.Duration(minutes)*time.Minute))
					if got.Turn != "await" || got.Until != "2026-11-21T13:00:00Z" {
						t.Fatalf("after %d minutes: %+v", minutes, got)
					}
				}
				g := m.gates["canary"]
				g.Status = answer
				m.gates["canary"] = g
				if got := m.next(t, noon.Add(2*time.Minute)); got.Turn != turn {
					t.Errorf("answered, it %ss", got.Turn)
				}
			})
		}
	}
}

// What was begun and has no outcome when a run stops is not told as if nobody had come to it.
func TestWhatWasBegunIsNotDropped(t *testing.T) {
	begun := run.Target{ClusterID: "b", Status: run.TargetDeploying, StartedAt: noon, Before: &run.Before{Revision: 1}}
	cases := map[string]struct {
		target run.Target
		kind   run.Type
		want   run.Target
	}{
		"its path died": {target: begun, kind: run.Deploy, want: run.Target{LeftBehind: true}},
		"as it was tried again": {target: run.Target{ClusterID: "b", Status: run.TargetVerifying, Remedy: &run.Remedy{Number: 1, Action: run.Retry, Status: run.RemedyRunning}}, kind: run.Deploy,
			want: run.Target{LeftBehind: true, Remedy: &run.Remedy{Number: 1, Action: run.Retry, Status: run.RemedyFailed, Code: "unrecorded"}}},
		"a plan writes nothing": {target: begun, kind: run.Plan, want: run.Target{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := rolling()
			m.run.Type, m.run.CancelRequested, m.targets = c.kind, true, []run.Target{c.target}
			if got := m.next(t, noon); got.Turn != "end" {
				t.Fatalf("it %ss", got.Turn)
			}
			got := m.targets[0]
			if got.Status != run.TargetFailed || got.Code != "unrecorded" || got.Cause == "" || got.LeftBehind != c.want.LeftBehind || !got.EndedAt.Equal(noon) {
				t.Errorf("%+v", got)
			}
			if r := got.Remedy; r != nil && (r.Status != c.want.Remedy.Status || r.Code != c.want.Remedy.Code) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A batch of which nothing can be taken back has done something.
func TestARefusalIsProgress(t *testing.T) {
	m := rolling()
	m.run.Phase, m.targets[0].Before = run.Reverting, &run.Before{Revision: 2, PlanHash: "lost"}
	if batch := m.next(t, noon); batch.Done != 0 {
		t.Errorf("%+v", batch)
	}
}
