package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// batchSize keeps a batch's items well below a state's 256 KiB.
const batchSize = 500

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
}

type handler struct{ store store }

// handle returns the targets to walk now: everything that waits, up to batchSize. A run that was canceled or superseded walks no further.
func (h handler) handle(ctx context.Context, in workflow.Progress) (workflow.Batch, error) {
	batch := workflow.Batch{Progress: in, Items: []workflow.TargetRef{}}
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return batch, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	d, _, err := h.store.FindIntent(ctx, r.Org, r)
	if err != nil {
		return batch, fmt.Errorf("finding what run %s is about: %w", r.ID, err)
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return batch, fmt.Errorf("listing the targets of run %s: %w", r.ID, err)
	}
	stopped, stop := r.StoppedBy(d.Generation, d.Deleting)
	for _, t := range targets {
		switch {
		case t.Status.Done():
		case stop:
			t.Status, t.EndedAt = stopped, time.Now().UTC()
			if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
				return batch, fmt.Errorf("stopping target %s of run %s: %w", t.ClusterName, r.ID, err)
			}
		case len(batch.Items) < batchSize:
			batch.Items = append(batch.Items, workflow.TargetRef{Org: r.Org, Run: r.ID, Plan: r.PlanHash, Cluster: t.ClusterID})
		}
	}
	return batch, nil
}
