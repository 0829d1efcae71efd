package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/remediation"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	task.Steps
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error
}

type handler struct{ store store }

// handle says what is carried out next on a target that failed. It is decided once for each failure on the target's path, by its number, and kept on
// the target: a second delivery, or one that comes late, gets the same answer and counts nothing.
func (h handler) handle(ctx context.Context, in workflow.Outcome) (workflow.Remedied, error) {
	out := workflow.Remedied{Outcome: in}
	began := time.Now().UTC()
	t, err := h.store.FindTarget(ctx, in.Org, in.Run, in.Cluster)
	if err != nil {
		return out, fmt.Errorf("finding target %s of run %s: %w", in.Cluster, in.Run, err)
	}
	if in.Caught == nil || in.Plan == "" || t.Status.Done() {
		return out, nil
	}
	if !follows(in, t) {
		if t, err = h.decide(ctx, in, t); err != nil {
			return out, fmt.Errorf("remedying target %s of run %s: %w", t.ClusterName, in.Run, err)
		}
		if err := h.tell(ctx, in, t, began); err != nil {
			return out, fmt.Errorf("recording the remedy of target %s: %w", t.ClusterName, err)
		}
	}
	if r := t.Remedy; follows(in, t) && r.Status == run.RemedyRunning {
		out.Plan, out.Remedy, out.Caught, out.Again = r.Plan, r.Number, nil, true
	}
	return out, nil
}

// follows says whether the target has a remedy that follows the one that failed; that one may still be called running.
func follows(in workflow.Outcome, t run.Target) bool {
	return t.Remedy != nil && t.Remedy.Number > in.Remedy
}

// decide finds the next remedy, keeps it and returns the target with it.
func (h handler) decide(ctx context.Context, in workflow.Outcome, t run.Target) (run.Target, error) {
	code, cause := in.Caught.Parse()
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return t, err
	}
	if was := t.Remedy; was != nil && was.Back() { // the way back ended, well or not
		next := remediation.Failed(*was, code, cause)
		if in.Caught.Error == taskerr.TryAgain {
			next = remediation.TryAgain(r, *was)
		}
		return h.keep(ctx, r, t, &next, nil)
	}
	f := remediation.Failure{Code: code, Cause: cause, Run: r, Target: t}
	if f, err = h.judged(ctx, in, f); err != nil {
		return t, err
	}
	remedy, entry := f.Next()
	return h.keep(ctx, r, t, remedy, entry)
}

// judged adds what is on record of the deployment and the release.
func (h handler) judged(ctx context.Context, in workflow.Outcome, f remediation.Failure) (remediation.Failure, error) {
	_, g, err := h.store.FindIntent(ctx, in.Org, f.Run)
	if err != nil {
		return f, err
	}
	f.Policy = g.Remediation
	entry, err := h.store.FindPlanEntry(ctx, in.Org, in.Plan, in.Cluster)
	if err != nil || entry.Absent { // a removal has nothing to go back to
		f.Policy = deployment.Remediation{}
		return f, err
	}
	f.Release, err = h.store.FindRelease(ctx, entry.Key)
	if problem.Is(err, "release-not-found") {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	_, plan := f.Goal()
	if plan == "" {
		return f, nil
	}
	base, err := h.store.FindPlanEntry(ctx, in.Org, plan, in.Cluster)
	if problem.Is(err, "plan-not-found") {
		return f, nil
	}
	f.Base = &base
	return f, err
}

// keep writes the entry first: a remedy that is on the target can be carried out.
func (h handler) keep(ctx context.Context, r run.Run, t run.Target, remedy *run.Remedy, entry *release.PlanEntry) (run.Target, error) {
	if remedy == nil {
		return t, nil
	}
	if entry != nil {
		if err := h.store.PutPlan(ctx, r.Org, entry.PlanHash, []release.PlanEntry{*entry}); err != nil {
			return t, err
		}
	}
	t.Remedy, t.Code, t.Cause = remedy, remedy.OfCode, remedy.OfCause
	if err := h.store.UpdateTarget(ctx, r.Org, r.ID, t); err != nil {
		return t, err
	}
	return h.store.FindTarget(ctx, r.Org, r.ID, t.ClusterID) // another delivery may have been first
}

// tell records the decision as a step of the run, if there was one to make.
func (h handler) tell(ctx context.Context, in workflow.Outcome, t run.Target, began time.Time) error {
	if !follows(in, t) {
		return nil
	}
	step := run.Step{
		ClusterID: t.ClusterID, ClusterName: t.ClusterName, State: "RemediateRelease", Remedy: in.Remedy, Status: "Succeeded",
		StartedAt: began, EndedAt: time.Now().UTC(),
	}
	if s := t.Remedy.Status; s == run.RemedyRefused || s == run.RemedyFailed {
		step.Status, step.Code, step.Cause = "Failed", t.Remedy.Code, t.Remedy.Cause
	}
	return h.store.PutStep(ctx, in.Org, in.Run, step)
}
