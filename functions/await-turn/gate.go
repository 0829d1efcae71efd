package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/run"
)

type gates interface {
	ListGates(ctx context.Context, org, run string) (map[string]run.Gate, error)
	TellGate(ctx context.Context, org, run, wave string, taken bool, at time.Time) error
	AnswerGate(ctx context.Context, org, run, wave string, status run.GateStatus, reason string, at time.Time) (ours bool, err error)
	FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
}

type credentials interface {
	OfReceiver(ctx context.Context, r receiver.Receiver) (receiver.Credential, error)
}

type asker interface {
	Ask(ctx context.Context, c receiver.Credential, q notify.Question) error
}

// gate puts the question of the gate that is not answered, and says whether the run waits for its answer. There is one at most: nothing begins behind it.
func (h handler) gate(ctx context.Context, r run.Run) (waits bool, err error) {
	gates, err := h.store.ListGates(ctx, r.Org, r.ID)
	if err != nil {
		return false, fmt.Errorf("listing the gates of run %s: %w", r.ID, err)
	}
	for _, g := range gates {
		if g.Status == run.GateAsked {
			return h.put(ctx, r, g)
		}
	}
	return false, nil
}

// put puts a gate's question, once. Who does not take it is asked again by the machine a few times; then the gate has failed.
func (h handler) put(ctx context.Context, r run.Run, g run.Gate) (waits bool, err error) {
	if !g.AskedAt.IsZero() {
		return true, nil
	}
	refused := h.ask(ctx, r, g)
	if refused == nil {
		return true, h.store.TellGate(ctx, r.Org, r.ID, g.Wave, true, h.now().UTC())
	}
	if g.Tries+1 < run.MaxGateTries {
		return false, errors.Join(fmt.Errorf("asking receiver %s: %w", g.Receiver, refused), h.store.TellGate(ctx, r.Org, r.ID, g.Wave, false, h.now().UTC()))
	}
	reason := fmt.Sprintf("receiver %s could not be asked: %s", g.Receiver, refused)
	_, err = h.store.AnswerGate(ctx, r.Org, r.ID, g.Wave, run.GateFailed, reason, h.now().UTC())
	return false, err
}

func (h handler) ask(ctx context.Context, r run.Run, g run.Gate) error {
	who, err := h.store.FindReceiver(ctx, r.Org, g.Receiver)
	if err != nil {
		return err
	}
	if who.Kind != receiver.Webhook {
		return fmt.Errorf("it is of kind %s, not webhook", who.Kind)
	}
	credential, err := h.secrets.OfReceiver(ctx, who)
	if err != nil {
		return err
	}
	d, err := h.store.FindDeployment(ctx, r.Org, r.DeploymentID)
	if err != nil {
		return err
	}
	targets, err := h.store.ListTargets(ctx, r.Org, r.ID)
	if err != nil {
		return err
	}
	q := notify.Question{
		Type: "gate.asked", ID: r.ID + "_" + g.Wave, At: h.now().UTC(), Org: r.Org, Run: r.ID, Deployment: d.ReleaseName, Generation: r.Generation, PlanHash: r.PlanHash,
		Wave: g.Wave, Targets: []string{}, Until: g.Until, Callback: h.api + "/hooks/v1/orgs/" + r.Org + "/gates/" + r.ID + "_" + g.Wave,
	}
	for _, t := range targets {
		if t.Wave == g.Wave {
			q.Targets = append(q.Targets, t.ClusterName)
		}
	}
	slices.Sort(q.Targets)
	return h.asker.Ask(ctx, credential, q)
}
