package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Turn is what a run does next. The roll-out machine branches on it.
type Turn string

// The turns there are.
const (
	Walk  Turn = "walk"  // these targets
	Bake  Turn = "bake"  // nothing for a moment
	Await Turn = "await" // nothing until somebody says so, or for long
	End   Turn = "end"
)

// CodeBudgetExhausted is the code of what a used up budget keeps back.
const CodeBudgetExhausted = "budget-exhausted"

// MaxWait is the longest bake that a machine waits out by itself: nobody can end such a wait.
const MaxWait = 15 * time.Second

// MaxBatch keeps a batch's items well below a state's 256 KiB.
const MaxBatch = 500

// Situation is all that decides.
type Situation struct {
	Run      run.Run
	Targets  []run.Target
	Releases map[string]release.Release // of targets that succeeded, as last seen, by cluster id
	Stopped  run.TargetStatus           // the run may touch no further target, which become that; empty: it may
	Gates    map[string]run.Gate        // that were asked, by wave
	Now      time.Time
}

// Step is what is next.
type Step struct {
	Turn    Turn
	Targets []run.Target // to walk
	Recheck bool         // they are only looked at
	Revert  bool         // they return to what they had
	Reason  string       // of Bake and Await
	Gate    *run.Gate    // of Await: to be asked
	Until   time.Time    // of Bake, and of Await where it ends by itself
	Drop    Drop         // of End
}

// Drop is what becomes of targets that were not begun.
type Drop struct {
	Status run.TargetStatus // empty: there are none
	Code   string
	Cause  string
}

// Next decides what the run does next. Failures beyond a budget stop it; unreachable clusters have a budget of their own, and stop it where nobody of their
// wave succeeded. Nothing begins before every target before it is well: it succeeded in this run, was looked at again after its bake, and nothing seen since
// says otherwise.
func (r Rollout) Next(s Situation) Step {
	if again := s.among(func(t run.Target) bool {
		return !t.Status.Done() && !t.SucceededAt.IsZero() && (t.Remedy == nil || !t.Remedy.Reverts)
	}); len(again) > 0 {
		return Step{Turn: Walk, Targets: again, Recheck: true} // this step was decided before, and its answer lost
	}
	switch cause := r.exhausted(s.Run, s.Targets); {
	case s.Stopped != "":
		return Step{Turn: End, Drop: Drop{Status: s.Stopped}}
	case s.Run.Phase == run.Reverting:
		return r.back(s)
	case cause != "":
		return Step{Turn: End, Drop: Drop{run.TargetCanceled, CodeBudgetExhausted, cause}}
	}
	return r.forward(s)
}

func (r Rollout) forward(s Situation) Step {
	waiting := s.among(func(t run.Target) bool { return !t.Status.Done() })
	baking := s.among(func(t run.Target) bool {
		return t.Status == run.TargetSucceeded && t.SucceededAt.IsZero() && r.Bake(t.Wave) > 0
	})
	if s.Run.Paused && len(waiting)+len(baking) > 0 {
		return Step{Turn: Await, Reason: run.Paused}
	}
	if until := r.bakedAt(baking); s.Now.Before(until) {
		return r.bake(until, s.Now)
	}
	if len(baking) > 0 {
		return Step{Turn: Walk, Targets: first(baking, MaxBatch), Recheck: true}
	}
	if len(waiting) == 0 {
		return Step{Turn: End}
	}
	if moved := s.among(s.moved); len(moved) > 0 && !r.IsZero() {
		return Step{Turn: Walk, Targets: first(moved, MaxBatch), Recheck: true}
	}
	batch := r.batch(s, waiting, s.Run.Type == run.Rollback)
	if step, shut := r.gate(s, batch[0].Wave); shut {
		return step
	}
	return Step{Turn: Walk, Targets: batch}
}

// back takes the targets back that the run has changed, the last wave first. What cannot be taken back stops nobody.
func (r Rollout) back(s Situation) Step {
	begun := s.among(run.Target.MustRevert)
	if len(begun) == 0 {
		return Step{Turn: End, Drop: Drop{run.TargetCanceled, "reverted", "the run was turned around before it came to this target"}}
	}
	slices.Reverse(begun)
	return Step{Turn: Walk, Targets: r.batch(s, begun, true), Revert: true}
}

// batch is the next part of the first wave that has some of these targets; backwards, of the last.
func (r Rollout) batch(s Situation, waiting []run.Target, backwards bool) []run.Target {
	now := waiting[0].Wave
	for _, t := range waiting {
		if before := r.index(t.Wave) < r.index(now); t.Wave != now && before != backwards {
			now = t.Wave
		}
	}
	total := len(s.among(func(t run.Target) bool { return t.Wave == now }))
	waiting = slices.DeleteFunc(waiting, func(t run.Target) bool { return t.Wave != now })
	return first(waiting, min(r.atOnce(now, total), MaxBatch))
}

// tally counts the targets of a wave.
type tally struct{ total, succeeded, failed, away, other int }

// exhausted says which budget is used up and by what; empty: none is.
func (r Rollout) exhausted(of run.Run, targets []run.Target) string {
	waves, away := map[string]tally{}, 0
	for _, t := range targets {
		n := waves[t.Wave]
		n.total++
		switch t.Status {
		case run.TargetSucceeded:
			n.succeeded++
		case run.TargetFailed, run.TargetSuperseded:
			n.failed++
		case run.TargetUnreachable:
			n.away++
			away++
		default:
			n.other++
		}
		waves[t.Wave] = n
	}
	for _, t := range targets {
		n := waves[t.Wave]
		if most, bounded := r.mayFail(t.Wave, n.total); bounded && n.failed > most {
			return fmt.Sprintf("%d of %d targets %s failed, and at most %d may", n.failed, n.total, within(t.Wave), most)
		}
	}
	if most := r.MaxUnreachable; most != nil && away > most.down(len(targets)) {
		return fmt.Sprintf("%d of %d targets could not be reached, and at most %d may", away, len(targets), most.down(len(targets)))
	}
	return r.lost(of, waves)
}

// lost says which wave must not be followed, since none of its targets succeeded and some give no answer: what the run brought may be why. A rollback, which
// may be the cure, goes on.
func (r Rollout) lost(of run.Run, waves map[string]tally) string {
	if of.Type == run.Rollback {
		return ""
	}
	for i, w := range r.Waves {
		n, follows := waves[w.Name], false
		for later := range waves {
			follows = follows || r.index(later) > i
		}
		if follows && n.other == 0 && n.succeeded == 0 && n.away > 0 {
			return fmt.Sprintf("no target of wave %s succeeded, and %d of %d could not be reached: this very change may be why they do not answer", w.Name, n.away, n.total)
		}
	}
	return ""
}

func within(wave string) string {
	if wave == "" {
		return "of the last wave"
	}
	return "of wave " + wave
}

// bakedAt is when the last of the targets has been well for long enough.
func (r Rollout) bakedAt(targets []run.Target) (until time.Time) {
	for _, t := range targets {
		if at := t.EndedAt.Add(r.Bake(t.Wave)); at.After(until) {
			until = at
		}
	}
	return until
}

func (r Rollout) bake(until, now time.Time) Step {
	if until.Sub(now) <= MaxWait {
		return Step{Turn: Bake, Reason: run.Baking, Until: until}
	}
	return Step{Turn: Await, Reason: run.Baking, Until: until}
}

// moved says that the target succeeded and that something seen since says it is not as this run left it. A look decides; what was seen before the last
// look does not count.
func (s Situation) moved(t run.Target) bool {
	rel, ok := s.Releases[t.ClusterID]
	if t.Status != run.TargetSucceeded || !ok || rel.Desired == nil {
		return false
	}
	if rel.Desired.RunID != s.Run.ID {
		return rel.Desired.SetAt.After(t.EndedAt)
	}
	o := rel.Observed
	if o != nil && o.At.After(t.EndedAt) && (!release.InSync(rel.Desired, o) || o.Revision != t.Revision) {
		return true
	}
	return rel.Health == release.Unhealthy && rel.HealthAt.After(t.EndedAt)
}

// among returns the targets for which that holds, in their order.
func (s Situation) among(holds func(run.Target) bool) (found []run.Target) {
	for _, t := range s.Targets {
		if holds(t) {
			found = append(found, t)
		}
	}
	return found
}

func first(targets []run.Target, most int) []run.Target { return targets[:min(most, len(targets))] }
