package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	gates
	PutTurn(ctx context.Context, org, id string, t run.Turn) error
	FindRun(ctx context.Context, org, id string) (run.Run, error)
}

// tasks are machines that wait for their turn.
type tasks interface {
	Wake(ctx context.Context, token string) error
}

type handler struct {
	store   store
	tasks   tasks
	secrets credentials
	asker   asker
	api     string // where answers are sent
	now     func() time.Time
}

// handle keeps the token of a run's machine that waits. Whoever ends the reason then finds it; what ended before it was kept is found by the look after
// it, and ends the wait at once.
func (h handler) handle(ctx context.Context, in workflow.Waiting) (struct{}, error) {
	var none struct{}
	turn := run.Turn{Token: string(in.Token), Reason: in.Reason}
	if in.Until != "" {
		until, err := time.Parse(time.RFC3339, in.Until)
		if err != nil {
			return none, fmt.Errorf("reading when run %s goes on: %w", in.Run, err)
		}
		turn.Until = until
	}
	if err := h.store.PutTurn(ctx, in.Org, in.Run, turn); err != nil {
		return none, fmt.Errorf("keeping what wakes run %s: %w", in.Run, err)
	}
	r, err := h.store.FindRun(ctx, in.Org, in.Run)
	if err != nil {
		return none, fmt.Errorf("finding run %s: %w", in.Run, err)
	}
	waits := r.Waits(turn, h.now())
	if waits && turn.Reason == run.AtGate {
		if waits, err = h.gate(ctx, r); err != nil {
			return none, err
		}
	}
	if waits {
		return none, nil
	}
	return none, h.tasks.Wake(ctx, turn.Token)
}
