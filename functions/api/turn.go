package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
)

// waiters are machines that wait for their turn.
type waiters interface {
	Wake(ctx context.Context, token string) error
}

// PauseRun keeps a run from beginning further targets.
func (h handler) PauseRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath) {
	h.turn(w, r, org, runID, func(ctx context.Context, one run.Run) (run.Run, error) {
		if err := one.Pausable(); err != nil {
			return one, err
		}
		return h.store.SetPaused(ctx, org, runID, true)
	})
}

// ResumeRun lets a paused run go on.
func (h handler) ResumeRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath) {
	h.turn(w, r, org, runID, func(ctx context.Context, _ run.Run) (run.Run, error) {
		return h.store.SetPaused(ctx, org, runID, false)
	})
}

// CancelRun asks a run to touch no further target, or to take back what it did; what is being written on a cluster is ended first.
func (h handler) CancelRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath, params openapi.CancelRunParams) {
	h.turn(w, r, org, runID, func(ctx context.Context, one run.Run) (run.Run, error) {
		if !params.RollBack {
			return h.store.RequestCancel(ctx, org, runID)
		}
		if err := one.Revertible(); err != nil {
			return one, err
		}
		return h.store.BeginReverting(ctx, org, runID)
	})
}

// turn changes where a run goes, and wakes its machine if it waits for something that does not hold any more.
func (h handler) turn(w http.ResponseWriter, r *http.Request, org, runID string, change func(context.Context, run.Run) (run.Run, error)) {
	one, err := h.changed(r.Context(), org, runID, change)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	targets, err := h.store.ListTargets(r.Context(), org, runID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.RunOf(one, targets))
}

func (h handler) changed(ctx context.Context, org, runID string, change func(context.Context, run.Run) (run.Run, error)) (run.Run, error) {
	one, err := h.store.FindRun(ctx, org, runID)
	if err != nil {
		return one, err
	}
	if err := one.Steerable(); err != nil {
		return one, err
	}
	if one, err = change(ctx, one); err != nil {
		return one, err
	}
	turn, waits, err := h.store.FindTurn(ctx, org, runID)
	if err != nil || !waits || one.Waits(turn, h.now()) {
		return one, err
	}
	if err := h.waiters.Wake(ctx, turn.Token); err != nil {
		return one, fmt.Errorf("waking run %s: %w", runID, err)
	}
	return one, nil
}
