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
	FinishRun(ctx context.Context, org, id string, status run.Status, code, cause string, at time.Time) (run.Run, error)
}

type handler struct{ store store }

const codeUnrecorded = "unrecorded"

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
	verdict.Done = done(targets)
	if verdict.Done <= in.Done && verdict.Done < len(targets) {
		if err := h.unrecorded(ctx, r, targets); err != nil {
			return verdict, err
		}
		verdict.Done = done(targets)
	}
	if verdict.Again, err = h.goesOn(ctx, r, targets); err != nil || verdict.Again {
		return verdict, err
	}
	if err := h.conclude(ctx, r, targets, &verdict); err != nil {
		return verdict, fmt.Errorf("concluding run %s: %w", r.ID, err)
	}
	return verdict, nil
}

func done(targets []run.Target) (n int) {
	for _, t := range targets {
		if t.Status.Done() {
			n++
		}
	}
	return n
}

// unrecorded ends what a batch left without an outcome: the targets that it began or, where none of them was, all, so that the run does not go round
// for ever.
func (h handler) unrecorded(ctx context.Context, r run.Run, targets []run.Target) error {
	begun := slices.ContainsFunc(targets, func(t run.Target) bool { return !t.Status.Done() && t.Status != run.TargetWaiting })
	for i, t := range targets {
		if t.Status.Done() || begun && t.Status == run.TargetWaiting {
			continue
		}
		t.LeftBehind, t.EndedAt = !r.Type.OnlyLooks(), time.Now().UTC()
		t = t.Ended(codeUnrecorded, "the target's path ended without an outcome; its steps say how far it came")
		if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
			return fmt.Errorf("ending target %s of run %s: %w", t.ClusterName, r.ID, err)
		}
		targets[i] = t
	}
	return nil
}

// goesOn says whether anything is left to do: targets wait, bake, or are to be taken back.
func (h handler) goesOn(ctx context.Context, r run.Run, targets []run.Target) (bool, error) {
	if done(targets) < len(targets) {
		return true, nil // NextBatch knows
	}
	if !r.RollsOut() {
		return false, nil
	}
	d, g, err := h.store.FindIntent(ctx, r.Org, r)
	if err != nil {
		return false, fmt.Errorf("finding what run %s is about: %w", r.ID, err)
	}
	if g.Atomic && g.Rollout.Fails(targets) && remediation.Reverts(r, targets) {
		if r, err = h.store.BeginReverting(ctx, r.Org, r.ID); err != nil {
			return false, fmt.Errorf("turning run %s around: %w", r.ID, err)
		}
	}
	s := rollout.Situation{Run: r, Targets: targets, Now: time.Now()}
	s.Stopped, _ = r.StoppedBy(d.Generation, d.Deleting)
	return g.Rollout.Next(s).Turn != rollout.End, nil
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
	if r.Phase == run.Reverting { // before the run ends: who repeats this finds it done
		g := deployment.Generation{Org: r.Org, DeploymentID: r.DeploymentID, Number: r.Generation, Before: r.Before}
		if err := h.store.Withdraw(ctx, g, r.ID); err != nil {
			return err
		}
	}
	r, err := h.store.FinishRun(ctx, r.Org, r.ID, status, code, cause, time.Now().UTC())
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
