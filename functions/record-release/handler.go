package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	task.Steps
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	ClearActiveRun(ctx context.Context, key release.Key, run string) error
	DeleteRelease(ctx context.Context, key release.Key, owner release.Owner, runID string) error
	SetDesired(ctx context.Context, key release.Key, owner release.Owner, desired release.Desired) error
	SetCatchUp(ctx context.Context, key release.Key, missed release.CatchUp) error
	ClearCatchUp(ctx context.Context, key release.Key, runID string) error
}

type handler struct{ store store }

// handle records how a target's path ended: the last word on it in this run.
func (h handler) handle(ctx context.Context, in workflow.Outcome) (struct{}, error) {
	var none struct{}
	t, err := h.store.FindTarget(ctx, in.Org, in.Run, in.Cluster)
	if err != nil {
		return none, fmt.Errorf("finding target %s of run %s: %w", in.Cluster, in.Run, err)
	}
	if t.Status.Done() {
		return none, nil
	}
	step := run.Step{ClusterID: t.ClusterID, ClusterName: t.ClusterName, State: "RecordRelease", Status: "Succeeded", StartedAt: time.Now().UTC()}
	conclude(&t, in)
	if in.Plan != "" {
		if err := h.settle(ctx, in, &t); err != nil {
			return none, err
		}
	}
	t.EndedAt = time.Now().UTC()
	step.EndedAt = t.EndedAt
	if err := h.store.PutStep(ctx, in.Org, in.Run, step); err != nil {
		return none, fmt.Errorf("recording the outcome of target %s: %w", t.ClusterName, err)
	}
	if err := h.store.UpdateTarget(ctx, in.Org, in.Run, t); err != nil {
		return none, fmt.Errorf("recording the outcome of target %s: %w", t.ClusterName, err)
	}
	return none, nil
}

func conclude(t *run.Target, in workflow.Outcome) {
	var code, cause string
	if in.Caught != nil {
		code, cause = in.Caught.Parse()
	} else if t.LearnedBy == "" {
		t.LearnedBy = run.LearnedByLook
	}
	if in.Unremedied != nil && (t.Remedy == nil || !t.Remedy.Back()) {
		t.Remedy = &run.Remedy{Number: in.Remedy + 1, Status: run.RemedyFailed, OfCode: code, OfCause: cause}
		t.Remedy.Code, t.Remedy.Cause = in.Unremedied.Parse()
	}
	*t = t.Ended(code, cause)
}

// settle frees the release for reconcile, forgets it once it is gone, and says whether the target was left with something.
func (h handler) settle(ctx context.Context, in workflow.Outcome, t *run.Target) error {
	entry, err := h.store.FindPlanEntry(ctx, in.Org, in.Plan, in.Cluster)
	if err != nil {
		return fmt.Errorf("finding the plan entry of target %s: %w", t.ClusterName, err)
	}
	rel, err := h.store.FindRelease(ctx, entry.Key)
	if problem.Is(err, "release-not-found") {
		return nil // an attempt before this one, or another run, has forgotten it
	}
	if err != nil {
		return fmt.Errorf("finding release %s: %w", entry.Key.Name, err)
	}
	if o := rel.Observed; o != nil {
		t.Revision = o.Revision // 0: absent
	}
	if wentBack := t.Remedy != nil && t.Remedy.Back(); t.Status == run.TargetFailed && !wentBack {
		t.LeftBehind = t.Warning != "" || leftBehind(rel, entry, in.Run)
	}
	if t.Status == run.TargetSucceeded && entry.Absent {
		return h.store.DeleteRelease(ctx, entry.Key, rel.Owner, in.Run)
	}
	if err := h.catchUp(ctx, in, entry, rel, t); err != nil {
		return fmt.Errorf("recording what release %s misses on cluster %s: %w", entry.Key.Name, t.ClusterName, err)
	}
	return h.store.ClearActiveRun(ctx, entry.Key, in.Run)
}

// leftBehind: the run reached the cluster, and what is there now is not what it wanted.
func leftBehind(rel release.Release, entry release.PlanEntry, runID string) bool {
	reached := rel.Desired != nil && rel.Desired.RunID == runID
	if !reached {
		return false
	}
	if entry.Absent {
		return rel.Observed == nil || !rel.Observed.Absent
	}
	if o := rel.Observed; o != nil && !o.Absent && o.OwnerLabel != release.OwnerLabel(rel.Owner) {
		return false // somebody else's, and untouched
	}
	return rel.Observed == nil || !rel.Observed.Absent && (rel.Observed.Status != "deployed" || rel.Health == release.Unhealthy)
}
