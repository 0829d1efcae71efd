package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestATargetThatDoesNotAnswerCatchesUp(t *testing.T) {
	missed := &release.CatchUp{RunID: "r", Generation: 3}
	cases := map[string]struct {
		desired string // the run that moved the release last
		absent  bool
		back    bool // the entry takes back
		run     run.Run
		taken   bool
		status  run.TargetStatus
		missed  *release.CatchUp
		moved   bool // the run moved the desired state
	}{
		"it was not reached":        {desired: "before", status: run.TargetUnreachable, missed: missed, moved: true},
		"it was lost on the way":    {desired: "r", status: run.TargetUnreachable, missed: missed, moved: true},
		"a newer run has it":        {desired: "r2", taken: true, status: run.TargetSuperseded},
		"a removal":                 {desired: "before", absent: true, status: run.TargetFailed},
		"a remedy":                  {desired: "r", back: true, status: run.TargetFailed, moved: true},
		"the run was canceled":      {desired: "before", run: run.Run{CancelRequested: true}, status: run.TargetFailed},
		"the run was turned around": {desired: "before", run: run.Run{Phase: run.Reverting}, status: run.TargetFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{target: run.Target{ClusterID: "a", Status: run.TargetPreparing}, run: c.run, taken: c.taken,
				entry:   release.PlanEntry{Absent: c.absent, Generation: 3, TakeBack: release.TakeBack{TakesBack: c.back}},
				release: &release.Release{ActiveRun: "r", Desired: &release.Desired{RunID: c.desired}}}
			in := workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "a"}, Caught: caught("ClusterUnreachable", "cluster-unreachable")}
			for range 2 {
				if _, err := (handler{m}).handle(t.Context(), in); err != nil {
					t.Fatal(err)
				}
			}
			if m.target.Status != c.status || (m.release.Desired.RunID == "r") != c.moved || m.release.ActiveRun != "" {
				t.Errorf("%+v, %+v", m.target, m.release)
			}
			if diff := cmp.Diff(c.missed, m.release.CatchUp); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoSucceedsMissedNothing(t *testing.T) {
	m := &memory{target: run.Target{ClusterID: "a", Status: run.TargetVerifying}, release: &release.Release{ActiveRun: "r", CatchUp: &release.CatchUp{RunID: "before"}}}
	if _, err := (handler{m}).handle(t.Context(), workflow.Outcome{TargetRef: workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "a"}}); err != nil {
		t.Fatal(err)
	}
	if m.target.Status != run.TargetSucceeded || m.release.CatchUp != nil {
		t.Errorf("%+v, %+v", m.target, m.release)
	}
}
