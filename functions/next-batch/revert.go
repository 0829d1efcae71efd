package main

import (
	"context"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/remediation"
	"github.com/swell-sh/swell/shared/run"
)

type reverts interface {
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error
	RevertTarget(ctx context.Context, org, run string, target run.Target) error
}

// revert opens a target so that it goes back to what it was before the run, and returns the remedy that takes it there; one without a plan: it cannot
// be, and the target says why.
func (n next) revert(ctx context.Context, t run.Target) (run.Remedy, error) {
	if r := t.Remedy; r != nil && r.Reverts {
		return *r, nil // opened by a call whose answer was lost
	}
	var base *release.PlanEntry
	if before := t.Before; before.PlanHash != "" {
		entry, err := n.store.FindPlanEntry(ctx, n.run.Org, before.PlanHash, t.ClusterID)
		switch {
		case err == nil:
			base = &entry
		case !problem.Is(err, "plan-not-found"):
			return run.Remedy{}, err
		}
	}
	remedy, entry := remediation.Revert(n.run, t, n.key(t), base)
	t.Remedy, t.Code, t.Cause = remedy, "", ""
	if entry == nil {
		return *remedy, n.store.RevertTarget(ctx, n.run.Org, n.run.ID, t.Ended("", ""))
	}
	if err := n.store.PutPlan(ctx, n.run.Org, remedy.Plan, []release.PlanEntry{*entry}); err != nil {
		return *remedy, err
	}
	t.Status = run.TargetVerifying
	return *remedy, n.store.RevertTarget(ctx, n.run.Org, n.run.ID, t)
}
