package run_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func targets(statuses ...run.TargetStatus) (all []run.Target) {
	for _, s := range statuses {
		all = append(all, run.Target{Status: s})
	}
	return all
}

func TestConclude(t *testing.T) {
	ok, failed, canceled, superseded, waiting := run.TargetSucceeded, run.TargetFailed, run.TargetCanceled, run.TargetSuperseded, run.TargetWaiting
	cases := map[string]struct {
		targets []run.Target
		want    run.Status
	}{
		"no targets":                {nil, run.Succeeded},
		"all succeeded":             {targets(ok, ok), run.Succeeded},
		"one failed":                {targets(ok, failed), run.Partial},
		"all failed":                {targets(failed, failed), run.Failed},
		"failed and canceled":       {targets(failed, canceled), run.Failed},
		"one canceled":              {targets(ok, canceled), run.Canceled},
		"one superseded":            {targets(ok, superseded), run.Superseded},
		"canceled and superseded":   {targets(canceled, superseded), run.Superseded},
		"one failed, one canceled":  {targets(ok, failed, canceled), run.Partial},
		"one that nobody came to":   {targets(ok, waiting), run.Partial},
		"all that nobody came to":   {targets(waiting), run.Failed},
		"failed before superseding": {targets(failed, superseded), run.Failed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := run.Conclude(c.targets); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestConcludeProperties(t *testing.T) {
	all := []run.TargetStatus{run.TargetWaiting, run.TargetPreparing, run.TargetDeploying, run.TargetVerifying,
		run.TargetSucceeded, run.TargetFailed, run.TargetCanceled, run.TargetSuperseded}
	rapid.Check(t, func(t *rapid.T) {
		statuses := rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "statuses")
		got := run.Conclude(targets(statuses...))
		if !got.Done() {
			t.Fatalf("%s is no end", got)
		}
		failed, succeeded := 0, 0
		for _, s := range statuses {
			switch s {
			case run.TargetFailed:
				failed++
			case run.TargetSucceeded:
				succeeded++
			}
		}
		if (got == run.Succeeded) != (succeeded == len(statuses)) {
			t.Fatalf("%s with %d of %d succeeded", got, succeeded, len(statuses))
		}
		if failed > 0 && got != run.Failed && got != run.Partial {
			t.Fatalf("%s hides %d that failed", got, failed)
		}
		if shuffled := rapid.Permutation(statuses).Draw(t, "shuffled"); run.Conclude(targets(shuffled...)) != got {
			t.Fatal("the order of the targets counts")
		}
	})
}

func TestStoppedBy(t *testing.T) {
	cases := map[string]struct {
		run        run.Run
		generation int
		deleting   bool
		want       run.TargetStatus // none: it goes on
	}{
		"the newest":                     {run.Run{Type: run.Deploy, Generation: 2}, 2, false, ""},
		"canceled":                       {run.Run{Type: run.Deploy, Generation: 2, CancelRequested: true}, 2, false, run.TargetCanceled},
		"canceled look":                  {run.Run{Type: run.Check, CancelRequested: true}, 2, false, run.TargetCanceled},
		"a newer generation":             {run.Run{Type: run.Deploy, Generation: 1}, 2, false, run.TargetSuperseded},
		"a rollback":                     {run.Run{Type: run.Deploy, Generation: 4}, 3, false, run.TargetSuperseded},
		"the rollback itself":            {run.Run{Type: run.Rollback, Generation: 3}, 3, false, ""},
		"an update after the rollback":   {run.Run{Type: run.Rollback, Generation: 3}, 5, false, run.TargetSuperseded},
		"a join before a rollback":       {run.Run{Type: run.Join, Generation: 4}, 3, false, run.TargetSuperseded},
		"leaving, a rollback":            {run.Run{Type: run.Leave, Generation: 4}, 3, false, ""},
		"sync of an older generation":    {run.Run{Type: run.Sync, Generation: 1}, 2, false, run.TargetSuperseded},
		"ended over its machine":         {run.Run{Type: run.Deploy, Generation: 2, Status: run.Failed}, 2, false, run.TargetSuperseded},
		"a removal":                      {run.Run{Type: run.Deploy, Generation: 2}, 2, true, run.TargetSuperseded},
		"the removal itself":             {run.Run{Type: run.Remove, Generation: 1}, 2, true, ""},
		"leaving, a newer generation":    {run.Run{Type: run.Leave, Generation: 1}, 2, false, ""},
		"leaving, a removal":             {run.Run{Type: run.Leave, Generation: 2}, 2, true, run.TargetSuperseded},
		"a look changes nothing anyway":  {run.Run{Type: run.Check, Generation: 1}, 2, true, ""},
		"so does a plan":                 {run.Run{Type: run.Plan, Generation: 1}, 2, true, ""},
		"a canceled plan":                {run.Run{Type: run.Plan, CancelRequested: true}, 2, false, run.TargetCanceled},
		"a removal, a newer generation?": {run.Run{Type: run.Remove, Generation: 1}, 2, false, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, stop := c.run.StoppedBy(c.generation, c.deleting)
			if got != c.want || stop != (c.want != "") {
				t.Errorf("got %q stop %t, want %q", got, stop, c.want)
			}
		})
	}
}

func TestMayRepeat(t *testing.T) {
	now := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		target run.Target
		next   release.Action
		want   bool
	}{
		"it went well":                 {run.Target{Status: run.TargetSucceeded, EndedAt: now}, release.Upgrade, true},
		"it failed just now":           {run.Target{Status: run.TargetFailed, Code: "not-ready", EndedAt: now.Add(-time.Minute)}, release.Upgrade, false},
		"it failed a while ago":        {run.Target{Status: run.TargetFailed, Code: "not-ready", EndedAt: now.Add(-run.CorrectAgain)}, release.Upgrade, true},
		"a hook may still run":         {run.Target{Status: run.TargetFailed, Code: "hook-timeout", EndedAt: now.Add(-24 * time.Hour)}, release.Upgrade, false},
		"a newer generation took over": {run.Target{Status: run.TargetSuperseded, EndedAt: now}, release.Upgrade, true},
		"a repair was undone":          {run.Target{Status: run.TargetSucceeded, Action: "repair", EndedAt: now}, release.Repair, false},
		"a repair was undone later":    {run.Target{Status: run.TargetSucceeded, Action: "repair", EndedAt: now.Add(-run.CorrectAgain)}, release.Repair, true},
		"upgraded by hand since":       {run.Target{Status: run.TargetSucceeded, Action: "repair", EndedAt: now}, release.Upgrade, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.target.MayRepeat(c.next, now); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestHoldsReconcile(t *testing.T) {
	now := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		run  run.Run
		want bool
	}{
		"it went well":             {run.Run{Trigger: "reconcile", Status: run.Succeeded, EndedAt: now}, false},
		"it failed just now":       {run.Run{Trigger: "reconcile", Status: run.Failed, EndedAt: now.Add(-time.Minute)}, true},
		"a person canceled it":     {run.Run{Trigger: "reconcile", Status: run.Canceled, EndedAt: now.Add(-time.Minute)}, true},
		"a while ago":              {run.Run{Trigger: "reconcile", Status: run.Partial, EndedAt: now.Add(-run.CorrectAgain)}, false},
		"a newer run took over":    {run.Run{Trigger: "reconcile", Status: run.Superseded, EndedAt: now}, false},
		"a person's failed":        {run.Run{Trigger: "api", Status: run.Failed, EndedAt: now}, false},
		"there was none before it": {run.Run{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.run.HoldsReconcile(now); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestNewRunHasAMachine(t *testing.T) {
	for typ, machine := range map[run.Type]string{run.Deploy: "deploy", run.Sync: "deploy", run.Remove: "remove-deployment", run.Leave: "remove-deployment", run.Check: "check", run.Plan: "plan"} {
		r := run.New("r", typ, "o", "api", "ann", time.Time{}).About("d", "g", "web", 3)
		if r.Type.Machine() != machine || r.Status != run.Pending || r.Generation != 3 || r.Ref()["org"] != "o" || r.Ref()["run"] != "r" {
			t.Errorf("%s: machine %s, run %+v", typ, r.Type.Machine(), r)
		}
	}
	if run.LeftBehind(targets(run.TargetFailed)) || !run.LeftBehind([]run.Target{{}, {LeftBehind: true}}) {
		t.Error("what was left behind is not told")
	}
}
