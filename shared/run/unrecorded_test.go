package run_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestAbandon(t *testing.T) {
	at := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	running := func(change func(*run.Remedy)) *run.Remedy {
		r := run.Remedy{Number: 1, Status: run.RemedyRunning, OfCode: "not-ready", OfCause: "0 of 1"}
		change(&r)
		return &r
	}
	cases := map[string]struct {
		kind   run.Type
		target run.Target
		want   run.Target
	}{
		"done":      {run.Deploy, run.Target{Status: run.TargetSucceeded}, run.Target{Status: run.TargetSucceeded}},
		"untouched": {run.Deploy, run.Target{Status: run.TargetWaiting}, run.Target{Status: run.TargetFailed, Code: "c", Cause: "w", EndedAt: at}},
		"begun":     {run.Deploy, run.Target{Status: run.TargetDeploying}, run.Target{Status: run.TargetFailed, Code: "c", Cause: "w", EndedAt: at, LeftBehind: true}},
		"looked at": {run.Check, run.Target{Status: run.TargetVerifying}, run.Target{Status: run.TargetFailed, Code: "c", Cause: "w", EndedAt: at}},
		"tried again": {run.Deploy, run.Target{Status: run.TargetDeploying, Remedy: running(func(r *run.Remedy) { r.Action = run.Retry })},
			run.Target{Status: run.TargetFailed, Code: "c", Cause: "w", EndedAt: at, LeftBehind: true,
				Remedy: running(func(r *run.Remedy) { r.Action, r.Status, r.Code, r.Cause = run.Retry, run.RemedyFailed, "c", "w" })}},
		"on its way back": {run.Deploy, run.Target{Status: run.TargetVerifying, Remedy: running(func(r *run.Remedy) { r.Action = release.Rollback })},
			run.Target{Status: run.TargetFailed, Code: "not-ready", Cause: "0 of 1", EndedAt: at, LeftBehind: true,
				Remedy: running(func(r *run.Remedy) {
					r.Action, r.Status, r.Code, r.Cause = release.Rollback, run.RemedyFailed, "c", "w"
				})}},
	}
	for name, c := range cases {
		if diff := cmp.Diff(c.want, run.Run{Type: c.kind}.Abandon(c.target, "c", "w", at)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestUnrecorded(t *testing.T) {
	const waits, works, ok = run.TargetWaiting, run.TargetDeploying, run.TargetSucceeded
	cases := map[string]struct {
		statuses []run.TargetStatus
		before   int
		want     []string
	}{
		"one more is done":         {[]run.TargetStatus{ok, works, waits}, 0, nil},
		"all were done":            {[]run.TargetStatus{ok, ok}, 2, nil},
		"none is, and one began":   {[]run.TargetStatus{ok, works, waits}, 1, []string{"b"}},
		"none is, and none began":  {[]run.TargetStatus{ok, waits, waits}, 1, []string{"b", "c"}},
		"one was opened, and died": {[]run.TargetStatus{run.TargetVerifying}, 0, []string{"a"}},
	}
	for name, c := range cases {
		var targets []run.Target
		for i, status := range c.statuses {
			targets = append(targets, run.Target{ClusterID: string(rune('a' + i)), Status: status})
		}
		var got []string
		for _, one := range (run.Run{Type: run.Deploy}).Unrecorded(targets, c.before, time.Now()) {
			if one.Status != run.TargetFailed || one.Code != run.CodeUnrecorded || one.Cause != run.CauseUnrecorded {
				t.Errorf("%s: %+v", name, one)
			}
			got = append(got, one.ClusterID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
