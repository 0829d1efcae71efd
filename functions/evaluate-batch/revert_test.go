package main

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

func (m *memory) Withdraw(_ context.Context, g deployment.Generation, _ string) error {
	m.withdrawn = append(m.withdrawn, g)
	return nil
}

func TestAnAtomicRunReturnsAllItsTargets(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Type: run.Deploy, DeploymentID: "d", Generation: 2, Before: 1, Status: run.Running}, atomic: true}
	before := &run.Before{Revision: 3, PlanHash: "p1"}
	m.targets = []run.Target{
		{ClusterID: "a", Status: run.TargetSucceeded, Before: before},
		{ClusterID: "b", Status: run.TargetFailed, Code: "not-ready", Before: before},
		{ClusterID: "c", Status: run.TargetFailed, Code: "not-a-member"}, // it was not touched
	}
	h := handler{store: m}
	in := workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: "r"}}
	for range 2 { // killed after it had turned the run around: the same again
		verdict, err := h.handle(t.Context(), in)
		if err != nil || !verdict.Again || m.run.Phase != run.Reverting || m.run.Status.Done() || len(m.withdrawn) > 0 {
			t.Fatalf("%+v, %+v, %v", verdict, m.run, err)
		}
	}
	back := func(of string) *run.Remedy {
		return &run.Remedy{Reverts: true, Action: release.Rollback, Status: run.RemedyRunning, OfCode: of}
	}
	m.targets[0].Remedy, m.targets[1].Remedy = back(""), back("not-ready")
	m.targets[0] = m.targets[0].Ended("", "")
	m.targets[1].Status = run.TargetVerifying // its path died
	verdict, err := h.handle(t.Context(), workflow.Progress{RunRef: in.RunRef, Done: 2})
	if err != nil || verdict.Again || verdict.Status != string(run.Failed) || !verdict.LeftBehind {
		t.Fatalf("%+v, %v", verdict, err)
	}
	if got := m.targets[1]; got.Code != "not-ready" || got.Remedy.Code != "unrecorded" || got.Remedy.Status != run.RemedyFailed {
		t.Errorf("the target whose path died is %+v", got)
	}
	if got := m.targets[0]; got.Status != run.TargetReverted {
		t.Errorf("the target that had succeeded is %+v", got)
	}
	want := []deployment.Generation{{Org: "o", DeploymentID: "d", Number: 2, Before: 1}}
	if diff := cmp.Diff(want, m.withdrawn); diff != "" {
		t.Error("withdrawn:", diff)
	}
}

func TestARunThatIsNotAtomicStaysAsItEnded(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Type: run.Deploy, Generation: 2, Before: 1, Status: run.Running}}
	m.targets = []run.Target{{ClusterID: "a", Status: run.TargetSucceeded, Before: &run.Before{}}, {ClusterID: "b", Status: run.TargetFailed, Before: &run.Before{}}}
	verdict, err := handler{store: m}.handle(t.Context(), workflow.Progress{})
	if err != nil || verdict.Again || verdict.Status != string(run.Partial) || m.run.Phase != run.Forward || len(m.withdrawn) > 0 {
		t.Errorf("%+v, %+v, %v", verdict, m.run, err)
	}
}

// The generation goes back where all that the run did goes back, and nowhere else.
func TestWhenTheGenerationGoesBack(t *testing.T) {
	reverted := run.Target{ClusterID: "a", Status: run.TargetReverted, Before: &run.Before{}, Remedy: &run.Remedy{Reverts: true, Action: release.Rollback, Status: run.RemedySucceeded}}
	cases := map[string]struct {
		run  run.Run
		want int
	}{
		"it went forward":            {run.Run{}, 0},
		"it was taken back":          {run.Run{Phase: run.Reverting}, 1},
		"it was canceled half way":   {run.Run{Phase: run.Reverting, CancelRequested: true}, 0},
		"it was about some targets":  {run.Run{Phase: run.Reverting, Only: []string{"a"}, RedriveOf: "before"}, 0},
		"it was ended as being dead": {run.Run{Phase: run.Reverting, Status: run.Failed}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.run.Type, c.run.Generation, c.run.Before = run.Deploy, 2, 1
			if c.run.Status == "" {
				c.run.Status = run.Running
			}
			m := &memory{run: c.run, targets: []run.Target{reverted}}
			if verdict, err := (handler{m}).handle(t.Context(), workflow.Progress{}); err != nil || verdict.Again || len(m.withdrawn) != c.want {
				t.Errorf("%+v, withdrawn %+v: %v", verdict, m.withdrawn, err)
			}
		})
	}
}

// What a person asks for as the run is about to end is not lost: the retry decides again.
func TestAnAbortAsTheRunEnds(t *testing.T) {
	m := &memory{run: run.Run{Type: run.Deploy, Generation: 2, Before: 1, Status: run.Running}, targets: []run.Target{{ClusterID: "a", Status: run.TargetSucceeded, Before: &run.Before{}}}}
	m.meanwhile = func() { m.run.Phase = run.Reverting }
	if verdict, err := (handler{m}).handle(t.Context(), workflow.Progress{}); err == nil || m.run.Status.Done() {
		t.Fatalf("%+v: it ended as %s", verdict, m.run.Status)
	}
	if verdict, err := (handler{m}).handle(t.Context(), workflow.Progress{}); err != nil || !verdict.Again || len(m.withdrawn) > 0 {
		t.Errorf("%+v, withdrawn %+v: %v", verdict, m.withdrawn, err)
	}
}

// An atomic run none of whose targets was changed has its generation taken back, too, by a second look.
func TestAnAtomicRunThatChangedNothing(t *testing.T) {
	m := &memory{run: run.Run{Type: run.Deploy, Generation: 2, Before: 1, Status: run.Running}, atomic: true, targets: []run.Target{{ClusterID: "a", Status: run.TargetFailed, Code: "not-a-member"}}}
	for _, again := range []bool{true, false} {
		if verdict, err := (handler{m}).handle(t.Context(), workflow.Progress{Done: 1}); err != nil || verdict.Again != again {
			t.Fatalf("%+v: %v", verdict, err)
		}
	}
	if m.run.Status != run.Failed || len(m.withdrawn) != 1 {
		t.Errorf("it is %s, withdrawn %+v", m.run.Status, m.withdrawn)
	}
}
