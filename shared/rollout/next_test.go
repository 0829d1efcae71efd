package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

func amount(text string) *rollout.Amount {
	a, err := rollout.ParseAmount(text)
	if err != nil {
		panic(err)
	}
	return &a
}

// canary is two waves, of which the first bakes, and what is in neither.
func canary() rollout.Rollout {
	return rollout.Rollout{Waves: []rollout.Wave{
		{Name: "canary", Limits: rollout.Limits{MinSuccessTime: new(5 * time.Minute)}},
		{Name: "eu", Limits: rollout.Limits{MaxConcurrency: amount("50%"), MaxFailures: amount("50%")}},
	}}
}

func waits(id, wave string) run.Target {
	return run.Target{ClusterID: id, Wave: wave, Status: run.TargetWaiting}
}

func ended(id, wave string, status run.TargetStatus) run.Target {
	return run.Target{ClusterID: id, Wave: wave, Status: status, Revision: 3, EndedAt: noon}
}

func baked(id, wave string) run.Target {
	t := ended(id, wave, run.TargetSucceeded)
	t.SucceededAt = noon.Add(-time.Hour)
	return t
}

// seen is what was seen of a release that the run r has made, after noon.
func seen(change func(*release.Release)) release.Release {
	rel := release.Release{
		Desired:  &release.Desired{RunID: "r", InputHash: "h", SetAt: noon.Add(-time.Minute)},
		Observed: &release.Observed{Revision: 3, LabelRevision: 3, InputHash: "h", Status: "deployed", At: noon.Add(time.Second)},
		Health:   release.Healthy, HealthAt: noon.Add(time.Second),
	}
	change(&rel)
	return rel
}

func TestNext(t *testing.T) {
	const ok, failed, away, superseded = run.TargetSucceeded, run.TargetFailed, run.TargetUnreachable, run.TargetSuperseded
	cases := map[string]struct {
		rollout  rollout.Rollout
		run      run.Run
		targets  []run.Target
		releases map[string]release.Release
		stopped  run.TargetStatus
		after    time.Duration // since noon
		want     string
	}{
		"nothing said: all at once":           {targets: []run.Target{waits("a", ""), waits("b", "")}, want: "walk a b"},
		"nothing said: failures stop nobody":  {targets: []run.Target{waits("a", ""), ended("b", "", failed)}, want: "walk a"},
		"no target":                           {want: "end"},
		"all done":                            {targets: []run.Target{ended("a", "", ok), ended("b", "", failed)}, want: "end"},
		"the canary first":                    {rollout: canary(), targets: []run.Target{waits("a", ""), waits("b", "eu"), waits("c", "canary")}, want: "walk c"},
		"it bakes":                            {rollout: canary(), targets: []run.Target{waits("a", ""), ended("c", "canary", ok)}, want: "await bake 12:05:00"},
		"a moment is left":                    {rollout: canary(), after: 5*time.Minute - 10*time.Second, targets: []run.Target{waits("a", ""), ended("c", "canary", ok)}, want: "bake bake 12:05:00"},
		"baked: looked at again":              {rollout: canary(), after: 5 * time.Minute, targets: []run.Target{waits("a", ""), ended("c", "canary", ok)}, want: "walk c recheck"},
		"looked at again, and well":           {rollout: canary(), targets: []run.Target{waits("a", ""), waits("b", "eu"), baked("c", "canary")}, want: "walk b"},
		"the last bakes, too":                 {rollout: canary(), targets: []run.Target{ended("c", "canary", ok)}, want: "await bake 12:05:00"},
		"half of a wave at a time":            {rollout: canary(), targets: []run.Target{waits("a", "eu"), waits("b", "eu"), waits("d", "eu"), baked("c", "canary")}, want: "walk a b"},
		"its rest":                            {rollout: canary(), targets: []run.Target{ended("a", "eu", ok), ended("b", "eu", ok), waits("d", "eu"), baked("c", "canary")}, want: "walk d"},
		"within its budget":                   {rollout: canary(), targets: []run.Target{ended("a", "eu", failed), ended("b", "eu", ok), waits("d", "eu")}, want: "walk d"},
		"the canary failed":                   {rollout: canary(), targets: []run.Target{waits("a", "eu"), ended("c", "canary", failed)}, want: "end Canceled budget-exhausted 1 of 1 targets of wave canary failed, and at most 0 may"},
		"a newer run took the canary":         {rollout: canary(), targets: []run.Target{waits("a", "eu"), ended("c", "canary", superseded)}, want: "end Canceled budget-exhausted 1 of 1 targets of wave canary failed, and at most 0 may"},
		"beyond its budget":                   {rollout: canary(), targets: []run.Target{ended("a", "eu", failed), ended("b", "eu", failed), waits("d", "eu")}, want: "end Canceled budget-exhausted 2 of 3 targets of wave eu failed, and at most 1 may"},
		"one of a wave is away":               {rollout: canary(), targets: []run.Target{waits("a", "eu"), baked("b", "canary"), ended("c", "canary", away)}, want: "walk a"},
		"all of a wave are away":              {rollout: canary(), targets: []run.Target{waits("a", "eu"), ended("c", "canary", away)}, want: "end Canceled budget-exhausted no target of wave canary succeeded, and 1 of 1 could not be reached: this very change may be why they do not answer"},
		"one is away, the others failed":      {rollout: canary(), targets: []run.Target{waits("a", ""), ended("b", "eu", failed), ended("c", "eu", away)}, want: "end Canceled budget-exhausted no target of wave eu succeeded, and 1 of 2 could not be reached: this very change may be why they do not answer"},
		"all of a batch are away":             {rollout: canary(), targets: []run.Target{ended("a", "eu", away), waits("b", "eu"), waits("c", "")}, want: "walk b"},
		"all of the last wave are away":       {rollout: canary(), targets: []run.Target{ended("a", "", away), baked("c", "canary")}, want: "end"},
		"a redrive, and all are away":         {rollout: canary(), run: run.Run{RedriveOf: "r0"}, targets: []run.Target{waits("a", "eu"), ended("c", "canary", away)}, want: "end Canceled budget-exhausted no target of wave canary succeeded, and 1 of 1 could not be reached: this very change may be why they do not answer"},
		"no waves, and all are away":          {rollout: rollout.Rollout{Limits: rollout.Limits{MaxConcurrency: amount("1")}}, targets: []run.Target{ended("a", "", away), waits("b", "")}, want: "walk b"},
		"a rollback goes on without a wave":   {rollout: canary(), run: run.Run{Type: run.Rollback}, targets: []run.Target{waits("c", "canary"), ended("a", "eu", away), ended("b", "", away)}, want: "walk c"},
		"too many are away":                   {rollout: rollout.Rollout{MaxUnreachable: amount("25%")}, targets: []run.Target{ended("a", "", away), waits("b", "")}, want: "end Canceled budget-exhausted 1 of 2 targets could not be reached, and at most 0 may"},
		"canceled":                            {rollout: canary(), stopped: run.TargetCanceled, targets: []run.Target{waits("a", ""), ended("c", "canary", ok)}, want: "end Canceled"},
		"canceled in a recheck":               {rollout: canary(), stopped: run.TargetCanceled, targets: []run.Target{waits("a", ""), {ClusterID: "c", Wave: "canary", Status: run.TargetVerifying, SucceededAt: noon}}, want: "walk c recheck"},
		"paused":                              {run: run.Run{Paused: true}, targets: []run.Target{waits("a", "")}, want: "await paused"},
		"paused in a bake":                    {rollout: canary(), run: run.Run{Paused: true}, targets: []run.Target{ended("c", "canary", ok)}, want: "await paused"},
		"paused, and nothing is left":         {run: run.Run{Paused: true}, targets: []run.Target{ended("c", "", ok)}, want: "end"},
		"a rollback begins with the last":     {rollout: canary(), run: run.Run{Type: run.Rollback}, targets: []run.Target{waits("c", "canary"), waits("b", "eu"), waits("a", "")}, want: "walk a"},
		"and ends with the first":             {rollout: canary(), run: run.Run{Type: run.Rollback}, targets: []run.Target{waits("c", "canary"), ended("b", "eu", ok), ended("a", "", ok)}, want: "walk c"},
		"upgraded by hand":                    {rollout: canary(), releases: map[string]release.Release{"c": seen(func(r *release.Release) { r.Observed.Revision = 4 })}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk c recheck"},
		"rolled back by hand, to this hash":   {rollout: canary(), releases: map[string]release.Release{"c": seen(func(r *release.Release) { r.Observed.Revision, r.Observed.LabelRevision = 4, 4 })}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk c recheck"},
		"it fell ill":                         {rollout: canary(), releases: map[string]release.Release{"c": seen(func(r *release.Release) { r.Health = release.Unhealthy })}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk c recheck"},
		"another run took it":                 {rollout: canary(), releases: map[string]release.Release{"c": seen(func(r *release.Release) { r.Desired.RunID, r.Desired.SetAt = "r2", noon.Add(time.Second) })}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk c recheck"},
		"it is as it was left":                {rollout: canary(), releases: map[string]release.Release{"c": seen(func(*release.Release) {})}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk a"},
		"what was seen before does not count": {rollout: canary(), releases: map[string]release.Release{"c": seen(func(r *release.Release) { r.Observed.Revision, r.Observed.At = 2, noon.Add(-time.Hour) })}, targets: []run.Target{waits("a", "eu"), baked("c", "canary")}, want: "walk a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.run.ID = "r"
			got := c.rollout.Next(rollout.Situation{Run: c.run, Targets: c.targets, Releases: c.releases, Stopped: c.stopped, Now: noon.Add(c.after)})
			if diff := cmp.Diff(c.want, words(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// words is a step in a line.
func words(s rollout.Step) string {
	parts := []string{string(s.Turn)}
	for _, t := range s.Targets {
		parts = append(parts, t.ClusterID)
	}
	if s.Recheck {
		parts = append(parts, "recheck")
	}
	parts = append(parts, s.Reason)
	if !s.Until.IsZero() {
		parts = append(parts, s.Until.Format(time.TimeOnly))
	}
	parts = append(parts, string(s.Drop.Status), s.Drop.Code, s.Drop.Cause)
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}
