package rollout

import (
	"slices"

	"github.com/swell-sh/swell/shared/run"
)

// Fails says whether more went wrong than the roll-out's budgets allow; where it has none, no target may fail.
func (r Rollout) Fails(targets []run.Target) bool {
	failed := func(t run.Target) bool { return t.Status == run.TargetFailed }
	return r.IsZero() && slices.ContainsFunc(targets, failed) || r.exhausted(targets) != ""
}
