package rollout

import (
	"slices"

	"github.com/swell-sh/swell/shared/run"
)

// Fails says whether more went wrong in the run than the roll-out's budgets allow; where it has none, no target may fail.
func (r Rollout) Fails(of run.Run, targets []run.Target) bool {
	failed := func(t run.Target) bool { return t.Status == run.TargetFailed }
	return r.IsZero() && slices.ContainsFunc(targets, failed) || r.exhausted(of, targets) != ""
}

// Verdict is what becomes of a run all of whose targets are done.
type Verdict string

// The verdicts there are.
const (
	GoesOn      Verdict = "goes on" // as Next says
	TurnsAround Verdict = "turns around"
	Ends        Verdict = "ends"
)

// After says what becomes of the run once all of its targets are done. atomic: it turns around, if too many of them failed.
func (r Rollout) After(s Situation, atomic bool) Verdict {
	switch {
	case atomic && s.Stopped == "" && r.Fails(s.Run, s.Targets):
		return TurnsAround
	case r.Next(s).Turn != End:
		return GoesOn
	}
	return Ends
}
