package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type memory struct {
	run     run.Run
	targets []run.Target
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return append([]run.Target{}, m.targets...), nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, target run.Target) error {
	for i, t := range m.targets {
		if t.ClusterID == target.ClusterID {
			m.targets[i] = target
		}
	}
	return nil
}

func (m *memory) FinishRun(_ context.Context, _ run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error) {
	m.run.Status, m.run.Code, m.run.Cause, m.run.EndedAt = status, code, cause, at
	return m.run, nil
}

var noTimes = cmpopts.IgnoreTypes(time.Time{})

func TestARunThatCouldNotEndItself(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Status: run.Running}, targets: []run.Target{
		{ClusterID: "a", Status: run.TargetSucceeded}, {ClusterID: "b", Status: run.TargetDeploying}, {ClusterID: "c", Status: run.TargetWaiting},
	}}
	in := workflow.End{RunRef: workflow.RunRef{Org: "o", Run: "r"}, Caught: &taskerr.Caught{Error: "States.Timeout", Cause: "after 86400 s"}}
	verdict, err := handler{m}.handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	const code, cause = "step-timeout", "the step took longer than it may. after 86400 s"
	want := []run.Target{
		{ClusterID: "a", Status: run.TargetSucceeded},
		{ClusterID: "b", Status: run.TargetFailed, Code: code, Cause: cause, LeftBehind: true},
		{ClusterID: "c", Status: run.TargetFailed, Code: code, Cause: cause},
	}
	if diff := cmp.Diff(want, m.targets, noTimes); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if m.run.Status != run.Failed || m.run.Code != code || m.run.Cause != cause || m.run.EndedAt.IsZero() {
		t.Errorf("run %+v", m.run)
	}
	if verdict.Status != "Failed" || !verdict.LeftBehind || verdict.Again || verdict.RunRef != in.RunRef {
		t.Errorf("verdict %+v", verdict)
	}
}

func TestARunThatEndedBeforeKeepsItsEnd(t *testing.T) {
	cases := map[string]struct {
		status     run.Status
		target     run.Target
		leftBehind bool
	}{
		"targets failed and left something": {run.Partial, run.Target{ClusterID: "a", Status: run.TargetFailed, LeftBehind: true}, true},
		"targets failed and left nothing":   {run.Failed, run.Target{ClusterID: "a", Status: run.TargetFailed}, false},
		"it had succeeded":                  {run.Succeeded, run.Target{ClusterID: "a", Status: run.TargetSucceeded}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{run: run.Run{Org: "o", ID: "r", Status: c.status}, targets: []run.Target{c.target}}
			verdict, err := handler{m}.handle(t.Context(), workflow.End{Caught: &taskerr.Caught{Error: "RunFailedDirty", Cause: "x"}})
			if err != nil || verdict.Status != string(c.status) || verdict.LeftBehind != c.leftBehind {
				t.Errorf("verdict %+v, %v", verdict, err)
			}
			if diff := cmp.Diff([]run.Target{c.target}, m.targets); diff != "" || m.run.Status != c.status || m.run.Code != "" {
				t.Errorf("run %+v, targets changed:\n%s", m.run, diff)
			}
		})
	}
}
