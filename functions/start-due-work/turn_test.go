package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/run"
)

func TestRunsThatNeedNotWaitAreWoken(t *testing.T) {
	const generation = 2
	soon := noon.Add(2 * time.Minute)
	runs := map[string]struct {
		run  run.Run
		turn run.Turn
	}{
		"baked":      {run.Run{}, run.Turn{Reason: run.Baking, Until: noon}},
		"bakes":      {run.Run{}, run.Turn{Reason: run.Baking, Until: soon}},
		"for long":   {run.Run{}, run.Turn{Reason: run.Baking, Until: noon.Add(time.Hour)}},
		"paused":     {run.Run{Paused: true}, run.Turn{Reason: run.Paused}},
		"resumed":    {run.Run{}, run.Turn{Reason: run.Paused}},
		"canceled":   {run.Run{Paused: true, CancelRequested: true}, run.Turn{Reason: run.Paused}},
		"superseded": {run.Run{Paused: true, Generation: 1}, run.Turn{Reason: run.Paused}},
		"overtaken":  {run.Run{Generation: 1}, run.Turn{Reason: run.Baking, Until: noon.Add(24 * time.Hour)}},
		"aborted":    {run.Run{CancelRequested: true}, run.Turn{Reason: run.AtGate, Until: noon.Add(time.Hour)}}, // and nobody said so
		"gated":      {run.Run{}, run.Turn{Reason: run.AtGate, Until: noon.Add(time.Hour)}},
	}
	m := &memory{machines: map[string]bool{}, turns: map[string]run.Turn{}, head: deployment.Deployment{Generation: generation}}
	for id, c := range runs {
		c.run.Org, c.run.ID, c.run.Type, c.run.Status, c.turn.Token = "o", id, run.Deploy, run.Running, id
		if c.run.Generation == 0 {
			c.run.Generation = generation
		}
		m.runs, m.machines[id], m.turns[id] = append(m.runs, c.run), true, c.turn
	}
	if err := tick(t, m); err != nil {
		t.Fatal(err)
	}
	woken := map[string]bool{}
	for _, id := range m.woken {
		woken[id] = true
	}
	if diff := cmp.Diff(map[string]bool{"baked": true, "resumed": true, "canceled": true, "superseded": true, "overtaken": true, "aborted": true}, woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if !m.deferred["bakes"].Equal(soon) || !m.deferred["for long"].Equal(noon.Add(dynamo.SweepAgainAfter)) || len(m.deferred) != len(runs) {
		t.Errorf("deferred: %v", m.deferred)
	}
}
