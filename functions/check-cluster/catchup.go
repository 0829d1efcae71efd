package main

import (
	"context"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// caughtUp forgets what a release missed once it has it.
func (h handler) caughtUp(ctx context.Context, rel release.Release) error {
	if rel.CatchUp == nil || !release.InSync(rel.Desired, rel.Observed) {
		return nil
	}
	return h.store.ClearCatchUp(ctx, rel.Key, rel.CatchUp.RunID)
}

// missed says whether the release is to get what a run could not bring it, for its cluster did not answer. A run that was stopped or turned around
// since is not caught up with.
func (h handler) missed(ctx context.Context, rel release.Release, d deployment.Deployment) (bool, error) {
	if rel.CatchUp == nil {
		return false, nil
	}
	r, err := h.store.FindRun(ctx, rel.Org, rel.CatchUp.RunID)
	if err != nil && !problem.Is(err, "run-not-found") {
		return false, err
	}
	if stopped := r.CancelRequested || r.Phase == run.Reverting; stopped || rel.Desired.RunID != rel.CatchUp.RunID {
		return false, h.store.ClearCatchUp(ctx, rel.Key, rel.CatchUp.RunID)
	}
	return rel.MayCatchUp(d.Generation), nil // of a newer generation it may have to, should that be withdrawn
}
