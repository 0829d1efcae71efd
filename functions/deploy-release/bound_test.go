package main

import (
	"testing"

	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
)

// A run that applies a plan does to a target what the plan showed, or nothing.
func TestBoundToAPlan(t *testing.T) {
	at := func(revision int, runID string) []record.Meta {
		return []record.Meta{{Namespace: key.Namespace, Name: key.Name, Revision: revision, Status: "deployed", Labels: map[string]string{release.LabelRun: runID}}}
	}
	cases := map[string]struct {
		apply    string
		planned  release.Action
		revision int
		history  []record.Meta
		action   release.Action
		done     bool
		code     string // where it is an error
	}{
		"as planned":                         {"p", release.Upgrade, 3, at(3, "before"), release.Upgrade, false, ""},
		"an install as planned":              {"p", release.Install, 0, nil, release.Install, false, ""},
		"a newer revision":                   {"p", release.Upgrade, 3, at(4, "before"), release.Upgrade, true, "plan-stale"},
		"it is there by now":                 {"p", release.Install, 0, at(1, "before"), release.Refuse, true, "plan-stale"},
		"it became another":                  {"p", release.Upgrade, 3, at(3, "before"), release.Recover, true, "plan-stale"},
		"the run's own revision":             {"p", release.Upgrade, 3, at(4, "r"), release.None, false, ""},
		"drift where nothing was planned":    {"p", release.None, 3, at(3, "before"), release.Repair, true, ""},
		"drift that was planned for":         {"p", release.Repair, 3, at(3, "before"), release.Repair, false, ""},
		"that drift is gone":                 {"p", release.Repair, 3, at(3, "before"), release.None, false, ""},
		"a run that applies no plan is free": {"", release.Upgrade, 3, at(9, "before"), release.Upgrade, false, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, h := newHandler(t)
			v := verb{handler: h, run: run.Run{Org: key.Org, ID: "r", Apply: c.apply}, entry: release.PlanEntry{Key: key, Action: c.planned, SeenRevision: c.revision}}
			done, err := v.bound(t.Context(), m.release, c.history, c.action)
			if done != c.done || (err != nil) != (c.code != "") || err != nil && taskerr.CodeOf(err) != c.code {
				t.Errorf("done %v, error %v", done, err)
			}
		})
	}
}
