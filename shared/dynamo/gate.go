package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/run"
)

const gatePrefix = "GATE#"

type gateItem struct {
	head
	Wave, Receiver, Status, Reason string
	Tries                          int
	Until, AskedAt, AnsweredAt     stamp
}

func fromGateItem(i gateItem) run.Gate {
	return run.Gate{Wave: i.Wave, Receiver: i.Receiver, Status: run.GateStatus(i.Status), Reason: i.Reason, Tries: i.Tries,
		Until: i.Until.Time, AskedAt: i.AskedAt.Time, AnsweredAt: i.AnsweredAt.Time}
}

// OpenGate keeps a question that is to be asked. One that is kept already stays as it is, with its end.
func (s *Store) OpenGate(ctx context.Context, org, runID string, g run.Gate) error {
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Wave", g.Wave), "Receiver", g.Receiver), "Status", string(g.Status)), "Until", stamp{g.Until})
	err := s.update(ctx, gateKey(org, runID, g.Wave), u, absent(), nil)
	if conditionFailed(err) {
		return nil
	}
	return wrap(err, "keeping the gate behind wave %s of run %s", g.Wave, runID)
}

// FindGate finds the gate behind a wave of a run; found is false if it was never to be asked.
func (s *Store) FindGate(ctx context.Context, org, runID, wave string) (g run.Gate, found bool, err error) {
	var item gateItem
	found, err = s.get(ctx, gateKey(org, runID, wave), &item)
	return fromGateItem(item), found, err
}

// ListGates are the gates of a run, by wave.
func (s *Store) ListGates(ctx context.Context, org, runID string) (map[string]run.Gate, error) {
	all, _, err := listAs(ctx, s, query{pk: runPK(org, runID), prefix: gatePrefix}, Page{}, fromGateItem)
	gates := map[string]run.Gate{}
	for _, g := range all {
		gates[g.Wave] = g
	}
	return gates, err
}

// TellGate keeps that the question was taken, or that it was tried in vain once more.
func (s *Store) TellGate(ctx context.Context, org, runID, wave string, taken bool, at time.Time) error {
	var u expression.UpdateBuilder
	if taken {
		u = set(u, "AskedAt", stamp{at})
	} else {
		u = u.Add(expression.Name("Tries"), expression.Value(1))
	}
	return wrap(s.update(ctx, gateKey(org, runID, wave), u, exists(), nil), "keeping that the gate behind wave %s of run %s was asked", wave, runID)
}

// AnswerGate keeps the first answer, whoever comes with it; ours is false for any other, which changes nothing.
func (s *Store) AnswerGate(ctx context.Context, org, runID, wave string, status run.GateStatus, reason string, at time.Time) (ours bool, err error) {
	var u expression.UpdateBuilder
	u = set(set(set(u, "Status", string(status)), "Reason", reason), "AnsweredAt", stamp{at})
	err = s.update(ctx, gateKey(org, runID, wave), u, equal("Status", string(run.GateAsked)), nil)
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, wrap(err, "answering for the gate behind wave %s of run %s", wave, runID)
}
