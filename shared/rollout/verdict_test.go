package rollout_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

func TestFails(t *testing.T) {
	const ok, failed, away, canceled = run.TargetSucceeded, run.TargetFailed, run.TargetUnreachable, run.TargetCanceled
	two := rollout.Rollout{Limits: rollout.Limits{MaxFailures: &rollout.Amount{N: 1}}}
	reach := rollout.Rollout{MaxUnreachable: &rollout.Amount{N: 0}}
	cases := map[string]struct {
		rollout rollout.Rollout
		run     run.Run
		targets []run.Target
		want    bool
	}{
		"no budget, all well":             {targets: []run.Target{ended("a", "", ok)}},
		"no budget, one failed":           {targets: []run.Target{ended("a", "", ok), ended("b", "", failed)}, want: true},
		"no budget, one away":             {targets: []run.Target{ended("a", "", ok), ended("b", "", away)}},
		"within the budget":               {rollout: two, targets: []run.Target{ended("a", "", ok), ended("b", "", failed)}},
		"beyond the budget":               {rollout: two, targets: []run.Target{ended("a", "", failed), ended("b", "", failed)}, want: true},
		"more away than may be":           {rollout: reach, targets: []run.Target{ended("a", "", ok), ended("b", "", away)}, want: true},
		"away, without that many":         {rollout: two, targets: []run.Target{ended("a", "", ok), ended("b", "", away)}},
		"a wave is away, and kept more":   {rollout: canary(), targets: []run.Target{ended("a", "canary", away), ended("b", "eu", canceled)}, want: true},
		"the last wave is away":           {rollout: canary(), targets: []run.Target{ended("a", "canary", ok), ended("b", "eu", away)}},
		"a wave is away, in a rollback":   {rollout: canary(), run: run.Run{Type: run.Rollback}, targets: []run.Target{ended("a", "canary", away), ended("b", "eu", ok)}},
		"all that are in no wave are":     {rollout: canary(), targets: []run.Target{ended("a", "eu", ok), ended("b", "", away)}},
		"one of a wave is away":           {rollout: canary(), targets: []run.Target{ended("a", "canary", ok), ended("b", "canary", away), ended("c", "", ok)}},
		"a wave failed, as far as it may": {rollout: two, targets: []run.Target{ended("a", "", failed)}},
	}
	for name, c := range cases {
		if got := c.rollout.Fails(c.run, c.targets); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAfter(t *testing.T) {
	const ok, failed = run.TargetSucceeded, run.TargetFailed
	changed := ended("a", "eu", ok)
	changed.Before = &run.Before{}
	cases := map[string]struct {
		situation rollout.Situation
		atomic    bool
		want      rollout.Verdict
	}{
		"all well":                     {rollout.Situation{Targets: []run.Target{changed}}, true, rollout.Ends},
		"it bakes":                     {rollout.Situation{Targets: []run.Target{ended("a", "canary", ok)}}, false, rollout.GoesOn},
		"too many failed":              {rollout.Situation{Targets: []run.Target{changed, ended("b", "canary", failed)}}, false, rollout.Ends},
		"too many failed, atomic":      {rollout.Situation{Targets: []run.Target{changed, ended("b", "canary", failed)}}, true, rollout.TurnsAround},
		"and it is stopped":            {rollout.Situation{Stopped: run.TargetSuperseded, Targets: []run.Target{changed, ended("b", "canary", failed)}}, true, rollout.Ends},
		"turned around, there is more": {rollout.Situation{Run: run.Run{Phase: run.Reverting}, Targets: []run.Target{changed}}, false, rollout.GoesOn},
	}
	for name, c := range cases {
		c.situation.Now = noon
		if got := canary().After(c.situation, c.atomic); got != c.want {
			t.Errorf("%s: it %s", name, got)
		}
	}
}
