package main

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
)

// addHealth counts the targets of each deployment by their health: a read for each, and one for all clusters.
func (h handler) addHealth(ctx context.Context, g group.Group, intents []dynamo.Intent, docs []openapi.DeploymentSummary) error {
	releases := make([][]release.Release, len(intents))
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for i, intent := range intents {
		tasks.Go(func() (err error) {
			releases[i], err = h.store.ListReleasesOfOwner(taskCtx, g.Org, release.OwnedByDeployment(intent.Deployment.ID))
			return err
		})
	}
	if err := tasks.Wait(); err != nil {
		return err
	}
	clusters, err := h.targetClusters(ctx, g, slices.Concat(releases...))
	if err != nil {
		return err
	}
	for i, intent := range intents {
		own := byCluster(releases[i])
		targets := slices.DeleteFunc(slices.Clone(clusters), func(c cluster.Cluster) bool {
			_, held := own[c.ID]
			return !held && !slices.Contains(g.Members, c.ID)
		})
		docs[i].Health = openapi.HealthCountsOf(openapi.TargetsOf(intent.Deployment, targets, releases[i], nil))
	}
	return nil
}
