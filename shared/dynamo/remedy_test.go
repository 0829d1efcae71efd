//go:build stack

package dynamo_test

import (
	"sync"
	"testing"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Nobody who does not know of a target's newest remedy changes it, and what was there before the run is said once.
func TestARemedyIsNotOvertaken(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	first := run.Target{ClusterID: "c", Status: run.TargetDeploying, Before: &run.Before{Revision: 3, PlanHash: "p1"}}
	must(t, s.UpdateTarget(ctx, orgA, "r", first))
	one, two := first, first
	one.Remedy = &run.Remedy{Number: 1, Tries: 1, Action: run.Retry, Status: run.RemedyRunning}
	two.Remedy = &run.Remedy{Number: 2, Tries: 2, Action: release.Rollback, Status: run.RemedyRunning}
	two.Before = &run.Before{Revision: 9}
	must(t, s.UpdateTarget(ctx, orgA, "r", one))
	must(t, s.UpdateTarget(ctx, orgA, "r", two))
	var all sync.WaitGroup
	for range 20 { // late deliveries of the first
		all.Go(func() { must(t, s.UpdateTarget(ctx, orgA, "r", one)) })
	}
	all.Wait()
	got, err := s.FindTarget(ctx, orgA, "r", "c")
	must(t, err)
	wantEqual(t, got.Remedy, two.Remedy)
	wantEqual(t, got.Before, first.Before)

	without := first
	without.Status, without.Remedy = run.TargetVerifying, nil
	must(t, s.UpdateTarget(ctx, orgA, "r", without))
	got, err = s.FindTarget(ctx, orgA, "r", "c")
	must(t, err)
	wantEqual(t, got.Remedy, two.Remedy)
}

func TestATargetIsOpenedOnceToBeTakenBack(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	succeeded := run.Target{ClusterID: "c", Status: run.TargetSucceeded, Before: &run.Before{Absent: true}}
	must(t, s.UpdateTarget(ctx, orgA, "r", succeeded))
	open := succeeded
	open.Status, open.Remedy = run.TargetVerifying, &run.Remedy{Number: 1, Action: release.Uninstall, Status: run.RemedyRunning, Reverts: true}
	must(t, s.RevertTarget(ctx, orgA, "r", open))
	ended := open.Ended("", "")
	must(t, s.UpdateTarget(ctx, orgA, "r", ended))
	must(t, s.RevertTarget(ctx, orgA, "r", open)) // a call whose answer was lost
	got, err := s.FindTarget(ctx, orgA, "r", "c")
	must(t, err)
	wantEqual(t, []any{got.Status, got.Code, got.Remedy.Status}, []any{run.TargetReverted, run.CodeTakenBack, run.RemedySucceeded})
}

// A release that is gone has no healthy revision: the next install counts from 1 again.
func TestWhatWasHealthyGoesWithTheRelease(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	must(t, s.ClaimRelease(ctx, keyA, mine))
	must(t, s.SetHealthy(ctx, keyA, 4, release.Desired{PlanHash: "p4"}, after(1)))
	_, err := s.SetObserved(ctx, keyA, release.Observed{Absent: true, At: after(2)}, nil)
	must(t, err)
	r, err := s.FindRelease(ctx, keyA)
	must(t, err)
	if r.Healthy != 0 || r.Verified != nil {
		t.Errorf("revision %d, %+v, is still taken for healthy", r.Healthy, r.Verified)
	}
}

// Steps of a remedy do not take the place of those of the run's own path.
func TestStepsOfARemedyAreKeptBesideTheOthers(t *testing.T) {
	s := newStore(t)
	ctx, r := t.Context(), admitted(t, s)
	for remedy := range 3 {
		must(t, s.PutStep(ctx, orgA, r.ID, run.Step{ClusterID: "c", State: "DeployRelease", Remedy: remedy, Status: "Succeeded", StartedAt: noon}))
	}
	_, _, steps, err := s.ReadRun(ctx, orgA, r.ID)
	must(t, err)
	wantEqual(t, len(steps), 3)
}
