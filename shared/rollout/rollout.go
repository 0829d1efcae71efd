// Package rollout decides in which order and how far a run walks its targets: waves, budgets, bakes, pauses and the way back.
package rollout

import (
	"cmp"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
)

// Rollout says how a generation goes to its targets. The fields and their meanings are those of Open Cluster Management's rollout strategy. The zero
// value is everything at once, without a budget.
type Rollout struct {
	Limits                 // of every wave that says nothing else
	Waves          []Wave  // in order; clusters that none of them names come last
	MaxUnreachable *Amount // of all targets: beyond it the run stops; nil: they stop nobody
}

// Wave is a set of targets that begins when every target before it is well.
type Wave struct {
	Name     string
	Clusters []string // by name
	Selector *cluster.Selector
	Gate     *Gate // nil: what comes after it begins when its targets are well
	Limits
}

// Limits bound a wave. nil: that of the roll-out, then the default.
type Limits struct {
	MaxConcurrency   *Amount        // targets walked side by side; default: all of the wave
	MinSuccessTime   *time.Duration // how long a target must have been well before anything follows it; default: 0
	ProgressDeadline *time.Duration // after it a target has failed; default: the deployment's timeout
	MaxFailures      *Amount        // targets of the wave that may fail before the run stops; default: 0
}

// Amount is a number of targets, or a percentage of a set of them.
type Amount struct {
	N       int
	Percent bool
}

// up is the amount of total, at least 1: a roll-out that walks nothing would never end.
func (a Amount) up(total int) int {
	if !a.Percent {
		return max(a.N, 1)
	}
	return max((a.N*total+99)/100, 1)
}

// down is the amount of total, rounded down: a budget is never larger than was said.
func (a Amount) down(total int) int {
	if !a.Percent {
		return a.N
	}
	return a.N * total / 100
}

// IsZero says that the roll-out says nothing.
func (r Rollout) IsZero() bool {
	return r.Limits == (Limits{}) && len(r.Waves) == 0 && r.MaxUnreachable == nil
}

// WaveOf names the first wave that has the cluster; empty: none, so that it comes last.
func (r Rollout) WaveOf(name string, labels map[string]string) string {
	for _, w := range r.Waves {
		for _, c := range w.Clusters {
			if c == name {
				return w.Name
			}
		}
		if w.Selector != nil && w.Selector.Matches(labels) {
			return w.Name
		}
	}
	return ""
}

// index is a wave's place; that of clusters in no wave is the last.
func (r Rollout) index(wave string) int {
	for i, w := range r.Waves {
		if w.Name == wave {
			return i
		}
	}
	return len(r.Waves)
}

// limits are those of a wave, completed by the roll-out's.
func (r Rollout) limits(wave string) Limits {
	l := r.Limits
	if i := r.index(wave); i < len(r.Waves) {
		own := r.Waves[i].Limits
		l = Limits{cmp.Or(own.MaxConcurrency, l.MaxConcurrency), cmp.Or(own.MinSuccessTime, l.MinSuccessTime),
			cmp.Or(own.ProgressDeadline, l.ProgressDeadline), cmp.Or(own.MaxFailures, l.MaxFailures)}
	}
	return l
}

// Bake is how long a target of the wave must have been well before anything follows it.
func (r Rollout) Bake(wave string) time.Duration {
	if bake := r.limits(wave).MinSuccessTime; bake != nil {
		return *bake
	}
	return 0
}

// Deadline is how many seconds a target of the wave may take; otherwise as many as its deployment gives.
func (r Rollout) Deadline(wave string, otherwise int) int {
	if deadline := r.limits(wave).ProgressDeadline; deadline != nil {
		return int(*deadline / time.Second)
	}
	return otherwise
}

// atOnce is how many of the wave's targets may be walked side by side.
func (r Rollout) atOnce(wave string, total int) int {
	if most := r.limits(wave).MaxConcurrency; most != nil {
		return most.up(total)
	}
	return total
}

// mayFail is how many of the wave's targets may fail; none: without a bound.
func (r Rollout) mayFail(wave string, total int) (most int, bounded bool) {
	if r.IsZero() {
		return 0, false
	}
	if budget := r.limits(wave).MaxFailures; budget != nil {
		return budget.down(total), true
	}
	return 0, true
}
