package main

import (
	"context"
	"time"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// catchUp says of a target that could not be reached that it gets what it missed when it answers again: its release should have it from now on. One
// that succeeded missed nothing any more.
func (h handler) catchUp(ctx context.Context, in workflow.Outcome, entry release.PlanEntry, rel release.Release, t *run.Target) error {
	if t.Status == run.TargetSucceeded && rel.CatchUp != nil {
		return h.store.ClearCatchUp(ctx, entry.Key, rel.CatchUp.RunID)
	}
	if t.Status != run.TargetFailed || t.Code != "cluster-unreachable" || entry.Absent || entry.TakesBack {
		return nil
	}
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil || r.CancelRequested || r.Phase == run.Reverting {
		return err
	}
	if rel.Desired == nil || rel.Desired.RunID != r.ID { // DeployRelease did not come so far
		err := h.store.SetDesired(ctx, entry.Key, rel.Owner, entry.DesiredBy(r.ID, r.Seq, in.Plan, time.Now().UTC()))
		if taskerr.CodeOf(err) == "superseded" {
			t.Status, t.Code, t.Cause = run.TargetSuperseded, "superseded", taskerr.CauseOf(err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	t.Status = run.TargetUnreachable
	return h.store.SetCatchUp(ctx, entry.Key, release.CatchUp{RunID: r.ID, Generation: entry.Generation})
}
