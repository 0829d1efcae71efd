package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FinishRun(ctx context.Context, of run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error)
}

type handler struct{ store store }

// handle ends the record of a run whose machine could not. A run that ended before keeps its end.
func (h handler) handle(ctx context.Context, in workflow.End) (workflow.Verdict, error) {
	verdict := workflow.Verdict{Progress: workflow.Progress{RunRef: in.RunRef}}
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return verdict, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return verdict, fmt.Errorf("listing the targets of run %s: %w", r.ID, err)
	}
	if !r.Status.Done() {
		code, cause := "internal", ""
		if in.Caught != nil {
			code, cause = in.Caught.Parse()
		}
		for i, t := range targets {
			if t.Status.Done() {
				continue
			}
			targets[i] = r.Abandon(t, code, cause, time.Now().UTC())
			if err := h.store.UpdateTarget(ctx, r.Org, r.ID, targets[i]); err != nil {
				return verdict, fmt.Errorf("ending target %s of run %s: %w", t.ClusterName, r.ID, err)
			}
		}
		if r, err = h.store.FinishRun(ctx, r, run.Failed, code, cause, time.Now().UTC()); err != nil {
			return verdict, fmt.Errorf("finishing run %s: %w", in.Run, err)
		}
	}
	verdict.Status, verdict.LeftBehind = string(r.Status), run.LeftBehind(targets)
	return verdict, nil
}
