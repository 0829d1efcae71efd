package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/remediation"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	BeginReverting(ctx context.Context, org, id string) (run.Run, error)
	Withdraw(ctx context.Context, g deployment.Generation, runID string) error
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
	DeleteRelease(ctx context.Context, key release.Key, owner release.Owner, runID string) error
	ForgetDeployment(ctx context.Context, org, id string) error
	FinishRun(ctx context.Context, of run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error)
}

type handler struct{ store store }

// handle says whether the run goes on; where it does not, it records how it ended.
func (h handler) handle(ctx context.Context, in workflow.Progress) (workflow.Verdict, error) {
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return workflow.Verdict{}, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return workflow.Verdict{}, fmt.Errorf("listing the targets of run %s: %w", r.ID, err)
	}
	verdict := workflow.Verdict{Progress: in, Status: string(r.Status)}
	if err := h.unrecorded(ctx, r, targets, in.Done); err != nil {
		return verdict, err
	}
	verdict.Done = run.Done(targets)
	if verdict.Again, err = h.goesOn(ctx, r, targets); err != nil || verdict.Again {
		return verdict, err
	}
	if err := h.conclude(ctx, r, targets, &verdict); err != nil {
		return verdict, fmt.Errorf("concluding run %s: %w", r.ID, err)
	}
	return verdict, nil
}

// unrecorded ends what the batch left without an outcome.
func (h handler) unrecorded(ctx context.Context, r run.Run, targets []run.Target, before int) error {
	for _, t := range r.Unrecorded(targets, before, time.Now().UTC()) {
		if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
			return fmt.Errorf("ending target %s of run %s: %w", t.ClusterName, r.ID, err)
		}
		targets[slices.IndexFunc(targets, func(was run.Target) bool { return was.ClusterID == t.ClusterID })] = t
	}
	return nil
}

// goesOn says whether anything is left to do: targets wait, bake, or are to be taken back.
func (h handler) goesOn(ctx context.Context, r run.Run, targets []run.Target) (bool, error) {
	if open := run.Done(targets) < len(targets); open || !r.RollsOut() {
		return open, nil // NextBatch knows
	}
	d, g, err := h.store.FindIntent(ctx, r.Org, r)
	if err != nil {
		return false, fmt.Errorf("finding what run %s is about: %w", r.ID, err)
	}
	s := rollout.Situation{Run: r, Targets: targets, Now: time.Now()}
	s.Stopped, _ = r.StoppedBy(d.Generation, d.Deleting)
	verdict := g.Rollout.After(s, g.Atomic && remediation.Reverts(r, targets))
	if verdict == rollout.TurnsAround {
		if _, err := h.store.BeginReverting(ctx, r.Org, r.ID); err != nil {
			return false, fmt.Errorf("turning run %s around: %w", r.ID, err)
		}
	}
	return verdict != rollout.Ends, nil
}

func (h handler) conclude(ctx context.Context, r run.Run, targets []run.Target, verdict *workflow.Verdict) error {
	status := run.Conclude(targets)
	code, cause := run.Why(targets)
	if r.Type == run.Remove && (status == run.Succeeded || r.Force && (status == run.Partial || status == run.Failed)) {
		if err := h.forget(ctx, r); err != nil {
			return err
		}
		status, code, cause = run.Forgotten(targets)
	}
	if r.Withdraws() { // before the run ends: who repeats this finds it done
		g := deployment.Generation{Org: r.Org, DeploymentID: r.DeploymentID, Number: r.Generation, Before: r.Before}
		if err := h.store.Withdraw(ctx, g, r.ID); err != nil {
			return err
		}
	}
	r, err := h.store.FinishRun(ctx, r, status, code, cause, time.Now().UTC())
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
