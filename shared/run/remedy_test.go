package run_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestTheFailureStaysTheTargets(t *testing.T) {
	of := func(action release.Action, change func(*run.Remedy)) *run.Remedy {
		r := &run.Remedy{Number: 1, Tries: 1, Action: action, Status: run.RemedyRunning, OfCode: "image-pull", OfCause: "no such image"}
		if change != nil {
			change(r)
		}
		return r
	}
	reverts := func(r *run.Remedy) { r.Reverts, r.OfCode, r.OfCause = true, "", "" }
	cases := map[string]struct {
		remedy     *run.Remedy
		caught     string
		status     run.TargetStatus
		code       string
		remedied   run.RemedyStatus
		leftBehind bool
	}{
		"well":                        {nil, "", run.TargetSucceeded, "", "", false},
		"not well":                    {nil, "not-ready", run.TargetFailed, "not-ready", "", false},
		"a person stopped it":         {nil, "canceled", run.TargetCanceled, "canceled", "", false},
		"another run has it":          {nil, "superseded", run.TargetSuperseded, "superseded", "", false},
		"rolled back":                 {of(release.Rollback, nil), "", run.TargetFailed, "image-pull", run.RemedySucceeded, false},
		"uninstalled":                 {of(release.Uninstall, nil), "", run.TargetFailed, "image-pull", run.RemedySucceeded, false},
		"the rollback failed":         {of(release.Rollback, nil), "not-ready", run.TargetFailed, "image-pull", run.RemedyFailed, true},
		"canceled in the rollback":    {of(release.Rollback, nil), "canceled", run.TargetFailed, "image-pull", run.RemedyFailed, true},
		"told that it failed":         {of(release.Rollback, func(r *run.Remedy) { r.Status, r.Code = run.RemedyFailed, "forbidden" }), "forbidden", run.TargetFailed, "image-pull", run.RemedyFailed, true},
		"refused":                     {of("", func(r *run.Remedy) { r.Status, r.Code = run.RemedyRefused, "nothing-healthy" }), "image-pull", run.TargetFailed, "image-pull", run.RemedyRefused, false},
		"well at the second try":      {of(run.Retry, nil), "", run.TargetSucceeded, "", run.RemedySucceeded, false},
		"the last try failed, judged": {of(run.Retry, nil), "not-ready", run.TargetFailed, "not-ready", run.RemedyFailed, false},
		"taken back":                  {of(release.Rollback, reverts), "", run.TargetReverted, "taken-back", run.RemedySucceeded, false},
		"taken back, had failed":      {of(release.Uninstall, func(r *run.Remedy) { r.Reverts = true }), "", run.TargetFailed, "image-pull", run.RemedySucceeded, false},
		"could not be taken back":     {of(release.Rollback, reverts), "not-ready", run.TargetFailed, "revert-failed", run.RemedyFailed, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := run.Target{ClusterID: "c", Remedy: c.remedy}
			if c.remedy != nil {
				remedy := *c.remedy
				before.Remedy = &remedy
			}
			got := before.Ended(c.caught, "raw words")
			if got.Status != c.status || got.Code != c.code || got.LeftBehind != c.leftBehind || (got.Remedy == nil) != (c.remedy == nil) {
				t.Fatalf("got %+v", got)
			}
			if got.Remedy != nil && got.Remedy.Status != c.remedied {
				t.Errorf("the remedy is %+v", got.Remedy)
			}
			if diff := cmp.Diff(c.remedy, before.Remedy); diff != "" {
				t.Error("the target that was given changed", diff)
			}
		})
	}
}

func TestBeforeOf(t *testing.T) {
	verified := &release.Desired{PlanHash: "p1", InputHash: "good"}
	seen := release.Observed{Revision: 3, LabelRevision: 3, Status: "deployed", InputHash: "good"}
	byHand, broken := seen, seen
	byHand.Revision, broken.Status = 4, "failed"
	cases := map[string]struct {
		release release.Release
		want    run.Before
	}{
		"never looked at":   {release.Release{}, run.Before{Absent: true}},
		"seen to be gone":   {release.Release{Observed: &release.Observed{Absent: true}, Healthy: 3, Verified: verified}, run.Before{Absent: true}},
		"healthy":           {release.Release{Observed: &seen, Healthy: 3, Verified: verified}, run.Before{Revision: 3, PlanHash: "p1"}},
		"never verified":    {release.Release{Observed: &seen}, run.Before{Revision: 3}},
		"another is newest": {release.Release{Observed: &byHand, Healthy: 3, Verified: verified}, run.Before{Revision: 4}},
		"it failed since":   {release.Release{Observed: &broken, Healthy: 3, Verified: verified}, run.Before{Revision: 3}},
	}
	for name, c := range cases {
		if got := run.BeforeOf(c.release); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
