package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	maxClusters = 500 // a tick; what is left is due at the next
	maxRuns     = 50
	maxGroups   = 100
)

type store interface {
	reviewStore
	turns
	ClaimDueClusters(ctx context.Context, now time.Time, limit int) ([]cluster.Cluster, error)
	KeptGroups(ctx context.Context, org string) ([]group.Group, error)
	DueRuns(ctx context.Context, now time.Time, limit int) ([]run.Run, error)
	DeferRun(ctx context.Context, org, id string, until time.Time) error
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FinishRun(ctx context.Context, of run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error)
}

type machines interface {
	Start(ctx context.Context, machine, name string, input any) error
	// Alive says whether the execution of that name runs; false also where it never started.
	Alive(ctx context.Context, machine, name string) (alive, known bool, err error)
}

type checks interface {
	Send(ctx context.Context, body any) error
}

type handler struct {
	store    store
	machines machines
	waiters  waiters
	checks   checks
	log      *slog.Logger
	now      func() time.Time
	newID    func() string
}

// handle sends clusters whose check is due to their check, reviews groups whose clusters may have changed, and starts runs that were written and
// never started.
func (h handler) handle(ctx context.Context, _ struct{}) (struct{}, error) {
	return struct{}{}, errors.Join(h.clusters(ctx), h.runs(ctx), h.reviews(ctx))
}

func (h handler) clusters(ctx context.Context) error {
	due, err := h.store.ClaimDueClusters(ctx, h.now(), maxClusters)
	if err != nil {
		return fmt.Errorf("claiming due clusters: %w", err)
	}
	groups := map[string][]group.Group{} // by org
	for _, c := range due {
		if _, ok := groups[c.Org]; !ok {
			if groups[c.Org], err = h.store.KeptGroups(ctx, c.Org); err != nil {
				return fmt.Errorf("listing the groups of org %s: %w", c.Org, err)
			}
		}
		every := group.IntervalFor(c, groups[c.Org])
		if err := h.checks.Send(ctx, workflow.TargetRef{Org: c.Org, Cluster: c.ID, EverySeconds: int(every / time.Second)}); err != nil {
			return fmt.Errorf("sending cluster %s to its check: %w", c.Name, err)
		}
	}
	h.log.InfoContext(ctx, "due clusters", "count", len(due))
	return nil
}

func (h handler) runs(ctx context.Context) error {
	due, err := h.store.DueRuns(ctx, h.now(), maxRuns)
	if err != nil {
		return fmt.Errorf("listing runs to sweep: %w", err)
	}
	var errs []error
	for _, r := range due {
		if err := h.sweep(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("sweeping run %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// sweep starts a run that never started, under the name it would have had, and ends the record of one whose machine is dead.
func (h handler) sweep(ctx context.Context, r run.Run) error {
	alive, known, err := h.machines.Alive(ctx, r.Type.Machine(), r.ID)
	if err != nil {
		return err
	}
	switch {
	case !known:
		h.log.WarnContext(ctx, "starting a run that never started", "run", r.ID)
		if err := h.machines.Start(ctx, r.Type.Machine(), r.ID, r.Ref()); err != nil {
			return err
		}
	case !alive:
		h.log.ErrorContext(ctx, "ending a run whose machine is dead", "run", r.ID)
		return h.end(ctx, r)
	}
	again, err := h.turn(ctx, r)
	if err != nil {
		return err
	}
	return h.store.DeferRun(ctx, r.Org, r.ID, again)
}

// end says how a run ended whose machine could not say it, and what became of its targets.
func (h handler) end(ctx context.Context, r run.Run) error {
	const code, cause = "machine-died", "the run's state machine ended without recording how"
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if t.Status.Done() {
			continue
		}
		if err := h.store.UpdateTarget(ctx, r.Org, r.ID, r.Abandon(t, code, cause, h.now())); err != nil {
			return fmt.Errorf("ending target %s: %w", t.ClusterName, err)
		}
	}
	_, err = h.store.FinishRun(ctx, r, run.Failed, code, cause, h.now())
	return err
}
