package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/webhook"
)

// gates is what answers of gates are held against, and who waits for them.
type gates struct {
	store interface {
		FindGate(ctx context.Context, org, run, wave string) (g run.Gate, found bool, err error)
		FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error)
		AnswerGate(ctx context.Context, org, run, wave string, status run.GateStatus, reason string, at time.Time) (ours bool, err error)
		FindTurn(ctx context.Context, org, id string) (t run.Turn, found bool, err error)
	}
	secrets interface {
		OfReceiver(ctx context.Context, r receiver.Receiver) (receiver.Credential, error)
	}
	tasks interface {
		Wake(ctx context.Context, token string) error
	}
}

const maxReason = 500

// AnswerGate takes the answer of who was asked whether a roll-out may go on. Any but the first changes nothing.
func (h handler) AnswerGate(w http.ResponseWriter, r *http.Request, org, gate string) {
	counted, err := h.answerGate(r, org, gate)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.GateAnswered{Counted: counted})
}

func (h handler) answerGate(r *http.Request, org, id string) (counted bool, err error) {
	raw, err := bodyOf(r, maxBody)
	if err != nil {
		return false, err
	}
	runID, wave, ok := strings.Cut(id, "_")
	if !ok || !pathRule.MatchString(org) || !pathRule.MatchString(runID) || !pathRule.MatchString(wave) {
		return false, webhook.ErrMismatch
	}
	ctx := r.Context()
	g, err := h.verifiedGate(ctx, org, runID, wave, r.Header, raw)
	if err != nil {
		return false, err
	}
	answer, err := readAnswer(raw)
	if err != nil {
		return false, err
	}
	if now := h.now().UTC(); now.Before(g.Until) {
		if counted, err = h.gates.store.AnswerGate(ctx, org, runID, wave, run.GateStatus(answer.Status), answer.Reason, now); err != nil {
			return false, err
		}
	}
	return counted, h.wake(ctx, org, runID)
}

// verifiedGate is the gate, if the answer is signed by who was asked, and is about this gate: the signature is over the id that the question had, so that an
// answer cannot be sent to another gate. A gate that is not there is answered as a wrong signature is.
func (h handler) verifiedGate(ctx context.Context, org, runID, wave string, header http.Header, raw []byte) (run.Gate, error) {
	if _, err := webhook.Verify(header, raw, h.now()); !errors.Is(err, webhook.ErrMismatch) {
		return run.Gate{}, err // whatever the key is
	}
	g, found, err := h.gates.store.FindGate(ctx, org, runID, wave)
	if err != nil {
		return g, err
	}
	if !found {
		return g, webhook.ErrMismatch
	}
	who, err := h.gates.store.FindReceiver(ctx, org, g.Receiver)
	if problem.Is(err, "receiver-not-found") {
		return g, webhook.ErrMismatch
	}
	if err != nil {
		return g, err
	}
	credential, err := h.gates.secrets.OfReceiver(ctx, who)
	if problem.Is(err, "receiver-credential-missing") {
		h.log.WarnContext(ctx, "an answer of a gate is refused, since the receiver has no key", "org", org, "receiver", g.Receiver, "error", err.Error())
		return g, webhook.ErrMismatch
	}
	if err != nil {
		return g, err
	}
	key, err := webhook.ParseKey(credential.Key)
	if err != nil {
		return g, webhook.ErrMismatch
	}
	m, err := webhook.Verify(header, raw, h.now(), key)
	if err == nil && m.ID != runID+"_"+wave {
		err = problem.With(http.StatusUnauthorized, "signature-refused", "the answer is signed as one to another question").At(webhook.HeaderID).Try("use the question's id as the answer's")
	}
	return g, err
}

func readAnswer(raw []byte) (answer openapi.GateAnswer, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		return answer, problem.Malformed("gate-answer-invalid", "the body is no answer of a gate").Try(`send {"status":"passed"} or {"status":"failed","reason":"…"}`)
	}
	if s := run.GateStatus(answer.Status); s != run.GatePassed && s != run.GateFailed {
		return answer, problem.Invalid("invalid-value", "status is %q", answer.Status).At("status").Try("use passed or failed")
	}
	if len(answer.Reason) > maxReason {
		return answer, problem.Invalid("invalid-value", "the reason has %d bytes", len(answer.Reason)).At("reason").Try("use at most %d", maxReason)
	}
	return answer, nil
}

// wake lets the run's machine look what is next. It may have done so before: then nobody waits, or it waits again.
func (h handler) wake(ctx context.Context, org, runID string) error {
	turn, waits, err := h.gates.store.FindTurn(ctx, org, runID)
	if err != nil {
		return fmt.Errorf("finding what wakes run %s: %w", runID, err)
	}
	if !waits || turn.Reason != run.AtGate {
		return nil
	}
	if err := h.gates.tasks.Wake(ctx, turn.Token); err != nil {
		return fmt.Errorf("waking run %s: %w", runID, err)
	}
	return nil
}
