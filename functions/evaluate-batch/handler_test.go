package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type memory struct {
	run       run.Run
	rollout   rollout.Rollout
	atomic    bool
	targets   []run.Target
	releases  []release.Release
	forgotten bool
	withdrawn []deployment.Generation
	meanwhile func() // what a person does just before the run ends
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindIntent(context.Context, string, run.Run) (deployment.Deployment, deployment.Generation, error) {
	return deployment.Deployment{Generation: m.run.Generation}, deployment.Generation{Rollout: m.rollout, Atomic: m.atomic}, nil
}

func (m *memory) BeginReverting(context.Context, string, string) (run.Run, error) {
	m.run.Phase = run.Reverting
	return m.run, nil
}

func (m *memory) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return slices.Clone(m.targets), nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, target run.Target) error {
	for i, t := range m.targets {
		if t.ClusterID == target.ClusterID {
			m.targets[i] = target
		}
	}
	return nil
}

func (m *memory) ListReleasesOfOwner(context.Context, string, release.Owner) ([]release.Release, error) {
	return slices.Clone(m.releases), nil
}

func (m *memory) DeleteRelease(_ context.Context, key release.Key, _ release.Owner, _ string) error {
	m.releases = slices.DeleteFunc(m.releases, func(r release.Release) bool { return r.Key == key })
	return nil
}

func (m *memory) ForgetDeployment(context.Context, string, string) error {
	m.forgotten = true
	return nil
}

func (m *memory) FinishRun(_ context.Context, of run.Run, status run.Status, code, cause string, at time.Time) (run.Run, error) {
	if m.meanwhile != nil {
		m.meanwhile()
		m.meanwhile = nil
	}
	if !m.run.Status.Done() {
		if of.Phase != m.run.Phase || of.CancelRequested != m.run.CancelRequested {
			return m.run, errors.New("it was canceled or turned around meanwhile")
		}
		m.run.Status, m.run.Code, m.run.Cause, m.run.EndedAt = status, code, cause, at
	}
	return m.run, nil
}

func TestEvaluateBatch(t *testing.T) {
	const (
		waits   = run.TargetWaiting
		works   = run.TargetDeploying
		worked  = run.TargetSucceeded
		failed  = run.TargetFailed
		stopped = run.TargetCanceled
	)
	cases := map[string]struct {
		typ       run.Type
		force     bool
		before    int // targets that were done before the batch
		targets   []run.TargetStatus
		again     bool
		status    run.Status
		dirty     bool
		forgotten bool
	}{
		"targets wait: again": {typ: run.Deploy, targets: []run.TargetStatus{worked, waits}, again: true, status: run.Running},
		"all succeeded":       {typ: run.Deploy, targets: []run.TargetStatus{worked, worked}, status: run.Succeeded},
		"one failed":          {typ: run.Deploy, targets: []run.TargetStatus{worked, failed}, status: run.Partial},
		"all failed":          {typ: run.Deploy, targets: []run.TargetStatus{failed, failed}, status: run.Failed},
		"canceled":            {typ: run.Deploy, targets: []run.TargetStatus{worked, stopped}, status: run.Canceled},
		"a path without an outcome ends as failed":      {typ: run.Deploy, before: 1, targets: []run.TargetStatus{worked, works}, status: run.Partial, dirty: true},
		"the first batch without any outcome":           {typ: run.Deploy, targets: []run.TargetStatus{works}, status: run.Failed, dirty: true},
		"a plan without an outcome left nothing behind": {typ: run.Plan, targets: []run.TargetStatus{works}, status: run.Failed},
		"no target at all":                              {typ: run.Sync, status: run.Succeeded},
		"a removal that succeeded is forgotten":         {typ: run.Remove, targets: []run.TargetStatus{worked}, status: run.Succeeded, forgotten: true},
		"a removal that failed is not":                  {typ: run.Remove, targets: []run.TargetStatus{worked, failed}, status: run.Partial},
		"with force, though nothing could be removed":   {typ: run.Remove, force: true, targets: []run.TargetStatus{failed, failed}, status: run.Partial, forgotten: true},
		"with force it is":                              {typ: run.Remove, force: true, targets: []run.TargetStatus{worked, failed}, status: run.Partial, forgotten: true},
		"leaving clusters do not end the deployment":    {typ: run.Leave, targets: []run.TargetStatus{worked}, status: run.Succeeded},
		"a removal without targets is forgotten, too":   {typ: run.Remove, status: run.Succeeded, forgotten: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{run: run.Run{Org: "o", ID: "r", Type: c.typ, Force: c.force, DeploymentID: "d", Status: run.Running},
				releases: []release.Release{{Key: release.Key{Org: "o", ClusterID: "b", Namespace: "n", Name: "web"}}}}
			for i, status := range c.targets {
				m.targets = append(m.targets, run.Target{ClusterID: string(rune('a' + i)), Status: status})
			}
			verdict, err := handler{m}.handle(t.Context(), workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: "r"}, Done: c.before})
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Again != c.again || verdict.Status != string(c.status) || verdict.LeftBehind != c.dirty || m.run.Status != c.status {
				t.Errorf("verdict %+v of a run that is %s", verdict, m.run.Status)
			}
			if m.forgotten != c.forgotten || (len(m.releases) == 0) != c.forgotten {
				t.Errorf("forgotten %v, releases left %d", m.forgotten, len(m.releases))
			}
			for _, target := range m.targets {
				if !c.again && !target.Status.Done() {
					t.Errorf("the run ended and target %s is %s", target.ClusterID, target.Status)
				}
			}
		})
	}
}

func TestATargetWithoutOutcomeSaysSo(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Type: run.Deploy, Status: run.Running}, targets: []run.Target{{ClusterID: "a", Status: run.TargetVerifying}}}
	for range 2 { // the retry of a task that died after it was done
		if _, err := (handler{m}).handle(t.Context(), workflow.Progress{}); err != nil {
			t.Fatal(err)
		}
	}
	got := m.targets[0]
	if got.EndedAt.IsZero() {
		t.Error("it did not end")
	}
	got.EndedAt = time.Time{}
	want := run.Target{ClusterID: "a", Status: run.TargetFailed, Code: "unrecorded", LeftBehind: true,
		Cause: "the target's path ended without an outcome; its steps say how far it came"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A batch that dies before it begins any target ends them all, and leaves nothing on their clusters.
func TestWhatNobodyBeganIsNotLeftBehind(t *testing.T) {
	m := &memory{run: run.Run{Org: "o", ID: "r", Type: run.Deploy, Status: run.Running}, targets: []run.Target{{ClusterID: "a", Status: run.TargetWaiting}, {ClusterID: "b", Status: run.TargetWaiting}}}
	verdict, err := handler{m}.handle(t.Context(), workflow.Progress{})
	if err != nil || verdict.Again || verdict.LeftBehind {
		t.Fatalf("%+v, %v", verdict, err)
	}
	for _, target := range m.targets {
		if target.Status != run.TargetFailed || target.Code != run.CodeUnrecorded || target.LeftBehind {
			t.Errorf("%+v", target)
		}
	}
}
