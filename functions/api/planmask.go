package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// secretNow are the literals of a plan's target by what its deployment calls secret now. What was kept is masked by what was secret when the plan was
// made: what is secret now was never to be shown.
func (h handler) secretNow(ctx context.Context, p shown, t run.Target) ([]string, error) {
	planned, entry := p.Draft.Deployment, p.entry(t.ClusterID)
	d, err := h.store.FindDeploymentByName(ctx, planned.Org, planned.GroupID, planned.ReleaseName)
	if problem.Is(err, "deployment-not-found") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	newest, err := h.store.FindGeneration(ctx, d.Org, d.ID, d.Newest)
	if err != nil || len(newest.SecretPaths) == 0 {
		return nil, err
	}
	secret, err := mask.Parse(newest.SecretPaths)
	if err != nil {
		return nil, err
	}
	before, err := h.valuesBefore(ctx, p.Draft.Generation, t.ClusterName)
	if err != nil {
		return nil, err
	}
	after, err := h.valuesOf(ctx, d.Org, entry)
	if err != nil {
		return nil, err
	}
	return secret.Literals(before, after), nil
}

func (h handler) valuesOf(ctx context.Context, org string, entry release.PlanEntry) (map[string]any, error) {
	if entry.ValuesRef == "" {
		return nil, nil
	}
	var values map[string]any
	err := h.values.GetValues(ctx, org, entry.ValuesRef, &values)
	return values, err
}

// valuesBefore are a target's in the generation that a plan's came after; none where it was the first.
func (h handler) valuesBefore(ctx context.Context, planned deployment.Generation, clusterName string) (map[string]any, error) {
	if planned.Before == 0 {
		return nil, nil
	}
	g, err := h.store.FindGeneration(ctx, planned.Org, planned.DeploymentID, planned.Before)
	if problem.Is(err, "generation-not-found") {
		return nil, nil // the deployment was removed, and another of its name is there
	}
	if err != nil {
		return nil, fmt.Errorf("finding generation %d: %w", planned.Before, err)
	}
	var values deployment.Values
	if err := h.values.GetValues(ctx, g.Org, g.ValuesRef, &values); err != nil {
		return nil, err
	}
	return values.For(clusterName), nil
}
