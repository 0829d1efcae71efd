package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	FindGroup(ctx context.Context, org, id string) (group.Group, error)
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error
	SetPlanHash(ctx context.Context, org, run, planHash string) error
}

type handler struct{ store store }

// handle plans that every target's release should be gone. Where the clusters left the group, the deployment's guard may stop the run.
func (h handler) handle(ctx context.Context, ref workflow.RunRef) (workflow.RunRef, error) {
	r, err := h.store.FindRun(ctx, ref.Org, ref.Run)
	if err != nil {
		return ref, fmt.Errorf("finding run %s: %w", ref.Run, err)
	}
	d, err := h.store.FindDeployment(ctx, r.Org, r.DeploymentID)
	if err != nil {
		return ref, fmt.Errorf("finding the deployment of run %s: %w", r.ID, err)
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return ref, fmt.Errorf("listing the targets of run %s: %w", r.ID, err)
	}
	if r.Type == run.Leave {
		if targets, err = h.leaving(ctx, r, d, targets); err != nil {
			return ref, fmt.Errorf("planning run %s: %w", r.ID, err)
		}
	}
	entries := make([]release.PlanEntry, 0, len(targets))
	for _, t := range targets {
		key := release.Key{Org: r.Org, ClusterID: t.ClusterID, Namespace: d.Namespace, Name: d.ReleaseName}
		entries = append(entries, release.AbsentEntry(key, t.ClusterName, r.Generation))
	}
	hash := release.PlanHash(r.ID, entries)
	if err := h.store.PutPlan(ctx, r.Org, hash, entries); err != nil {
		return ref, fmt.Errorf("writing the plan of run %s: %w", r.ID, err)
	}
	if err := h.store.SetPlanHash(ctx, r.Org, r.ID, hash); err != nil {
		return ref, fmt.Errorf("naming the plan of run %s: %w", r.ID, err)
	}
	return ref, nil
}

// leaving are the targets that are still no members, if the deployment may lose so many at once. All that has to go is judged, not only this run's.
func (h handler) leaving(ctx context.Context, r run.Run, d deployment.Deployment, targets []run.Target) ([]run.Target, error) {
	g, err := h.store.FindGroup(ctx, r.Org, d.GroupID)
	if err != nil {
		return nil, err
	}
	owned, err := h.store.ListReleasesOfOwner(ctx, r.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return nil, err
	}
	if !r.ConfirmRemovals {
		if err := d.GuardRemovals(release.CountRemovals(owned, g.Members)); err != nil {
			return nil, err
		}
	}
	left := make([]run.Target, 0, len(targets))
	for _, t := range targets {
		if !slices.Contains(g.Members, t.ClusterID) {
			left = append(left, t)
			continue
		}
		t.Status, t.Code, t.Cause, t.EndedAt = run.TargetSuperseded, "superseded", "the cluster is a member again", time.Now().UTC()
		if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
			return nil, err
		}
	}
	return left, nil
}
