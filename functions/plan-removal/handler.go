package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error
	SetPlanHash(ctx context.Context, org, run, planHash string) error
}

type handler struct{ store store }

// handle plans that every target's release should be gone.
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
