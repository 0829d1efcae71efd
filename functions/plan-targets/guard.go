package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// guard stops a run that would remove the deployment from more of its targets than it allows. It judges all that have to go, not only this run's:
// many runs for one cluster each must not do what one for all of them may not.
func (p plan) guard(ctx context.Context, targets []run.Target) error {
	leaves := func(t run.Target) bool { return !t.Status.Done() && !p.members[t.ClusterID] }
	if p.run.ConfirmRemovals || !slices.ContainsFunc(targets, leaves) {
		return nil
	}
	owned, err := p.store.ListReleasesOfOwner(ctx, p.run.Org, release.OwnedByDeployment(p.deployment.ID))
	if err != nil {
		return fmt.Errorf("listing the releases of deployment %s: %w", p.deployment.ReleaseName, err)
	}
	return p.deployment.GuardRemovals(release.CountRemovals(owned, slices.Collect(maps.Keys(p.members))))
}
