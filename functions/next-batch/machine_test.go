package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/remediation"
	"github.com/swell-sh/swell/shared/rollout"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// machine is the roll-out's over one store: NextBatch, the paths of the targets, and EvaluateBatch by the rules that it keeps to.
type machine struct {
	*memory
	now       time.Time
	path      func(item workflow.TargetRef, t run.Target) run.Target // the target as its path leaves it
	waits     func(b workflow.Batch)                                 // what happens as it waits
	began     func(b workflow.Batch)                                 // nil: nobody looks
	lost      func() bool                                            // whether NextBatch's answer is; nil: never
	touched   map[string]bool
	withdrawn bool
}

// walk goes through the states until the run ends, or until there were that many.
func (m *machine) walk(most int) error {
	m.touched = map[string]bool{}
	h := handler{m.memory, func() time.Time { return m.now }}
	for range most {
		batch, err := h.handle(context.Background(), workflow.Progress{RunRef: workflow.RunRef{Org: "o", Run: m.run.ID}})
		if err != nil {
			return err
		}
		if m.lost != nil && m.lost() {
			continue
		}
		switch rollout.Turn(batch.Turn) {
		case rollout.Bake, rollout.Await:
			m.waits(batch)
			continue
		case rollout.Walk:
			if m.began != nil {
				m.began(batch)
			}
		}
		for _, item := range batch.Items {
			m.touched[item.Cluster] = true
			m.now = m.now.Add(time.Second)
			*m.target(item.Cluster) = m.path(item, *m.target(item.Cluster))
		}
		if !m.evaluate(batch.Done) {
			return nil
		}
	}
	return fmt.Errorf("after %d states it goes on, paused %t, phase %q: %+v", most, m.run.Paused, m.run.Phase, m.targets)
}

func (m *machine) evaluate(before int) (again bool) {
	for _, t := range m.run.Unrecorded(m.targets, before, m.now) {
		*m.target(t.ClusterID) = t
	}
	if open := run.Done(m.targets) < len(m.targets); open || !m.run.RollsOut() {
		return open
	}
	s := rollout.Situation{Run: m.run, Targets: slices.Clone(m.targets), Now: m.now}
	s.Stopped, _ = m.run.StoppedBy(m.deployment.Generation, false)
	switch m.generation.Rollout.After(s, m.generation.Atomic && remediation.Reverts(m.run, m.targets)) {
	case rollout.TurnsAround:
		m.run.Phase = run.Reverting
		return true
	case rollout.GoesOn:
		return true
	}
	m.withdrawn, m.run.Status = m.run.Withdraws(), run.Conclude(m.targets)
	return false
}

// A run that is aborted at its canary, which cannot go back, leaves the clusters alone that it did not come to.
func TestAnAbortLeavesTheUntouchedAlone(t *testing.T) {
	m := &machine{memory: rolling(), now: noon}
	m.run.Status = run.Running
	m.targets[0].Before = &run.Before{Revision: 2} // nobody saw it healthy
	for i := range 98 {
		m.targets = append(m.targets, run.Target{ClusterID: fmt.Sprint(i), Status: run.TargetWaiting})
	}
	m.waits = func(workflow.Batch) { m.run.Phase = run.Reverting }
	if err := m.walk(10); err != nil {
		t.Fatal(err)
	}
	if got := m.targets[0]; got.Status != run.TargetFailed || got.Code != run.CodeRevertFailed || !got.LeftBehind {
		t.Errorf("the canary is %+v", got)
	}
	for _, got := range m.targets[1:] {
		if got.Status != run.TargetCanceled || got.Code != "reverted" || got.LeftBehind {
			t.Fatalf("cluster %s was not touched, and is %+v", got.ClusterID, got)
		}
	}
	if m.run.Status != run.Failed || len(m.touched) > 0 {
		t.Errorf("the run is %s, and walked %v", m.run.Status, m.touched)
	}
}
