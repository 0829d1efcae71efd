package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

// world is a run's targets as a machine would walk them, with people and clusters who do as they like.
type world struct {
	*rapid.T
	rollout  rollout.Rollout
	run      run.Run
	targets  []run.Target
	releases map[string]release.Release
	now      time.Time
}

func draw(t *rapid.T) *world {
	w := &world{T: t, run: run.Run{ID: "r", Type: rapid.SampledFrom([]run.Type{run.Deploy, run.Rollback}).Draw(t, "type")}, releases: map[string]release.Release{}, now: noon}
	limits := func(label string) (l rollout.Limits) {
		some := func(what string, percent bool, min int) *rollout.Amount {
			if !rapid.Bool().Draw(t, label+what) {
				return nil
			}
			return &rollout.Amount{N: rapid.IntRange(min, 100).Draw(t, label+what+"N"), Percent: percent}
		}
		l.MaxConcurrency, l.MaxFailures = some("concurrency", rapid.Bool().Draw(t, label+"%"), 1), some("failures", true, 0)
		if rapid.Bool().Draw(t, label+"bakes") {
			l.MinSuccessTime = new(time.Duration(rapid.IntRange(0, 3600).Draw(t, label+"bake")) * time.Second)
		}
		return l
	}
	waves := rapid.IntRange(0, 3).Draw(t, "waves")
	for i := range waves {
		w.rollout.Waves = append(w.rollout.Waves, rollout.Wave{Name: fmt.Sprint("w", i), Limits: limits(fmt.Sprint("w", i))})
	}
	w.rollout.Limits = limits("all")
	if rapid.Bool().Draw(t, "reach") {
		w.rollout.MaxUnreachable = &rollout.Amount{N: rapid.IntRange(0, 5).Draw(t, "away")}
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "targets") {
		wave := ""
		if n := rapid.IntRange(0, waves).Draw(t, "wave"); n < waves {
			wave = fmt.Sprint("w", n)
		}
		w.targets = append(w.targets, waits(fmt.Sprint("c", i), wave))
	}
	return w
}

func (w *world) next() rollout.Step {
	return w.rollout.Next(rollout.Situation{Run: w.run, Targets: w.targets, Releases: w.releases, Now: w.now})
}

// walk gives each target of the step an outcome.
func (w *world) walk(step rollout.Step) {
	for _, picked := range step.Targets {
		for i := range w.targets {
			t := &w.targets[i]
			if t.ClusterID != picked.ClusterID {
				continue
			}
			w.now = w.now.Add(time.Second)
			if step.Recheck {
				t.SucceededAt = t.EndedAt
			}
			t.EndedAt = w.now
			t.Status = rapid.SampledFrom([]run.TargetStatus{run.TargetSucceeded, run.TargetSucceeded, run.TargetSucceeded, run.TargetFailed, run.TargetUnreachable}).Draw(w.T, "outcome")
			if rel := w.releases[t.ClusterID]; step.Recheck && rel.Observed != nil && rel.Observed.Revision != t.Revision {
				t.Status = run.TargetFailed // CheckRelease finds what was seen
			}
			if !step.Recheck {
				t.Revision = 3
				w.releases[t.ClusterID] = seen(func(r *release.Release) { r.Observed.At, r.HealthAt = w.now, w.now })
			}
		}
	}
}

// meddle changes a release behind the run's back, at times.
func (w *world) meddle() {
	for _, t := range w.targets {
		if rel := w.releases[t.ClusterID]; t.Status == run.TargetSucceeded && rapid.IntRange(0, 9).Draw(w.T, "meddle") == 0 {
			o := *rel.Observed
			o.Revision, o.At = o.Revision+1, w.now.Add(time.Millisecond)
			rel.Observed = &o
			w.releases[t.ClusterID] = rel
		}
	}
}

func (w *world) place(wave string) int {
	for i, one := range w.rollout.Waves {
		if one.Name == wave {
			return i
		}
	}
	return len(w.rollout.Waves)
}

// mayBegin holds what a user relies on when targets begin.
func (w *world) mayBegin(step rollout.Step) {
	wave := step.Targets[0].Wave
	failed, total, away := map[string]int{}, map[string]int{}, 0
	answered, lost := map[string]bool{}, map[string]bool{}
	for _, t := range w.targets {
		total[t.Wave]++
		switch t.Status {
		case run.TargetFailed:
			failed[t.Wave]++
		case run.TargetUnreachable:
			away++
			lost[t.Wave] = true
		case run.TargetSucceeded:
			answered[t.Wave] = true
			if bake := w.rollout.Bake(t.Wave); bake > 0 && (t.SucceededAt.IsZero() || t.EndedAt.Sub(t.SucceededAt) < bake) {
				w.Fatalf("%s begins, and %s has not baked", wave, t.ClusterID)
			}
			if rel := w.releases[t.ClusterID]; !w.rollout.IsZero() && rel.Observed.Revision != t.Revision {
				w.Fatalf("%s begins, and %s is at revision %d, not at %d", wave, t.ClusterID, rel.Observed.Revision, t.Revision)
			}
		case run.TargetWaiting:
			if first := w.place(t.Wave) < w.place(wave); t.Wave != wave && first == (w.run.Type != run.Rollback) {
				w.Fatalf("%s begins before %s", wave, t.Wave)
			}
		}
	}
	for name := range lost {
		if !answered[name] && name != wave && w.run.Type != run.Rollback {
			w.Fatalf("%s begins, and of %s nobody answers", wave, name)
		}
	}
	for name, n := range failed {
		if most := w.budget(name, total[name]); most >= 0 && n > most {
			w.Fatalf("%s begins, and %d of %d of %s failed", wave, n, total[name], name)
		}
	}
	if most := w.rollout.MaxUnreachable; most != nil && away > most.N {
		w.Fatalf("%s begins, and %d are away", wave, away)
	}
	if most := w.concurrency(wave, total[wave]); len(step.Targets) > most {
		w.Fatalf("%d at once, at most %d may", len(step.Targets), most)
	}
	for _, t := range step.Targets {
		if t.Wave != wave {
			w.Fatal("two waves at once")
		}
	}
}

func (w *world) limits(wave string) (own rollout.Limits) {
	if i := w.place(wave); i < len(w.rollout.Waves) {
		own = w.rollout.Waves[i].Limits
	}
	return own
}

func (w *world) budget(wave string, total int) int {
	a := w.limits(wave).MaxFailures
	if a == nil {
		a = w.rollout.MaxFailures
	}
	switch {
	case w.rollout.IsZero():
		return -1
	case a == nil:
		return 0
	}
	return a.N * total / 100
}

func (w *world) concurrency(wave string, total int) int {
	a := w.limits(wave).MaxConcurrency
	if a == nil {
		a = w.rollout.MaxConcurrency
	}
	switch {
	case a == nil:
		return total
	case a.Percent:
		return (a.N*total + 99) / 100
	}
	return a.N
}

func TestARollOutKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		for steps := 0; ; steps++ {
			if steps > 20*len(w.targets)+50 {
				t.Fatal("it does not end")
			}
			w.run.Paused = rapid.IntRange(0, 4).Draw(t, "paused") == 0
			step := w.next()
			switch step.Turn {
			case rollout.End:
				w.ends(step)
				return
			case rollout.Walk:
				if len(step.Targets) == 0 {
					t.Fatal("it walks nothing")
				}
				if w.run.Paused {
					t.Fatal("it walks while it is paused")
				}
				if !step.Recheck {
					w.mayBegin(step)
				}
				w.walk(step)
			case rollout.Await:
				if step.Until.IsZero() && !w.run.Paused {
					t.Fatal("it waits for nothing")
				}
				w.now = later(w.now, step.Until)
			case rollout.Bake:
				if step.Until.Sub(w.now) > rollout.MaxWait || !step.Until.After(w.now) {
					t.Fatalf("a bake of %s", step.Until.Sub(w.now))
				}
				w.now = later(w.now, step.Until)
			}
			w.meddle()
		}
	})
}

// ends: targets that were not begun are left only where a budget says so.
func (w *world) ends(step rollout.Step) {
	for _, t := range w.targets {
		if t.Status == run.TargetWaiting && step.Drop.Code != "budget-exhausted" {
			w.Fatalf("%s was forgotten", t.ClusterID)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
