package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
	DeleteRelease(ctx context.Context, key release.Key, owner release.Owner, runID string) error
	ForgetDeployment(ctx context.Context, org, id string) error
	FinishRun(ctx context.Context, org, id string, status run.Status, code, cause string, at time.Time) (run.Run, error)
}

type handler struct{ store store }

// handle says whether targets wait for another batch; when none does, it records how the run ended.
func (h handler) handle(ctx context.Context, in workflow.Progress) (workflow.Verdict, error) {
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return workflow.Verdict{}, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return workflow.Verdict{}, fmt.Errorf("listing the targets of run %s: %w", r.ID, err)
	}
	done := 0
	for _, t := range targets {
		if t.Status.Done() {
			done++
		}
	}
	verdict := workflow.Verdict{Progress: workflow.Progress{RunRef: in.RunRef, Done: done}, Status: string(r.Status)}
	if done < len(targets) && done > in.Done {
		verdict.Again = true
		return verdict, nil
	}
	for i, t := range targets {
		if t.Status.Done() {
			continue
		}
		t.Status, t.Code, t.LeftBehind, t.EndedAt = run.TargetFailed, "unrecorded", !r.Type.OnlyLooks(), time.Now().UTC()
		t.Cause = "the target's path ended without an outcome; its steps say how far it came"
		if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
			return verdict, fmt.Errorf("ending target %s of run %s: %w", t.ClusterName, r.ID, err)
		}
		targets[i] = t
	}
	if err := h.conclude(ctx, r, targets, &verdict); err != nil {
		return verdict, fmt.Errorf("concluding run %s: %w", r.ID, err)
	}
	return verdict, nil
}

func (h handler) conclude(ctx context.Context, r run.Run, targets []run.Target, verdict *workflow.Verdict) error {
	status := run.Conclude(targets)
	if r.Type == run.Remove && (status == run.Succeeded || r.Force && (status == run.Partial || status == run.Failed)) {
		if err := h.forget(ctx, r); err != nil {
			return err
		}
	}
	r, err := h.store.FinishRun(ctx, r.Org, r.ID, status, "", "", time.Now().UTC())
	if err != nil {
		return err
	}
	verdict.Status, verdict.LeftBehind = string(r.Status), run.LeftBehind(targets)
	return nil
}

// forget drops the deployment and what is left of its releases; with force that includes releases that could not be uninstalled, which
// the run's targets name.
func (h handler) forget(ctx context.Context, r run.Run) error {
	owner := release.OwnedByDeployment(r.DeploymentID)
	left, err := h.store.ListReleasesOfOwner(ctx, r.Org, owner)
	if err != nil {
		return err
	}
	for _, rel := range left {
		if err := h.store.DeleteRelease(ctx, rel.Key, owner, ""); err != nil {
			return err
		}
	}
	return h.store.ForgetDeployment(ctx, r.Org, r.DeploymentID)
}
