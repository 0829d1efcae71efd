package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// turns are runs whose machines wait.
type turns interface {
	FindTurn(ctx context.Context, org, id string) (t run.Turn, found bool, err error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
}

type waiters interface {
	Wake(ctx context.Context, token string) error
}

// turn wakes the machine of a run that waits for something that does not hold any more: it has baked, or another run took its place. It returns when
// to look again.
func (h handler) turn(ctx context.Context, r run.Run) (again time.Time, err error) {
	again = h.now().Add(dynamo.SweepAgainAfter)
	t, waits, err := h.store.FindTurn(ctx, r.Org, r.ID)
	if err != nil || !waits {
		return again, err
	}
	d, err := h.store.FindDeployment(ctx, r.Org, r.DeploymentID)
	if err != nil && !problem.Is(err, "deployment-not-found") {
		return again, err
	}
	_, stopped := r.StoppedBy(d.Generation, d.Deleting)
	if !stopped && r.Waits(t, h.now()) {
		if !t.Until.IsZero() && t.Until.Before(again) {
			again = t.Until
		}
		return again, nil
	}
	if err := h.waiters.Wake(ctx, t.Token); err != nil {
		return again, fmt.Errorf("waking its machine: %w", err)
	}
	return again, nil
}
