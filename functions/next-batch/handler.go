package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	reverts
	OpenGate(ctx context.Context, org, run string, g run.Gate) error
	ListGates(ctx context.Context, org, run string) (map[string]run.Gate, error)
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	FindReleases(ctx context.Context, keys []release.Key) (map[release.Key]release.Release, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	RecheckTarget(ctx context.Context, org, run string, target run.Target) error
}

type handler struct {
	store store
	now   func() time.Time
}

// next is a run about to take its next step.
type next struct {
	handler
	run        run.Run
	deployment deployment.Deployment
	rollout    rollout.Rollout
	targets    []run.Target
}

// handle says what the run does next, as the package rollout decides, and what becomes of targets that it leaves.
func (h handler) handle(ctx context.Context, in workflow.Progress) (workflow.Batch, error) {
	batch := workflow.Batch{Progress: in, Items: []workflow.TargetRef{}}
	n, err := h.load(ctx, in)
	if err != nil {
		return batch, err
	}
	situation, err := n.situation(ctx)
	if err != nil {
		return batch, err
	}
	step := n.rollout.Next(situation)
	batch.Turn, batch.Reason = string(step.Turn), step.Reason
	if !step.Until.IsZero() {
		batch.Until = step.Until.Add(time.Second - 1).UTC().Format(time.RFC3339) // rounded up
	}
	if step.Gate != nil {
		if err := n.store.OpenGate(ctx, n.run.Org, n.run.ID, *step.Gate); err != nil {
			return batch, err
		}
	}
	if batch.Items, err = n.open(ctx, step); err != nil {
		return batch, err
	}
	batch.Done = n.doneBut(step.Targets)
	return batch, n.drop(ctx, step.Drop)
}

func (h handler) load(ctx context.Context, in workflow.Progress) (n next, err error) {
	n.handler = h
	if n.run, err = h.store.FindRun(ctx, in.Org, in.Run); err != nil {
		return n, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	var g deployment.Generation
	if n.deployment, g, err = h.store.FindIntent(ctx, n.run.Org, n.run); err != nil {
		return n, fmt.Errorf("finding what run %s is about: %w", n.run.ID, err)
	}
	if n.run.RollsOut() {
		n.rollout = g.Rollout
	}
	if n.targets, err = h.store.ListTargets(ctx, n.run.Org, n.run.ID); err != nil {
		return n, fmt.Errorf("listing the targets of run %s: %w", n.run.ID, err)
	}
	return n, nil
}

// situation reads the gates, and what was seen of the releases, only where something may follow.
func (n next) situation(ctx context.Context) (rollout.Situation, error) {
	s := rollout.Situation{Run: n.run, Targets: n.targets, Releases: map[string]release.Release{}, Now: n.now()}
	s.Stopped, _ = n.run.StoppedBy(n.deployment.Generation, n.deployment.Deleting)
	if n.rollout.IsZero() {
		return s, nil
	}
	var keys []release.Key
	waiting := false
	for _, t := range n.targets {
		waiting = waiting || !t.Status.Done()
		if t.Status == run.TargetSucceeded {
			keys = append(keys, n.key(t))
		}
	}
	if !waiting {
		return s, nil
	}
	if n.rollout.HasGate() {
		gates, err := n.store.ListGates(ctx, n.run.Org, n.run.ID)
		if err != nil {
			return s, fmt.Errorf("listing the gates of run %s: %w", n.run.ID, err)
		}
		s.Gates = gates
	}
	if len(keys) == 0 {
		return s, nil
	}
	found, err := n.store.FindReleases(ctx, keys)
	if err != nil {
		return s, fmt.Errorf("finding the releases that run %s has made: %w", n.run.ID, err)
	}
	for key, rel := range found {
		s.Releases[key.ClusterID] = rel
	}
	return s, nil
}

func (n next) key(t run.Target) release.Key {
	return release.Key{Org: n.run.Org, ClusterID: t.ClusterID, Namespace: n.deployment.Namespace, Name: n.deployment.ReleaseName}
}

// open makes the items of a batch. Targets that had their outcome are opened again for it.
func (n next) open(ctx context.Context, step rollout.Step) ([]workflow.TargetRef, error) {
	items := []workflow.TargetRef{}
	for _, t := range step.Targets {
		item := workflow.TargetRef{Org: n.run.Org, Run: n.run.ID, Plan: n.run.PlanHash, Cluster: t.ClusterID, Recheck: step.Recheck}
		switch {
		case step.Revert:
			remedy, err := n.revert(ctx, t)
			if err != nil {
				return items, fmt.Errorf("taking target %s of run %s back: %w", t.ClusterName, n.run.ID, err)
			}
			if remedy.Plan == "" {
				continue // it cannot be
			}
			item.Plan, item.Remedy = remedy.Plan, remedy.Number
		case step.Recheck:
			if t.Remedy != nil {
				item.Remedy = t.Remedy.Number // what fails now is another failure
			}
			if !t.Status.Done() {
				break // opened by a call whose answer was lost
			}
			if err := n.store.RecheckTarget(ctx, n.run.Org, n.run.ID, t); err != nil {
				return items, fmt.Errorf("opening target %s of run %s again: %w", t.ClusterName, n.run.ID, err)
			}
		}
		items = append(items, item)
	}
	return items, nil
}

// doneBut counts the targets that have their outcome, but for those of a step: they are open again, or were refused to be, which is an outcome.
func (n next) doneBut(step []run.Target) int { return run.Done(n.targets) - run.Done(step) }

// drop ends the targets that the run does not come to any more. One that it had come to has lost its outcome.
func (n next) drop(ctx context.Context, d rollout.Drop) error {
	if d.Status == "" {
		return nil
	}
	for _, t := range n.targets {
		if t.Status.Done() {
			continue
		}
		now := n.now().UTC()
		if t.Status == run.TargetWaiting {
			t.Status, t.Code, t.Cause, t.EndedAt = d.Status, d.Code, d.Cause, now
		} else {
			t = n.run.Abandon(t, run.CodeUnrecorded, run.CauseUnrecorded, now)
		}
		if err := n.store.UpdateTarget(ctx, n.run.Org, n.run.ID, t); err != nil {
			return fmt.Errorf("stopping target %s of run %s: %w", t.ClusterName, n.run.ID, err)
		}
	}
	return nil
}
