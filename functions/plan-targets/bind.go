package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
)

// bind makes the plan that the run applies its own, if the world is as that plan saw it: every target is looked at, and if one moved, none
// is touched. Nothing is rendered again.
func (p plan) bind(ctx context.Context, targets []run.Target) error {
	entries, err := p.store.ListPlan(ctx, p.run.Org, p.run.Apply)
	if err != nil {
		return fmt.Errorf("reading plan %s: %w", p.run.Apply, err)
	}
	moved, err := p.findMoved(ctx, targets, entries)
	if err != nil {
		return fmt.Errorf("comparing the targets with plan %s: %w", p.run.Apply, err)
	}
	for i := 0; i < len(entries) && len(moved) == 0; i++ {
		if moved, err = p.take(ctx, entries[i]); err != nil {
			return err
		}
	}
	if len(moved) > 0 {
		if err := p.store.Withdraw(ctx, p.generation, p.run.ID); err != nil {
			return err
		}
		return taskerr.Failed("plan-stale", "no target was touched: %s", strings.Join(moved, "; "))
	}
	if err := p.store.PutPlan(ctx, p.run.Org, p.run.Apply, entries); err != nil { // from now on they are kept: the releases refer to them
		return fmt.Errorf("keeping plan %s: %w", p.run.Apply, err)
	}
	if err := p.store.SetPlanHash(ctx, p.run.Org, p.run.ID, p.run.Apply); err != nil {
		return fmt.Errorf("naming the plan of run %s: %w", p.run.ID, err)
	}
	return nil
}

// findMoved gives each target that moved its outcome, and says what moved.
func (p plan) findMoved(ctx context.Context, targets []run.Target, entries []release.PlanEntry) ([]string, error) {
	planned := map[string]release.PlanEntry{}
	for _, e := range entries {
		planned[e.ClusterID] = e
	}
	moved := make([]string, len(targets), len(targets)+len(entries))
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	for i, t := range targets {
		e, ok := planned[t.ClusterID]
		delete(planned, t.ClusterID)
		if t.Status.Done() { // an attempt before this one found it moved
			moved[i] = t.ClusterName + ": " + t.Cause
			continue
		}
		tasks.Go(func() (err error) {
			what := "it was no target when the plan was made"
			if ok {
				if what, err = p.moved(taskCtx, t, e); err != nil {
					return fmt.Errorf("looking at target %s: %w", t.ClusterName, err)
				}
			}
			if what != "" {
				moved[i] = t.ClusterName + ": " + what
				return p.refuse(taskCtx, t, what)
			}
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		return nil, err
	}
	for _, e := range planned {
		moved = append(moved, e.ClusterName+": it is no target any more")
	}
	moved = slices.DeleteFunc(moved, func(s string) bool { return s == "" })
	slices.Sort(moved)
	return moved, nil
}

func (p plan) refuse(ctx context.Context, t run.Target, cause string) error {
	t.Status, t.Code, t.Cause, t.EndedAt = run.TargetFailed, "plan-stale", cause, time.Now().UTC()
	return p.store.UpdateTarget(ctx, p.run.Org, p.run.ID, t)
}

// moved says what of the target is no longer as its entry saw it; empty: all is.
func (p plan) moved(ctx context.Context, t run.Target, e release.PlanEntry) (string, error) {
	if t.ClusterName != e.ClusterName {
		return "it was named " + e.ClusterName + " when the plan was made", nil
	}
	sees, err := p.look(ctx, t)
	if err != nil {
		if code := taskerr.CodeOf(err); code != "internal" {
			return fmt.Sprintf("it answered when the plan was made, and now: %s: %s", code, taskerr.CauseOf(err)), nil
		}
		return "", err
	}
	return e.Moved(release.Sight{Action: p.decide(sees, e.InputHash).Action, Revision: sees.newest.Revision,
		Capabilities: sees.capabilities(!strings.HasPrefix(e.Capabilities, versionOnly))}), nil
}

// take claims the release's name. Somebody else's claim since the plan was made is a move, too.
func (p plan) take(ctx context.Context, e release.PlanEntry) (moved []string, err error) {
	t := run.Target{ClusterID: e.ClusterID, ClusterName: e.ClusterName, Action: string(e.Action), Status: run.TargetWaiting}
	err = p.claim(ctx, e.Key, release.OwnedByDeployment(p.deployment.ID))
	switch code := taskerr.CodeOf(err); {
	case err == nil, code == "superseded": // the roll-out finds the removal, too, and stops
	case code == "internal":
		return nil, fmt.Errorf("claiming release %s on cluster %s: %w", e.Key.Name, e.ClusterName, err)
	default:
		return []string{e.ClusterName + ": " + taskerr.CauseOf(err)}, nil
	}
	return nil, p.store.UpdateTarget(ctx, p.run.Org, p.run.ID, t)
}
