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
