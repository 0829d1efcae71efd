package main

import (
	"context"
	"errors"
	"testing"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// runsOnly is a store of which a test needs the runs.
type runsOnly struct {
	store
	run     run.Run
	err     error
	cleared *string
}

func (r runsOnly) FindRun(context.Context, string, string) (run.Run, error) { return r.run, r.err }

func (r runsOnly) ClearActiveRun(_ context.Context, _ release.Key, runID string) error {
	*r.cleared = runID
	return nil
}

func TestARunThatEndedHoldsNothing(t *testing.T) {
	cases := map[string]struct {
		store runsOnly
		held  bool
		fails bool
	}{
		"it is under way":      {runsOnly{run: run.Run{Status: run.Running}}, true, false},
		"it was not started":   {runsOnly{run: run.Run{Status: run.Pending}}, true, false},
		"it ended":             {runsOnly{run: run.Run{Status: run.Failed}}, false, false},
		"it is gone":           {runsOnly{err: problem.NotFound("run-not-found", "x")}, false, false},
		"it cannot be learned": {runsOnly{err: errors.New("boom")}, true, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cleared := ""
			c.store.cleared = &cleared
			held, err := handler{store: c.store}.held(t.Context(), release.Release{ActiveRun: "r"})
			if held != c.held || (err != nil) != c.fails {
				t.Errorf("held %v, %v", held, err)
			}
			if (cleared == "r") == c.held {
				t.Errorf("held %v, cleared %q", held, cleared)
			}
		})
	}
}
