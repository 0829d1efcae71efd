package rollout

import (
	"fmt"
	"regexp"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

// The bounds of a roll-out. A run's machine may live for 30 days, and bakes leave five of them; what gates and the targets themselves take is not counted.
const (
	MaxWaves            = 20
	MaxBake             = 24 * time.Hour
	MaxBakes            = 25 * MaxBake // of all batches
	MinProgressDeadline = 10 * time.Second
	MaxProgressDeadline = time.Hour
)

var waveName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate finds what a user got wrong; members are the clusters that the deployment goes to. A wave that could match nobody is refused as an override
// for a stranger is: it would be skipped in silence.
func (r Rollout) Validate(members []cluster.Cluster) error {
	if len(r.Waves) > MaxWaves {
		return problem.Invalid("rollout-invalid", "there are %d waves", len(r.Waves)).At("rollout.waves").Try("use at most %d", MaxWaves)
	}
	if err := r.validate("rollout"); err != nil {
		return err
	}
	named := map[string]bool{}
	for i, w := range r.Waves {
		at := fmt.Sprintf("rollout.waves[%d]", i)
		if !waveName.MatchString(w.Name) {
			return problem.Invalid("rollout-invalid", "%q is no name of a wave", w.Name).At(at + ".name").Try("use at most 63 lower-case letters, digits and '-'")
		}
		if named[w.Name] {
			return problem.Invalid("rollout-invalid", "two waves are named %s", w.Name).At(at + ".name").Try("give each wave a name of its own")
		}
		named[w.Name] = true
		if err := w.validate(at, members); err != nil {
			return err
		}
	}
	return r.validateBakes(members)
}

// validateBakes adds up what the batches of all waves bake: each does.
func (r Rollout) validateBakes(members []cluster.Cluster) error {
	sizes := make([]int, len(r.Waves)+1) // the last of clusters in no wave
	for _, c := range members {
		sizes[r.index(r.WaveOf(c.Name, c.Labels))]++
	}
	left := MaxBakes
	for i, size := range sizes {
		name, at := "", "rollout.minSuccessTime"
		if i < len(r.Waves) {
			name = r.Waves[i].Name
			if r.Waves[i].MinSuccessTime != nil {
				at = fmt.Sprintf("rollout.waves[%d].minSuccessTime", i)
			}
		}
		bake := r.Bake(name)
		if bake == 0 || size == 0 {
			continue
		}
		most := min(r.atOnce(name, size), MaxBatch)
		batches := (size + most - 1) / most
		if batches > int(left/bake) {
			return problem.Invalid("rollout-invalid", "the batches of the waves would bake for more than %d days one after the other: here %d of them for %s", MaxBakes/MaxBake, batches, Text(bake)).
				At(at).Try("bake for less long, or raise maxConcurrency, so that there are fewer batches")
		}
		left -= time.Duration(batches) * bake
	}
	return nil
}

func (w Wave) validate(at string, members []cluster.Cluster) error {
	if len(w.Clusters) == 0 && w.Selector == nil {
		return problem.Invalid("rollout-invalid", "wave %s names no cluster", w.Name).At(at).Try("give clusters, or a selector; clusters in no wave come last by themselves")
	}
	known := map[string]bool{}
	for _, c := range members {
		known[c.Name] = true
	}
	for i, name := range w.Clusters {
		if !known[name] {
			return problem.Invalid("rollout-cluster-unknown", "no member of the group is named %q", name).At(fmt.Sprintf("%s.clusters[%d]", at, i)).
				Try("name one of the group's members, or add the cluster to the group first")
		}
	}
	if w.Selector != nil {
		if err := w.Selector.Validate(at + ".selector"); err != nil {
			return err
		}
		if !chooses(*w.Selector, members) {
			return problem.Invalid("rollout-cluster-unknown", "the selector of wave %s chooses no member of the group", w.Name).At(at + ".selector").
				Try("label a member so, or leave the wave out")
		}
	}
	if w.Gate != nil {
		if err := w.Gate.validate(at + ".gate"); err != nil {
			return err
		}
	}
	return w.Limits.validate(at)
}

func chooses(s cluster.Selector, members []cluster.Cluster) bool {
	for _, c := range members {
		if s.Matches(c.Labels) {
			return true
		}
	}
	return false
}

func (r Rollout) validate(at string) error {
	if a := r.MaxUnreachable; a != nil {
		if err := a.validate(at + ".maxUnreachable"); err != nil {
			return err
		}
	}
	return r.Limits.validate(at)
}

func (l Limits) validate(at string) error {
	if a := l.MaxConcurrency; a != nil {
		if err := a.validate(at + ".maxConcurrency"); err != nil {
			return err
		}
		if a.N == 0 {
			return problem.Invalid("rollout-invalid", "maxConcurrency is %s, and nothing would ever begin", a).At(at + ".maxConcurrency").Try("use 1 or more, or 1%% to 100%%")
		}
	}
	if a := l.MaxFailures; a != nil {
		if err := a.validate(at + ".maxFailures"); err != nil {
			return err
		}
	}
	if d := l.MinSuccessTime; d != nil && (*d < 0 || *d > MaxBake) {
		return problem.Invalid("rollout-invalid", "minSuccessTime is %s", *d).At(at+".minSuccessTime").Try("use 0s to %s", MaxBake)
	}
	if d := l.ProgressDeadline; d != nil && (*d < MinProgressDeadline || *d > MaxProgressDeadline) {
		return problem.Invalid("rollout-invalid", "progressDeadline is %s", *d).At(at+".progressDeadline").Try("use %s to %s", MinProgressDeadline, MaxProgressDeadline)
	}
	return nil
}

func (a Amount) validate(at string) error {
	if a.N < 0 || a.Percent && a.N > 100 {
		return problem.Invalid("rollout-invalid", "%s is no amount of targets", a).At(at).Try("use a number, or a percentage from 0%% to 100%%")
	}
	return nil
}
