package main

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// A run ends when nothing is left to do, and says why as a whole.
func TestHowARollOutEnds(t *testing.T) {
	bakes := rollout.Rollout{Limits: rollout.Limits{MinSuccessTime: new(time.Hour)}}
	now := time.Now()
	worked := run.Target{ClusterName: "a", Status: run.TargetSucceeded, EndedAt: now, Before: &run.Before{Revision: 1}}
	baked := worked
	baked.SucceededAt = now
	failed := run.Target{ClusterName: "b", Status: run.TargetFailed, Code: "not-ready", Before: &run.Before{Revision: 1}}
	away := run.Target{ClusterName: "c", Status: run.TargetUnreachable, Code: "cluster-unreachable"}
	kept := run.Target{ClusterName: "d", Status: run.TargetCanceled, Code: "budget-exhausted", Cause: "1 of 1 failed"}
	reverted := run.Target{ClusterName: "e", Status: run.TargetReverted, Before: &run.Before{Revision: 1}, Remedy: &run.Remedy{Reverts: true}}
	cases := map[string]struct {
		run     run.Run
		rollout rollout.Rollout
		atomic  bool
		targets []run.Target
		again   bool
		status  run.Status
		code    string
		phase   run.Phase
	}{
		"it bakes":                          {rollout: bakes, targets: []run.Target{worked}, again: true, status: run.Running},
		"it has baked":                      {rollout: bakes, targets: []run.Target{baked}, status: run.Succeeded},
		"reconcile's does not bake":         {run: run.Run{Type: run.Sync, Trigger: "reconcile"}, rollout: bakes, targets: []run.Target{worked}, status: run.Succeeded},
		"a canary failed":                   {targets: []run.Target{failed, kept}, status: run.Failed, code: "budget-exhausted"},
		"a wave failed":                     {targets: []run.Target{worked, failed, kept}, status: run.Partial, code: "budget-exhausted"},
		"too many were away":                {targets: []run.Target{worked, away, kept}, status: run.Partial, code: "budget-exhausted"},
		"one was away":                      {targets: []run.Target{worked, away}, status: run.Partial, code: "targets-unreachable"},
		"all were away":                     {targets: []run.Target{away}, status: run.Failed, code: "targets-unreachable"},
		"one was away and one failed":       {targets: []run.Target{worked, failed, away}, status: run.Partial},
		"one failed, and the run is atomic": {atomic: true, targets: []run.Target{worked, failed}, again: true, status: run.Running, phase: run.Reverting},
		"turned around: there is more":      {run: run.Run{Type: run.Deploy, Phase: run.Reverting}, targets: []run.Target{worked, reverted}, again: true, status: run.Running, phase: run.Reverting},
		"turned around: all is back":        {run: run.Run{Type: run.Deploy, Phase: run.Reverting}, targets: []run.Target{reverted}, status: run.Canceled, phase: run.Reverting},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.run.Type == "" {
				c.run.Type, c.run.Trigger = run.Deploy, "api"
			}
			c.run.Org, c.run.ID, c.run.Status = "o", "r", run.Running
			m := &memory{run: c.run, rollout: c.rollout, atomic: c.atomic, targets: c.targets}
			verdict, err := handler{m}.handle(t.Context(), workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: "r"}})
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Again != c.again || m.run.Status != c.status || m.run.Code != c.code || m.run.Phase != c.phase || (m.run.Code == "") != (m.run.Cause == "") {
				t.Errorf("%+v, run %s %s: %s, phase %q", verdict, m.run.Status, m.run.Code, m.run.Cause, m.run.Phase)
			}
		})
	}
}
