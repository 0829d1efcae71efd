package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
)

// A gate stands before whatever comes after its wave, and only there.
func TestGateBehindAWave(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := rollout.Rollout{Waves: []rollout.Wave{
		{Name: "canary", Clusters: []string{"a"}, Gate: &rollout.Gate{Receiver: "ci", Timeout: time.Hour}},
		{Name: "unused", Clusters: []string{"z"}, Gate: &rollout.Gate{Receiver: "ci", Timeout: time.Hour}},
	}}
	targets := func(canary run.TargetStatus) []run.Target {
		if canary == "" {
			return []run.Target{{ClusterID: "b", Status: run.TargetWaiting}}
		}
		return []run.Target{{ClusterID: "a", Wave: "canary", Status: canary}, {ClusterID: "b", Status: run.TargetWaiting}}
	}
	asked := run.Gate{Wave: "canary", Receiver: "ci", Until: noon.Add(time.Hour)}
	with := func(status run.GateStatus, reason string) map[string]run.Gate {
		g := asked
		g.Status, g.Reason = status, reason
		return map[string]run.Gate{"canary": g}
	}
	cases := map[string]struct {
		canary run.TargetStatus
		run    run.Run
		gates  map[string]run.Gate
		now    time.Time
		turn   rollout.Turn
		code   string
		cause  string
	}{
		"its own wave":           {canary: run.TargetWaiting, turn: rollout.Walk},
		"to be asked":            {canary: run.TargetSucceeded, turn: rollout.Await},
		"asked":                  {canary: run.TargetSucceeded, gates: with(run.GateAsked, ""), now: noon.Add(time.Minute), turn: rollout.Await},
		"passed":                 {canary: run.TargetSucceeded, gates: with(run.GatePassed, ""), turn: rollout.Walk},
		"passed, and long ago":   {canary: run.TargetSucceeded, gates: with(run.GatePassed, ""), now: noon.Add(2 * time.Hour), turn: rollout.Walk},
		"failed":                 {canary: run.TargetSucceeded, gates: with(run.GateFailed, "errors rise"), turn: rollout.End, code: rollout.GateFailed, cause: "errors rise"},
		"never answered":         {canary: run.TargetSucceeded, gates: with(run.GateAsked, ""), now: noon.Add(time.Hour), turn: rollout.End, code: rollout.GateFailed, cause: "in time"},
		"a rollback asks nobody": {canary: run.TargetSucceeded, run: run.Run{Type: run.Rollback}, turn: rollout.Walk},
		"nothing was walked":     {turn: rollout.Walk},
		"a redrive of the rest":  {run: run.Run{RedriveOf: "before"}, turn: rollout.Await},
		"and it said no again":   {run: run.Run{RedriveOf: "before"}, gates: with(run.GateFailed, "errors rise"), turn: rollout.End, code: rollout.GateFailed, cause: "errors rise"},
		"of a rollback, neither": {run: run.Run{Type: run.Rollback, RedriveOf: "before"}, turn: rollout.Walk},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			now := noon
			if !c.now.IsZero() {
				now = c.now
			}
			s := rollout.Situation{Run: c.run, Targets: targets(c.canary), Gates: c.gates, Now: now}
			got := r.Next(s)
			if got.Turn != c.turn || got.Drop.Code != c.code || !strings.Contains(got.Drop.Cause, c.cause) {
				t.Errorf("%+v", got)
			}
			if c.turn == rollout.Await && (got.Gate == nil || got.Gate.Receiver != "ci" || got.Reason != run.AtGate || got.Gate.Wave != "canary" || !got.Until.Equal(noon.Add(time.Hour))) {
				t.Errorf("%+v", got)
			}
		})
	}
}
