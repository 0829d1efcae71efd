package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/run"
)

type turnItem struct {
	head
	Token, Reason string
	Until         stamp
}

// PutTurn keeps what wakes the run's machine, which waits. The sweeper looks at the run when the wait ends, and soon in any case: the machine may die, another
// run may take its place, and who ends the wait may die before it wakes the machine.
func (s *Store) PutTurn(ctx context.Context, org, id string, t run.Turn) error {
	item := turnItem{head: headOf(turnKey(org, id)), Token: t.Token, Reason: t.Reason, Until: stamp{t.Until}}
	if err := s.put(ctx, item, always); err != nil {
		return err
	}
	look := s.now().Add(SweepAgainAfter)
	if !t.Until.IsZero() && t.Until.Before(look) {
		look = t.Until
	}
	return s.DeferRun(ctx, org, id, look)
}

// FindTurn finds what wakes the run's machine; found is false if it never waited. It may have been woken since: waking it again does nothing.
func (s *Store) FindTurn(ctx context.Context, org, id string) (t run.Turn, found bool, err error) {
	var item turnItem
	found, err = s.get(ctx, turnKey(org, id), &item)
	return run.Turn{Token: item.Token, Reason: item.Reason, Until: item.Until.Time}, found, err
}

// SetPaused pauses or resumes a run, and returns it. One that has ended cannot be.
func (s *Store) SetPaused(ctx context.Context, org, id string, paused bool) (run.Run, error) {
	var u expression.UpdateBuilder
	r, changed, err := s.changeRun(ctx, org, id, set(u, "Paused", paused), notDone())
	if err == nil && !changed {
		err = r.Steerable()
	}
	return r, err
}

// RecheckTarget opens a target that succeeded, so that it is looked at again and its outcome can change. One that is open stays so.
func (s *Store) RecheckTarget(ctx context.Context, org, runID string, t run.Target) error {
	var u expression.UpdateBuilder
	u = set(set(set(u, "Status", string(run.TargetVerifying)), "Done", false), "SucceededAt", stamp{t.EndedAt})
	u = set(u, "RecheckedAt", stamp{s.now()})
	err := s.update(ctx, targetKey(org, runID, t.ClusterID), u, equal("Status", string(run.TargetSucceeded)), nil)
	if conditionFailed(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.touchRun(ctx, org, runID)
}
