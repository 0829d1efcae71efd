package main

import (
	"context"
	"errors"

	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// bound ends the task where the run applies a plan and what would be done now is not what the plan showed: the target moved after the run had
// looked at all of them. Objects that drift are left where the plan showed that nothing happens. What the run itself did in an attempt before
// is no move.
func (v verb) bound(ctx context.Context, rel release.Release, history []record.Meta, action release.Action) (done bool, err error) {
	if v.run.Apply == "" || v.entry.TakesBack || len(history) > 0 && history[0].Labels[release.LabelRun] == v.run.ID {
		return false, nil
	}
	if action == release.Repair && v.entry.Action == release.None {
		return true, v.observe(ctx, rel, history)
	}
	if action == release.None && v.entry.Action == release.Repair { // somebody put it right meanwhile
		return false, nil
	}
	moved := v.entry.Moved(release.Sight{Action: action, Revision: record.Seen(history).Revision, Capabilities: v.entry.Capabilities})
	if moved == "" {
		return false, nil
	}
	return true, errors.Join(taskerr.Failed("plan-stale", "%s", moved), v.observe(ctx, rel, history))
}
