package release_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/release"
)

func TestCorrection(t *testing.T) {
	cases := map[string]struct {
		change func(*release.Release)
		want   release.Action
	}{
		"in sync":            {func(*release.Release) {}, release.None},
		"drifted":            {func(r *release.Release) { r.Drift = &release.Drift{Revision: 3, Objects: 1} }, release.Repair},
		"upgraded by hand":   {func(r *release.Release) { r.Observed.Revision = 4 }, release.Upgrade},
		"uninstalled":        {func(r *release.Release) { r.Observed = &release.Observed{Absent: true} }, release.Install},
		"rolled back":        {func(r *release.Release) { r.Observed.Revision, r.Observed.RolledBackTo = 4, 2 }, release.Hold},
		"a run has it":       {func(r *release.Release) { r.Observed.Revision, r.ActiveRun = 4, "r" }, release.None},
		"not reached yet":    {func(r *release.Release) { r.Desired = nil }, release.None},
		"never looked at":    {func(r *release.Release) { r.Observed = nil }, release.None},
		"the look was blind": {func(r *release.Release) { r.Observed.Revision, r.CheckError = 4, &release.CheckError{} }, release.None},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := release.Release{Owner: mine, Desired: &release.Desired{InputHash: "h"},
				Observed: &release.Observed{Revision: 3, LabelRevision: 3, Status: "deployed", InputHash: "h", OwnerLabel: label}}
			c.change(&r)
			if got := r.Correction(now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCheckErrorAfter(t *testing.T) {
	old := &release.CheckError{Code: "a", Cause: "x", Since: now}
	cases := map[string]struct {
		found, previous *release.CheckError
		news            bool
	}{
		"nothing, as before": {nil, nil, false},
		"the first":          {old, nil, true},
		"it passed":          {nil, old, true},
		"the same":           {&release.CheckError{Code: "a", Cause: "x"}, old, false},
		"another cause":      {&release.CheckError{Code: "a", Cause: "y"}, old, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, news := c.found.After(c.previous)
			if news != c.news || got != nil && !got.Since.Equal(now) {
				t.Errorf("got %+v, %t", got, news)
			}
		})
	}
}
