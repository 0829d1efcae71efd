//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/run"
)

// The first answer of a gate counts; a gate that is opened again keeps its end; a run's reader does not take gates for targets.
func TestGates(t *testing.T) {
	s := newStore(t)
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Second)
	g := given(t, s, orgA, "prod")
	a := newAdmission(orgA, g.ID, "web")
	_, r, err := s.AdmitDeployment(ctx, a)
	must(t, err)
	gate := run.Gate{Wave: "canary", Receiver: "ci", Until: now.Add(time.Hour)}
	must(t, s.OpenGate(ctx, orgA, r.ID, gate))
	later := gate
	later.Until = now.Add(2 * time.Hour)
	must(t, s.OpenGate(ctx, orgA, r.ID, later))
	must(t, s.TellGate(ctx, orgA, r.ID, "canary", false, now))
	must(t, s.TellGate(ctx, orgA, r.ID, "canary", true, now))
	for i, status := range []run.GateStatus{run.GateFailed, run.GatePassed} {
		ours, err := s.AnswerGate(ctx, orgA, r.ID, "canary", status, "errors rise", now)
		must(t, err)
		if ours != (i == 0) {
			t.Errorf("answer %d counts: %v", i, ours)
		}
	}
	if ours, err := s.AnswerGate(ctx, orgA, r.ID, "none", run.GatePassed, "", now); err != nil || ours {
		t.Errorf("a gate that is not there was answered: %v, %v", ours, err)
	}
	gate.Status, gate.Reason, gate.Tries, gate.AskedAt, gate.AnsweredAt = run.GateFailed, "errors rise", 1, now, now
	found, ok, err := s.FindGate(ctx, orgA, r.ID, "canary")
	must(t, err)
	if !ok {
		t.Fatal("the gate is not there")
	}
	wantEqual(t, found, gate)
	gates, err := s.ListGates(ctx, orgA, r.ID)
	must(t, err)
	wantEqual(t, gates, map[string]run.Gate{"canary": gate})
	_, targets, _, err := s.ReadRun(ctx, orgA, r.ID)
	must(t, err)
	if len(targets) > 0 {
		t.Errorf("a gate is read as a target: %+v", targets)
	}
}
