// Package callback brings together the tasks that wait for a release and what is reported of it, whichever comes first. A task says that it waits and then
// looks at what was reported; who reports records it and then looks who waits: so one of the two sees the other.
package callback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

// Store is where both are kept: *dynamo.Store.
type Store interface {
	FindWatch(ctx context.Context, key release.Key) (watch.Watch, error)
	FindWait(ctx context.Context, key release.Key) (w watch.Wait, found bool, err error)
	SetToken(ctx context.Context, key release.Key, run string, token workflow.TaskToken) (before workflow.TaskToken, ok bool, err error)
	ClaimAnswer(ctx context.Context, w watch.Wait, until time.Time) (bool, error)
	FreeAnswer(ctx context.Context, w watch.Wait) error
	EndWait(ctx context.Context, w watch.Wait) error
	SetLearnedBy(ctx context.Context, org, run, cluster string, by run.LearnedBy) error
}

// Tasks are who waits: *sfn.Tasks.
type Tasks interface {
	Wake(ctx context.Context, token string) error
	Heartbeat(ctx context.Context, token string) (waits bool, err error)
}

// Answerer lets tasks go on.
type Answerer struct {
	Store Store
	Tasks Tasks
	Now   func() time.Time
}

// claimed is how long an answer may take: who died at it is replaced after that.
const claimed = 10 * time.Second

// Await says that the run's task waits for what was recorded before: the objects of its release. It answers at once if they were reported meanwhile, or if
// another run has the release. It does not wait itself.
func (a Answerer) Await(ctx context.Context, key release.Key, runID string, token workflow.TaskToken) error {
	before, ok, err := a.Store.SetToken(ctx, key, runID, token)
	if err != nil {
		return err
	}
	if !ok {
		return a.Tasks.Wake(ctx, string(token))
	}
	if before != "" && before != token { // whose place was taken has nothing to wait for any more
		if err := a.Tasks.Wake(ctx, string(before)); err != nil {
			return err
		}
	}
	reported, err := a.Store.FindWatch(ctx, key)
	if err != nil {
		return fmt.Errorf("finding what was reported of release %s: %w", key.Name, err)
	}
	return a.Reported(ctx, reported)
}

// Reported answers the task that waits for what was recorded of a release, be it news or not: who recorded it first may have died before this.
func (a Answerer) Reported(ctx context.Context, reported watch.Watch) error {
	w, found, err := a.Store.FindWait(ctx, reported.Key)
	if err != nil {
		return fmt.Errorf("finding who waits for release %s: %w", reported.Name, err)
	}
	if !found || w.Token == "" || !w.Over(reported) {
		return nil
	}
	return a.answer(ctx, w, run.LearnedByRelay)
}

// Heard is for a task whose relay was heard: it goes on if its deadline has come or if there is a report that nobody answered it with; else its machine is
// told that the relay is alive.
func (a Answerer) Heard(ctx context.Context, w watch.Wait) error {
	if a.Now().After(w.Until) {
		return a.answer(ctx, w, "")
	}
	reported, err := a.Store.FindWatch(ctx, w.Key)
	if err != nil {
		return fmt.Errorf("finding what was reported of release %s: %w", w.Name, err)
	}
	if w.Over(reported) {
		return a.answer(ctx, w, run.LearnedByRelay)
	}
	waits, err := a.Tasks.Heartbeat(ctx, string(w.Token))
	if err != nil || waits {
		return err
	}
	return a.Store.EndWait(ctx, w)
}

// answer lets the task look at its release: once, however many say at once that it may. by says how the run then learned what there is; empty: it stays.
func (a Answerer) answer(ctx context.Context, w watch.Wait, by run.LearnedBy) error {
	mine, err := a.Store.ClaimAnswer(ctx, w, a.Now().Add(claimed))
	if err != nil {
		return fmt.Errorf("claiming the answer to the task of run %s: %w", w.Run, err)
	}
	if !mine {
		return nil
	}
	if err := a.send(ctx, w, by); err != nil {
		return errors.Join(err, a.Store.FreeAnswer(context.WithoutCancel(ctx), w))
	}
	if err := a.Store.EndWait(ctx, w); err != nil {
		return fmt.Errorf("recording that the task of run %s is answered: %w", w.Run, err)
	}
	return nil
}

func (a Answerer) send(ctx context.Context, w watch.Wait, by run.LearnedBy) error {
	if by != "" {
		if err := a.Store.SetLearnedBy(ctx, w.Org, w.Run, w.ClusterID, by); err != nil {
			return fmt.Errorf("recording how run %s learned of its target: %w", w.Run, err)
		}
	}
	return a.Tasks.Wake(ctx, string(w.Token))
}
