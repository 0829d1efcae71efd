//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestATurnIsKeptAndSwept(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	_, found, err := s.FindTurn(t.Context(), orgA, r.ID)
	must(t, err)
	if found {
		t.Error("a run that never waited has a turn")
	}
	for _, turn := range []run.Turn{
		{Token: "one", Reason: run.Paused}, {Token: "two", Reason: run.Baking, Until: noon.Add(2 * time.Minute)}, {Token: "three", Reason: run.Baking, Until: noon.Add(24 * time.Hour)},
	} {
		swept := dynamo.SweepAgainAfter // whatever it waits for
		if turn.Token == "two" {
			swept = 2 * time.Minute
		}
		must(t, s.PutTurn(t.Context(), orgA, r.ID, turn))
		got, found, err := s.FindTurn(t.Context(), orgA, r.ID)
		must(t, err)
		if !found {
			t.Error("it is lost")
		}
		wantEqual(t, got, turn)
		for at, want := range map[time.Duration]int{swept - time.Second: 0, swept: 1} {
			due, err := s.DueRuns(t.Context(), noon.Add(at), 10)
			must(t, err)
			if len(due) != want {
				t.Errorf("%s: after %s %d runs are due, want %d", turn.Token, at, len(due), want)
			}
		}
	}
	_, targets, _, err := s.ReadRun(t.Context(), orgA, r.ID)
	must(t, err)
	wantEqual(t, targets, []run.Target{}) // the turn is none of them
}

func TestARunIsPausedUntilItEnds(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	for _, paused := range []bool{true, true, false} {
		got, err := s.SetPaused(t.Context(), orgA, r.ID, paused)
		must(t, err)
		wantEqual(t, got.Paused, paused)
	}
	_, err := s.FinishRun(t.Context(), r, run.Succeeded, "", "", after(1))
	must(t, err)
	for _, paused := range []bool{true, false} {
		got, err := s.SetPaused(t.Context(), orgA, r.ID, paused)
		wantProblem(t, err, "run-ended", 409)
		wantEqual(t, got.Paused, false)
	}
}

func TestATargetIsLookedAtAgain(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	done := run.Target{ClusterID: "a", ClusterName: "one", Wave: "canary", Status: run.TargetSucceeded, StartedAt: after(1), EndedAt: after(2)}
	failed := run.Target{ClusterID: "b", ClusterName: "two", Status: run.TargetFailed, EndedAt: after(2)}
	must(t, s.PutTargets(t.Context(), r, []run.Target{done, failed}))
	for _, target := range []run.Target{done, failed} {
		must(t, s.RecheckTarget(t.Context(), orgA, r.ID, target))
	}
	open, err := s.FindTarget(t.Context(), orgA, r.ID, "a")
	must(t, err)
	done.Status, done.SucceededAt, done.RecheckedAt = run.TargetVerifying, after(2), noon
	wantEqual(t, open, done)
	still, err := s.FindTarget(t.Context(), orgA, r.ID, "b")
	must(t, err)
	wantEqual(t, still, failed)

	open.Status, open.Code, open.EndedAt = run.TargetFailed, "release-changed", after(5) // its outcome may be another one now
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, open))
	got, err := s.FindTarget(t.Context(), orgA, r.ID, "a")
	must(t, err)
	wantEqual(t, got, open)
}

func TestWhatAReleaseMissed(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	must(t, s.SetDesired(t.Context(), keyA, mine, release.Desired{Seq: 1, RunID: "r1", SetAt: noon}))
	must(t, s.SetCatchUp(t.Context(), keyA, release.CatchUp{RunID: "r0", Generation: 1}))
	missed := func() *release.CatchUp {
		t.Helper()
		rel, err := s.FindRelease(t.Context(), keyA)
		must(t, err)
		return rel.CatchUp
	}
	if got := missed(); got != nil {
		t.Errorf("an older run's %+v is kept", got)
	}
	must(t, s.SetCatchUp(t.Context(), keyA, release.CatchUp{RunID: "r1", Generation: 2}))
	must(t, s.ClearCatchUp(t.Context(), keyA, "r0"))
	wantEqual(t, missed(), &release.CatchUp{RunID: "r1", Generation: 2})
	must(t, s.ClearCatchUp(t.Context(), keyA, "r1"))
	if got := missed(); got != nil {
		t.Errorf("%+v is kept", got)
	}
}
