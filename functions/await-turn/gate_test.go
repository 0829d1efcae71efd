package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// gateway is a run at the gate behind its canary, and who is asked.
type gateway struct {
	memory
	gate    run.Gate
	kind    receiver.Kind
	refuses error
	asked   []notify.Question
}

func (g *gateway) ListGates(context.Context, string, string) (map[string]run.Gate, error) {
	return map[string]run.Gate{"before": {Wave: "before", Status: run.GatePassed}, g.gate.Wave: g.gate}, nil
}

func (g *gateway) TellGate(_ context.Context, _, _, _ string, taken bool, at time.Time) error {
	if taken {
		g.gate.AskedAt = at
	} else {
		g.gate.Tries++
	}
	return nil
}

func (g *gateway) AnswerGate(_ context.Context, _, _, _ string, status run.GateStatus, reason string, _ time.Time) (bool, error) {
	g.gate.Status, g.gate.Reason = status, reason
	return true, nil
}

func (g *gateway) FindReceiver(_ context.Context, org, name string) (receiver.Receiver, error) {
	return receiver.Receiver{Org: org, Name: name, Kind: g.kind}, nil
}

func (g *gateway) FindDeployment(context.Context, string, string) (deployment.Deployment, error) {
	return deployment.Deployment{ReleaseName: "web"}, nil
}

func (g *gateway) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return []run.Target{{ClusterName: "b", Wave: "canary"}, {ClusterName: "a", Wave: "canary"}, {ClusterName: "c"}}, nil
}

func (g *gateway) OfReceiver(context.Context, receiver.Receiver) (receiver.Credential, error) {
	return receiver.Credential{}, nil
}

func (g *gateway) Ask(_ context.Context, _ receiver.Credential, q notify.Question) error {
	if g.refuses == nil {
		g.asked = append(g.asked, q)
	}
	return g.refuses
}

func scene() (*gateway, func() error) {
	g := &gateway{kind: receiver.Webhook, gate: run.Gate{Wave: "canary", Receiver: "ci", Until: noon.Add(time.Hour)}}
	g.run = run.Run{Org: "o", ID: "r", Generation: 3, PlanHash: "p"}
	h := handler{store: g, tasks: g, secrets: g, asker: g, api: "https://swell.example", now: func() time.Time { return noon }}
	in := workflow.Waiting{RunRef: workflow.RunRef{Org: "o", Run: "r"}, Reason: run.AtGate, Until: "2026-11-21T13:00:00Z", Token: "t"}
	return g, func() error {
		_, err := h.handle(context.Background(), in)
		return err
	}
}

// Who is asked is asked once, with all it needs to answer.
func TestTheGateIsAskedOnce(t *testing.T) {
	g, handle := scene()
	for range 2 {
		if err := handle(); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.woke) > 0 {
		t.Error("the run does not wait for the answer")
	}
	want := []notify.Question{{
		Type: "gate.asked", ID: "r_canary", At: noon, Org: "o", Run: "r", Deployment: "web", Generation: 3, PlanHash: "p", Wave: "canary",
		Targets: []string{"a", "b"}, Until: noon.Add(time.Hour), Callback: "https://swell.example/hooks/v1/orgs/o/gates/r_canary",
	}}
	if diff := cmp.Diff(want, g.asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Who does not take the question is asked a few times; then the gate has failed, and the run looks what that means.
func TestWhoIsNotReachedShutsTheGate(t *testing.T) {
	g, handle := scene()
	g.refuses = errors.New("it answered 500")
	for try := 1; try < run.MaxGateTries; try++ {
		if err := handle(); err == nil || taskerr.NameOf(err) != taskerr.Internal {
			t.Errorf("try %d: %v", try, err)
		}
	}
	if err := handle(); err != nil || len(g.woke) != 1 {
		t.Errorf("woke %v: %v", g.woke, err)
	}
	if g.gate.Status != run.GateFailed || !strings.Contains(g.gate.Reason, "it answered 500") {
		t.Errorf("%+v", g.gate)
	}
}

func TestAnAnsweredGateIsNotWaitedFor(t *testing.T) {
	g, handle := scene()
	g.gate.Status = run.GatePassed
	if err := handle(); err != nil || len(g.woke) != 1 || len(g.asked) > 0 {
		t.Errorf("woke %v, asked %v: %v", g.woke, g.asked, err)
	}
}

func TestAReceiverThatCannotAnswerShutsTheGate(t *testing.T) {
	g, handle := scene()
	g.kind = receiver.Slack
	for range run.MaxGateTries {
		_ = handle()
	}
	if g.gate.Status != run.GateFailed || !strings.Contains(g.gate.Reason, "kind slack") {
		t.Errorf("%+v", g.gate)
	}
}
