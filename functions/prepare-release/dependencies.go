package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
)

// mayBegin refuses health checks that are not CEL before anything is written, and waits for what the deployment depends on.
func (h handler) mayBegin(ctx context.Context, d deployment.Deployment, entry release.PlanEntry) error {
	if entry.HealthChecks {
		g, err := h.store.FindGeneration(ctx, d.Org, d.ID, entry.Generation)
		if err != nil {
			return fmt.Errorf("finding the health checks of release %s: %w", entry.Key.Name, err)
		}
		if _, err := healthcheck.Compile(g.HealthChecks, entry.Key.Namespace); err != nil {
			return atField(err)
		}
	}
	for _, name := range entry.DependsOn {
		why, err := h.waitsFor(ctx, d, entry, name)
		if err != nil {
			return err
		}
		if why != "" {
			return taskerr.New(taskerr.NotReady, "dependency-not-ready", fmt.Errorf("%s, which it depends on, %s", name, why))
		}
	}
	return nil
}

// atField puts the field into the cause: a target's failure has none.
func atField(err error) error {
	if p, ok := problem.From(err); ok {
		return taskerr.Failed(p.Code, "%s: %s. %s", p.Field, p.Detail, p.Remedy)
	}
	return err
}

// waitsFor says why the named deployment is not well on the target; empty: it is.
func (h handler) waitsFor(ctx context.Context, d deployment.Deployment, entry release.PlanEntry, name string) (string, error) {
	needed, err := h.store.FindDeploymentByName(ctx, d.Org, d.GroupID, name)
	if problem.Is(err, "deployment-not-found") {
		return "", taskerr.Failed("dependency-not-ready", "%s, which it depends on, was removed", name)
	}
	if err != nil {
		return "", fmt.Errorf("finding deployment %s: %w", name, err)
	}
	rel, err := h.store.FindRelease(ctx, release.Key{Org: d.Org, ClusterID: entry.ClusterID, Namespace: needed.Namespace, Name: name})
	switch {
	case problem.Is(err, "release-not-found"):
		return "is not there yet", nil
	case err != nil:
		return "", fmt.Errorf("finding release %s: %w", name, err)
	case rel.ActiveRun != "":
		return "is being changed by run " + rel.ActiveRun, nil
	case rel.Desired == nil || rel.Desired.Absent || !release.InSync(rel.Desired, rel.Observed):
		return "is not in sync", nil
	case rel.Health != release.Healthy:
		return fmt.Sprintf("is %s: %s", rel.Health, rel.HealthMessage), nil
	}
	return "", nil
}

// waiting says on the target what it waits for, once each time that changes, and fails it when its deployment's time is over.
func (h handler) waiting(ctx context.Context, runID string, entry release.PlanEntry, t run.Target, notReady error) error {
	what := taskerr.CauseOf(notReady)
	if time.Now().After(t.StartedAt.Add(time.Duration(entry.Timeout) * time.Second)) {
		return taskerr.New(taskerr.TargetFailed, taskerr.CodeOf(notReady), fmt.Errorf("after %d s %s", entry.Timeout, what))
	}
	if t.Cause != what {
		t.Cause = what
		if err := h.store.UpdateTarget(ctx, entry.Key.Org, runID, t); err != nil {
			return fmt.Errorf("marking target %s as waiting: %w", t.ClusterName, err)
		}
	}
	return notReady
}
