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

// A run that goes nowhere any more, or the other way, is not steered as one that goes forward.
func TestWhichRunsMayBeTurnedStill(t *testing.T) {
	cases := map[string]struct {
		run                   run.Run
		pause, revert, steers string // code; empty: it may
	}{
		"under way":    {run: run.Run{Status: run.Running}},
		"paused":       {run: run.Run{Status: run.Running, Paused: true}},
		"taken back":   {run: run.Run{Status: run.Running, Phase: run.Reverting}, pause: "run-not-pausable"},
		"canceled":     {run: run.Run{Status: run.Running, CancelRequested: true}, revert: "run-not-revertible"},
		"it has ended": {run: run.Run{Status: run.Partial}, steers: "run-ended"},
	}
	for name, c := range cases {
		c.run.Type = run.Deploy
		want := []string{c.pause, c.revert, c.steers}
		for i, err := range []error{c.run.Pausable(), c.run.Revertible(), c.run.Steerable()} {
			p, _ := problem.From(err)
			if p == nil {
				p = &problem.Problem{}
			}
			if p.Code != want[i] || err != nil && (p.Status != 409 || p.Remedy == "") {
				t.Errorf("%s: %v, want %q", name, err, want[i])
			}
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
