package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindGroup(ctx context.Context, org, id string) (group.Group, error)
	FindClusters(ctx context.Context, org string, ids []string) (map[string]cluster.Cluster, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
	PutTargets(ctx context.Context, r run.Run, targets []run.Target) error
	StartRun(ctx context.Context, org, id string, at time.Time) (run.Run, error)
}

type handler struct{ store store }

// handle finds the clusters that a run is about, writes a target for each, and marks the run as running.
func (h handler) handle(ctx context.Context, ref workflow.RunRef) (workflow.Progress, error) {
	progress := workflow.Progress{RunRef: ref}
	r, err := h.store.FindRun(ctx, ref.Org, ref.Run)
	if err != nil {
		return progress, fmt.Errorf("finding run %s: %w", ref.Run, err)
	}
	waves, err := h.waves(ctx, r)
	if err != nil {
		return progress, fmt.Errorf("finding the waves of run %s: %w", r.ID, err)
	}
	ids, err := h.clusters(ctx, r)
	if err != nil {
		return progress, fmt.Errorf("resolving the targets of run %s: %w", r.ID, err)
	}
	found, err := h.store.FindClusters(ctx, r.Org, ids)
	if err != nil {
		return progress, fmt.Errorf("finding the clusters of run %s: %w", r.ID, err)
	}
	targets := make([]run.Target, 0, len(ids))
	for _, id := range ids {
		name := cmp.Or(found[id].Name, id) // of one that is gone its own outcome says so; the others go on
		targets = append(targets, run.Target{ClusterID: id, ClusterName: name, Wave: waves.WaveOf(name, found[id].Labels), Status: run.TargetWaiting})
	}
	if err := h.store.PutTargets(ctx, r, targets); err != nil {
		return progress, fmt.Errorf("writing the targets of run %s: %w", r.ID, err)
	}
	if _, err := h.store.StartRun(ctx, r.Org, r.ID, time.Now().UTC()); err != nil {
		return progress, fmt.Errorf("starting run %s: %w", r.ID, err)
	}
	return progress, nil
}

// waves are said once, here: labels that change later move no target to another wave.
func (h handler) waves(ctx context.Context, r run.Run) (rollout.Rollout, error) {
	if !r.RollsOut() && r.Type != run.Plan {
		return rollout.Rollout{}, nil
	}
	_, g, err := h.store.FindIntent(ctx, r.Org, r)
	if problem.Is(err, "generation-not-found") { // told on each target, as below
		err = nil
	}
	return g.Rollout, err
}

func (h handler) clusters(ctx context.Context, r run.Run) ([]string, error) {
	d, _, err := h.store.FindIntent(ctx, r.Org, r)
	if err != nil && !problem.Is(err, "generation-not-found") { // what is lost is told on each target, by who needs it
		return nil, err
	}
	var ids []string
	if r.Type.OfMembers() || r.Type == run.Check {
		g, err := h.store.FindGroup(ctx, r.Org, d.GroupID)
		if err == nil {
			err = g.Fits()
		}
		if err != nil {
			return nil, err
		}
		ids = g.Members
	}
	if !r.Type.OfMembers() {
		owned, err := h.store.ListReleasesOfOwner(ctx, r.Org, release.OwnedByDeployment(d.ID))
		if err != nil {
			return nil, err
		}
		for _, rel := range owned {
			ids = append(ids, rel.ClusterID)
		}
	}
	if len(r.Only) > 0 {
		ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(r.Only, id) })
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
