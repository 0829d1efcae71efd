package remediation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/remediation"
	"github.com/swell-sh/swell/shared/run"
)

var (
	key     = release.Key{Org: "o", ClusterID: "c", Namespace: "web", Name: "web"}
	theRun  = run.Run{Org: "o", ID: "r", Type: run.Deploy, Generation: 2, Before: 1, PlanHash: "own"}
	healthy = release.PlanEntry{PlanHash: "p1", ClusterID: "c", Key: key, Action: release.Install, InputHash: "good", ValuesRef: "v1", Generation: 1, Timeout: 60, SeenRevision: 2, ManifestRef: "m", Tests: 30, DependsOn: []string{"db"}}
)

// failed is a release whose revision 4 this run made over revision 3, which was healthy.
func failed() release.Release {
	return release.Release{
		Key: key, Healthy: 3, Verified: &release.Desired{PlanHash: "p1", InputHash: "good", Generation: 1},
		Desired: &release.Desired{RunID: "r", PlanHash: "own", InputHash: "bad", Generation: 2}, Observed: &release.Observed{Revision: 4, Status: "failed"},
	}
}

func failure(change func(*remediation.Failure)) remediation.Failure {
	f := remediation.Failure{
		Code: "image-pull", Cause: "web: not found", Policy: deployment.Remediation{Strategy: deployment.RollBack}, Run: theRun, Release: failed(), Base: &healthy,
		Target: run.Target{ClusterID: "c", ClusterName: "pke", Before: &run.Before{Revision: 3, PlanHash: "p1"}},
	}
	if change != nil {
		change(&f)
	}
	return f
}

func TestNext(t *testing.T) {
	first := func(f *remediation.Failure) {
		f.Target.Before = &run.Before{Absent: true}
		f.Release.Healthy, f.Release.Verified, f.Base = 0, nil, nil
		f.Release.Observed.Revision = 1
	}
	uninstall := deployment.Remediation{Strategy: deployment.UninstallBack}
	cases := map[string]struct {
		change func(*remediation.Failure)
		action release.Action // of the remedy; empty: none
		again  bool           // and then what the run wanted
		code   string         // why there is none; empty and no action: none is asked for
	}{
		"rollback":                      {nil, release.Rollback, false, ""},
		"nothing asked":                 {func(f *remediation.Failure) { f.Policy = deployment.Remediation{Strategy: deployment.Leave} }, "", false, ""},
		"canceled":                      {func(f *remediation.Failure) { f.Code = "canceled" }, "", false, ""},
		"superseded":                    {func(f *remediation.Failure) { f.Code = "superseded" }, "", false, ""},
		"the cluster is away":           {func(f *remediation.Failure) { f.Code = "cluster-unreachable" }, "", false, "remedy-unsafe"},
		"not ours":                      {func(f *remediation.Failure) { f.Code = "release-foreign" }, "", false, "remedy-unsafe"},
		"somebody is at work":           {func(f *remediation.Failure) { f.Code = "release-foreign-pending" }, "", false, "remedy-unsafe"},
		"the hook's Job may run":        {func(f *remediation.Failure) { f.Code = "hook-timeout" }, "", false, "remedy-unsafe"},
		"the hook failed":               {func(f *remediation.Failure) { f.Code = "hook-failed" }, release.Rollback, false, ""},
		"nothing was reached":           {func(f *remediation.Failure) { f.Release.Desired.RunID = "before" }, "", false, "remedy-needless"},
		"forgotten meanwhile":           {func(f *remediation.Failure) { f.Release = release.Release{} }, "", false, "remedy-needless"},
		"never healthy":                 {func(f *remediation.Failure) { f.Release.Healthy = 0 }, "", false, "nothing-healthy"},
		"healthy, of what is not known": {func(f *remediation.Failure) { f.Release.Verified = nil }, "", false, "nothing-healthy"},
		"its plan is lost":              {func(f *remediation.Failure) { f.Base = nil }, "", false, "nothing-healthy"},
		"the healthy one failed":        {func(f *remediation.Failure) { f.Release.Healthy = 4 }, "", false, "nothing-healthy"},
		"first install, rollback":       {first, "", false, "nothing-healthy"},
		"first install, uninstall":      {func(f *remediation.Failure) { first(f); f.Policy = uninstall }, release.Uninstall, false, ""},
		"update, uninstall":             {func(f *remediation.Failure) { f.Policy = uninstall }, "", false, "remedy-not-first"},
		"an older install, uninstall": {func(f *remediation.Failure) {
			first(f)
			f.Policy = uninstall
			f.Target.Before = &run.Before{Revision: 1}
		}, "", false, "remedy-not-first"},
		"not known what was there":    {func(f *remediation.Failure) { f.Policy = uninstall; f.Target.Before = nil }, "", false, "remedy-not-first"},
		"back, then again":            {func(f *remediation.Failure) { f.Policy.Retries = 2 }, release.Rollback, true, ""},
		"away, then again":            {func(f *remediation.Failure) { first(f); f.Policy = uninstall; f.Policy.Retries = 1 }, release.Uninstall, true, ""},
		"again at once":               {func(f *remediation.Failure) { f.Policy.Retries, f.Policy.RetryOnFailure = 2, true }, run.Retry, false, ""},
		"again: there is no way back": {func(f *remediation.Failure) { first(f); f.Policy.Retries = 2 }, run.Retry, false, ""},
		"the last try, rollback": {func(f *remediation.Failure) {
			f.Policy.Retries = 2
			f.Target.Remedy = &run.Remedy{Number: 4, Tries: 2, Action: run.Retry}
		}, release.Rollback, false, ""},
		"the last try, none": {func(f *remediation.Failure) {
			f.Policy = deployment.Remediation{Strategy: deployment.Leave, Retries: 1, RetryOnFailure: true}
			f.Target.Remedy = &run.Remedy{Number: 1, Tries: 1, Action: run.Retry}
		}, "", false, "remedy-none-left"},
		"unsafe, though tries are left": {func(f *remediation.Failure) {
			f.Policy.Retries, f.Policy.RetryOnFailure, f.Code = 2, true, "hook-timeout"
		}, "", false, "remedy-unsafe"},
		"the look after the bake": {func(f *remediation.Failure) {
			f.Target.SucceededAt, f.Release.Healthy = time.Unix(1, 0), 4 // its own, which failed since
		}, release.Rollback, false, ""},
		"the look after the bake, and ill before": {func(f *remediation.Failure) {
			f.Target.SucceededAt, f.Release.Healthy, f.Target.Before = time.Unix(1, 0), 4, &run.Before{Revision: 3}
			f.Base = nil
		}, "", false, "nothing-healthy"},
		"the look after the bake of what was there": {func(f *remediation.Failure) {
			f.Target.SucceededAt, f.Release.Healthy, f.Target.Before = time.Unix(1, 0), 4, &run.Before{Revision: 4, PlanHash: "p1"}
		}, "", false, "nothing-healthy"},
		"the look after the bake, first install": {func(f *remediation.Failure) {
			first(f)
			f.Target.SucceededAt, f.Release.Healthy, f.Policy = time.Unix(1, 0), 1, uninstall
		}, release.Uninstall, false, ""},
		"the run turns around": {func(f *remediation.Failure) { f.Run.Phase = run.Reverting }, "", false, ""},
		"the run turns around, and tries are left": {func(f *remediation.Failure) {
			f.Run.Phase, f.Policy.Retries, f.Policy.RetryOnFailure = run.Reverting, 3, true
		}, "", false, ""},
		"the run was turned around first": {func(f *remediation.Failure) { f.Code = "reverted" }, "", false, ""},
		"the verb never began, rollback":  {func(f *remediation.Failure) { f.Release.Observed = &release.Observed{Revision: 3, Status: "deployed"} }, release.Rollback, false, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := failure(c.change)
			remedy, entry := f.Next()
			if c.action == "" && c.code == "" {
				if remedy != nil || entry != nil {
					t.Fatalf("got %+v", remedy)
				}
				return
			}
			if remedy == nil || remedy.Action != c.action || remedy.Code != c.code || remedy.OfCode != f.Code || remedy.OfCause != f.Cause {
				t.Fatalf("got %+v", remedy)
			}
			if refused := c.code != ""; refused != (remedy.Status == run.RemedyRefused) || refused && (remedy.Cause == "" || entry != nil) {
				t.Errorf("refused: %+v, %+v", remedy, entry)
			}
			if back := remedy.Back(); back != (entry != nil) || back && (entry.TryAgain != c.again || entry.PlanHash != remedy.Plan || !entry.TakesBack) {
				t.Errorf("the entry is %+v", entry)
			}
			if remedy.Action == run.Retry && remedy.Plan != "own" {
				t.Errorf("it tries %s", remedy.Plan)
			}
		})
	}
}

func TestTheEntryOfARollbackIsThatOfTheHealthyRevision(t *testing.T) {
	remedy, entry := failure(func(f *remediation.Failure) { f.Policy.AcrossHandMade = true }).Next()
	want := healthy
	want.PlanHash, want.Action, want.SeenRevision, want.ManifestRef = remedy.Plan, release.Rollback, 0, ""
	want.Tests, want.DependsOn = 0, nil
	want.TakeBack = release.TakeBack{TakesBack: true, RollbackTo: 3, AcrossHandMade: true}
	if diff := cmp.Diff(want, *entry); diff != "" {
		t.Error(diff)
	}
	if remedy.Revision != 3 || remedy.Number != 1 || remedy.Tries != 1 {
		t.Errorf("got %+v", remedy)
	}
	again, same := failure(func(f *remediation.Failure) { f.Policy.AcrossHandMade = true }).Next()
	if diff := cmp.Diff(remedy, again) + cmp.Diff(entry, same); diff != "" {
		t.Error("twice is not the same", diff)
	}
}

// What succeeded first is what a run saw healthy last: where a later look finds that it failed, it is no place to go back to.
func TestGoal(t *testing.T) {
	later := func(before *run.Before) func(*remediation.Failure) {
		return func(f *remediation.Failure) {
			f.Release.Healthy, f.Release.Verified = 4, &release.Desired{PlanHash: "own"}
			f.Target.SucceededAt, f.Target.Before = time.Unix(1, 0), before
		}
	}
	cases := map[string]struct {
		change   func(*remediation.Failure)
		revision int
		plan     string
	}{
		"what was healthy last":                 {nil, 3, "p1"},
		"never healthy":                         {func(f *remediation.Failure) { f.Release.Healthy, f.Release.Verified = 0, nil }, 0, ""},
		"after the bake: what was there before": {later(&run.Before{Revision: 2, PlanHash: "p0"}), 2, "p0"},
		"after the bake, and ill before":        {later(&run.Before{Revision: 2}), 2, ""},
		"after the bake of a first install":     {later(&run.Before{Absent: true}), 0, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if revision, plan := failure(c.change).Goal(); revision != c.revision || plan != c.plan {
				t.Errorf("revision %d by %q", revision, plan)
			}
		})
	}
}

// Whatever fails on a target, and however often: it is tried as often as the policy says and no more, remedies are numbered without a gap, the same
// plan's hash never stands for two entries, and it ends.
func TestTriesAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := deployment.Remediation{
			Strategy: rapid.SampledFrom([]deployment.Strategy{deployment.Leave, deployment.RollBack, deployment.UninstallBack}).Draw(t, "strategy"),
			Retries:  rapid.IntRange(0, 10).Draw(t, "retries"), RetryOnFailure: rapid.Bool().Draw(t, "at once"),
		}
		f := failure(func(f *remediation.Failure) {
			f.Policy = policy
			if rapid.Bool().Draw(t, "first") {
				f.Target.Before, f.Release.Healthy, f.Release.Verified = &run.Before{Absent: true}, 0, nil
			}
		})
		tries, plans := 1, map[string]bool{}
		for number := 1; ; number++ {
			if number > 2*deployment.MaxRetries+2 {
				t.Fatal("it does not end")
			}
			remedy, entry := f.Next()
			if remedy == nil || remedy.Status == run.RemedyRefused {
				break
			}
			if remedy.Number != number || entry != nil && plans[remedy.Plan] {
				t.Fatalf("remedy %+v is number %d", remedy, number)
			}
			plans[remedy.Plan] = true
			f.Target.Remedy = remedy
			if remedy.Back() && !entry.TryAgain {
				break
			}
			if remedy.Back() {
				again := remediation.TryAgain(theRun, *remedy)
				f.Target.Remedy, number = &again, number+1
			}
			if f.Target.Remedy.Plan != "own" {
				t.Fatalf("it tries %+v again", f.Target.Remedy)
			}
			tries++
		}
		if most := 1 + policy.Retries; tries != most && (policy.Strategy != deployment.Leave || policy.Retries > 0) {
			t.Fatalf("it was tried %d times, not %d", tries, most)
		}
	})
}

// A way back that was to be followed by another try ends there, once the run has turned around.
func TestNothingIsTriedInARunThatTurnsAround(t *testing.T) {
	went := run.Remedy{Number: 1, Tries: 1, Action: release.Rollback, Plan: "back", Revision: 3, Status: run.RemedyRunning, OfCode: "image-pull"}
	turned := theRun
	turned.Phase = run.Reverting
	want := went
	want.Number, want.Status = 2, run.RemedySucceeded
	if diff := cmp.Diff(want, remediation.TryAgain(turned, went)); diff != "" {
		t.Error(diff)
	}
}

func TestAtomic(t *testing.T) {
	targets := func(statuses ...run.TargetStatus) (all []run.Target) {
		for _, s := range statuses {
			all = append(all, run.Target{Status: s})
		}
		return all
	}
	cases := map[string]struct {
		run     run.Run
		targets []run.Target
		want    bool
	}{
		"one failed":         {theRun, targets(run.TargetSucceeded, run.TargetFailed), true},
		"of a rollback":      {run.Run{Type: run.Rollback}, targets(run.TargetSucceeded, run.TargetFailed), true},
		"one was away":       {theRun, targets(run.TargetSucceeded, run.TargetUnreachable), true},
		"a person canceled":  {run.Run{Type: run.Deploy, CancelRequested: true}, targets(run.TargetCanceled, run.TargetFailed), false},
		"a newer run has it": {theRun, targets(run.TargetFailed, run.TargetSuperseded), false},
		"a sync":             {run.Run{Type: run.Sync}, targets(run.TargetFailed), false},
		"it turned already":  {run.Run{Type: run.Deploy, Phase: run.Reverting}, targets(run.TargetFailed), false},
	}
	for name, c := range cases {
		if got := remediation.Reverts(c.run, c.targets); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestRevert(t *testing.T) {
	was := run.Before{Revision: 3, PlanHash: "p1"}
	cases := map[string]struct {
		target run.Target
		base   *release.PlanEntry
		action release.Action
		ofCode string
		code   string
	}{
		"succeeded":               {run.Target{Status: run.TargetSucceeded, Before: &was}, &healthy, release.Rollback, "", ""},
		"was not there":           {run.Target{Status: run.TargetSucceeded, Before: &run.Before{Absent: true}}, nil, release.Uninstall, "", ""},
		"failed":                  {run.Target{Status: run.TargetFailed, Code: "not-ready", Before: &was}, &healthy, release.Rollback, "not-ready", ""},
		"failed, away":            {run.Target{Status: run.TargetFailed, Code: "cluster-unreachable", Before: &was}, &healthy, release.Rollback, "cluster-unreachable", "remedy-unsafe"},
		"was not healthy before":  {run.Target{Status: run.TargetSucceeded, Before: &run.Before{Revision: 3}}, nil, release.Rollback, "", "nothing-healthy"},
		"turned in its retry":     {run.Target{Status: run.TargetCanceled, Code: "reverted", Before: &was, Remedy: &run.Remedy{Number: 1, Tries: 1, Action: run.Retry, OfCode: "not-ready"}}, &healthy, release.Rollback, "not-ready", ""},
		"turned in its first try": {run.Target{Status: run.TargetCanceled, Code: "reverted", Before: &was}, &healthy, release.Rollback, "", ""},
		"failed, after two tries": {run.Target{Status: run.TargetFailed, Code: "not-ready", Before: &was, Remedy: &run.Remedy{Number: 2, Tries: 2}}, &healthy, release.Rollback, "not-ready", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			remedy, entry := remediation.Revert(theRun, c.target, key, c.base)
			if remedy.Action != c.action || remedy.OfCode != c.ofCode || remedy.Code != c.code || !remedy.Reverts {
				t.Fatalf("got %+v", remedy)
			}
			if (entry == nil) != (c.code != "") || entry != nil && (entry.PlanHash != remedy.Plan || entry.TryAgain || !entry.TakesBack || entry.DependsOn != nil) {
				t.Errorf("the entry is %+v", entry)
			}
			if was := c.target.Remedy; was != nil && (remedy.Number != was.Number+1 || remedy.Tries != was.Tries) {
				t.Errorf("got %+v", remedy)
			}
			c.target.Remedy = remedy
			if entry == nil { // it has its outcome
				end := c.target.Ended("", "")
				if end.Status != run.TargetFailed || !end.LeftBehind || !strings.Contains(end.Code+end.Cause, c.code) && end.Code != c.ofCode {
					t.Errorf("it ends as %+v", end)
				}
			}
		})
	}
}
