package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
}

type handler struct {
	store   store
	answers callback.Answerer
}

// handle says where the answer goes. It does not wait; the machine does.
func (h handler) handle(ctx context.Context, in workflow.AwaitRef) (struct{}, error) {
	entry, err := h.store.FindPlanEntry(ctx, in.Org, in.Plan, in.Cluster)
	if err != nil {
		return struct{}{}, fmt.Errorf("finding the plan entry of cluster %s: %w", in.Cluster, err)
	}
	if err := h.answers.Await(ctx, entry.Key, in.Run, in.Token); err != nil {
		return struct{}{}, fmt.Errorf("awaiting a report of release %s on cluster %s: %w", entry.Key.Name, entry.ClusterName, err)
	}
	return struct{}{}, nil
}
