package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
)

// keepShown keeps a plan that is shown. Its hash does not know the run: the same question to the same world is the same plan.
func (p plan) keepShown(ctx context.Context, entries []release.PlanEntry) (string, error) {
	draft, err := p.store.FindDraft(ctx, p.run.Org, p.run.ID)
	if err != nil {
		return "", fmt.Errorf("finding the draft of run %s: %w", p.run.ID, err)
	}
	now := time.Now().UTC()
	shown := deployment.Plan{
		Hash: release.PlanHash(release.Digest(draft.Basis()), entries), RunID: p.run.ID, Draft: draft,
		CreatedAt: now, CreatedBy: p.run.Actor, ExpiresAt: now.Add(deployment.PlanKept).Truncate(time.Second), // as the table keeps it
	}
	return shown.Hash, p.store.PutShownPlan(ctx, shown, entries)
}
