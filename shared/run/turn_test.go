package run_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestWhichRunsMayBeTurned(t *testing.T) {
	cases := map[run.Type]struct{ pause, revert, rollsOut bool }{
		run.Deploy: {true, true, true}, run.Rollback: {true, true, true}, run.Sync: {true, false, true}, run.Join: {true, false, true},
		run.Remove: {true, false, false}, run.Leave: {true, false, false}, run.Check: {}, run.Plan: {},
	}
	for typ, c := range cases {
		r := run.Run{Type: typ, Trigger: "api"}
		if err := r.Pausable(); (err == nil) != c.pause || err != nil && !problem.Is(err, "run-not-pausable") {
			t.Errorf("pausing %s: %v", typ, err)
		}
		if err := r.Revertible(); (err == nil) != c.revert || err != nil && !problem.Is(err, "run-not-revertible") {
			t.Errorf("turning %s around: %v", typ, err)
		}
		if r.RollsOut() != c.rollsOut || (run.Run{Type: typ, Trigger: "reconcile"}).RollsOut() {
			t.Errorf("%s rolls out: %t", typ, r.RollsOut())
		}
	}
}

func TestWhatATurnedRunTakesBack(t *testing.T) {
	touched := run.Target{Status: run.TargetSucceeded, Before: &run.Before{Revision: 1}}
	cases := map[string]struct {
		change func(*run.Target)
		want   bool
	}{
		"it succeeded":               {func(*run.Target) {}, true},
		"it failed":                  {func(t *run.Target) { t.Status = run.TargetFailed }, true},
		"it was not touched":         {func(t *run.Target) { t.Before = nil }, false},
		"it is being walked":         {func(t *run.Target) { t.Status = run.TargetDeploying }, false},
		"it does not answer":         {func(t *run.Target) { t.Status = run.TargetUnreachable }, false},
		"another run has it":         {func(t *run.Target) { t.Status = run.TargetSuperseded }, false},
		"it was tried again":         {func(t *run.Target) { t.Remedy = &run.Remedy{Action: run.Retry, Status: run.RemedySucceeded} }, true},
		"it went back by itself":     {func(t *run.Target) { t.Remedy = &run.Remedy{Action: release.Rollback, Status: run.RemedySucceeded} }, false},
		"it is on its way back":      {func(t *run.Target) { t.Status, t.Remedy = run.TargetVerifying, &run.Remedy{Reverts: true} }, true},
		"it could not be taken back": {func(t *run.Target) { t.Status, t.Remedy = run.TargetFailed, &run.Remedy{Reverts: true} }, false},
	}
	for name, c := range cases {
		target := touched
		c.change(&target)
		if got := target.MustRevert(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWaits(t *testing.T) {
	now := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	bake, paused := run.Turn{Reason: run.Baking, Until: now.Add(time.Minute)}, run.Turn{Reason: run.Paused}
	cases := map[string]struct {
		run  run.Run
		turn run.Turn
		want bool
	}{
		"bakes":          {run.Run{}, bake, true},
		"baked":          {run.Run{}, run.Turn{Reason: run.Baking, Until: now}, false},
		"paused":         {run.Run{Paused: true}, paused, true},
		"resumed":        {run.Run{}, paused, false},
		"paused in bake": {run.Run{Paused: true}, bake, false},
		"canceled":       {run.Run{CancelRequested: true}, bake, false},
		"turned around":  {run.Run{Paused: true, Phase: run.Reverting}, paused, false},
		"ended":          {run.Run{Status: run.Failed}, bake, false},
	}
	for name, c := range cases {
		if got := c.run.Waits(c.turn, now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
