package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/webhook"
)

// gateScene is a run that waits at the gate behind its canary, of which the receiver ci was asked.
type gateScene struct {
	now    time.Time
	gate   run.Gate
	turn   run.Turn
	key    webhook.Key
	id     string // that answers have; empty: the question's
	lost   bool   // the receiver's credential
	woken  []string
	handle http.Handler
}

func (s *gateScene) FindGate(_ context.Context, _, id, wave string) (run.Gate, bool, error) {
	return s.gate, id == "r" && wave == s.gate.Wave, nil
}

func (s *gateScene) FindReceiver(_ context.Context, org, name string) (receiver.Receiver, error) {
	if name != "ci" {
		return receiver.Receiver{}, problem.NotFound("receiver-not-found", "there is no receiver %s", name)
	}
	return receiver.Receiver{Org: org, Name: name, Kind: receiver.Webhook}, nil
}

func (s *gateScene) AnswerGate(_ context.Context, _, _, _ string, status run.GateStatus, reason string, _ time.Time) (bool, error) {
	if s.gate.Status != run.GateAsked {
		return false, nil
	}
	s.gate.Status, s.gate.Reason = status, reason
	return true, nil
}

func (s *gateScene) FindTurn(context.Context, string, string) (run.Turn, bool, error) {
	return s.turn, true, nil
}

func (s *gateScene) OfReceiver(_ context.Context, r receiver.Receiver) (receiver.Credential, error) {
	if s.lost {
		return receiver.Credential{}, r.WithoutCredential()
	}
	return receiver.Credential{Key: s.key.Text()}, nil
}

func (s *gateScene) Wake(_ context.Context, token string) error {
	s.woken = append(s.woken, token)
	return nil
}

func newGateScene(t *testing.T) *gateScene {
	t.Helper()
	key := webhook.KeyOf(bytes.Repeat([]byte{7}, 32))
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := &gateScene{now: noon, key: key, gate: run.Gate{Wave: "canary", Receiver: "ci", Until: noon.Add(time.Hour)}, turn: run.Turn{Token: "t", Reason: run.AtGate}}
	h := handler{now: func() time.Time { return s.now }, log: slog.New(slog.DiscardHandler)}
	h.gates = gates{store: s, secrets: s, tasks: s}
	s.handle = receivewebhook.New(h)
	return s
}

func (s *gateScene) answer(t *testing.T, path, body string, at time.Time, key webhook.Key) (status int, counted bool) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader([]byte(body)))
	r.Header.Set("Content-Type", "application/json")
	webhook.Sign(r.Header, webhook.Message{ID: cmp.Or(s.id, "r_canary"), At: at}, []byte(body), key)
	w := httptest.NewRecorder()
	s.handle.ServeHTTP(w, r)
	var answered openapi.GateAnswered
	if w.Code == http.StatusAccepted {
		if err := json.Unmarshal(w.Body.Bytes(), &answered); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, answered.Counted
}

const canary = "/hooks/v1/orgs/o/gates/r_canary"

// The first answer in time counts, and lets the run's machine go on. Any other changes nothing.
func TestTheFirstAnswerOfAGateCounts(t *testing.T) {
	s := newGateScene(t)
	if status, counted := s.answer(t, canary, `{"status":"failed","reason":"errors rise"}`, s.now, s.key); status != http.StatusAccepted || !counted {
		t.Errorf("answered %d, counted %v", status, counted)
	}
	if status, counted := s.answer(t, canary, `{"status":"passed"}`, s.now, s.key); status != http.StatusAccepted || counted {
		t.Errorf("the second answered %d, counted %v", status, counted)
	}
	if s.gate.Status != run.GateFailed || s.gate.Reason != "errors rise" || len(s.woken) == 0 || s.woken[0] != "t" {
		t.Errorf("%+v, woken %v", s.gate, s.woken)
	}
}

func TestALateAnswerOfAGateIsNone(t *testing.T) {
	s := newGateScene(t)
	s.now = s.gate.Until
	s.turn = run.Turn{Token: "t", Reason: run.Paused}
	if status, counted := s.answer(t, canary, `{"status":"passed"}`, s.now, s.key); status != http.StatusAccepted || counted {
		t.Errorf("answered %d, counted %v", status, counted)
	}
	if s.gate.Status != run.GateAsked || len(s.woken) > 0 {
		t.Errorf("%+v, woken %v", s.gate, s.woken)
	}
}

// What is forged, old or no answer changes nothing, and tells nobody which gates there are.
func TestRefusedAnswersOfGates(t *testing.T) {
	other := webhook.KeyOf(bytes.Repeat([]byte{8}, 32))
	cases := map[string]struct {
		path, body string
		age        time.Duration
		key        *webhook.Key
		receiver   string
		id         string
		lost       bool
		status     int
	}{
		"another key":          {key: &other, status: http.StatusUnauthorized},
		"an old signature":     {age: time.Hour, status: http.StatusUnauthorized},
		"no such gate":         {path: "/hooks/v1/orgs/o/gates/r_other", status: http.StatusUnauthorized},
		"no id of a gate":      {path: "/hooks/v1/orgs/o/gates/r", status: http.StatusUnauthorized},
		"an answer to another": {id: "r_other", status: http.StatusUnauthorized},
		"its key was not kept": {lost: true, status: http.StatusUnauthorized},
		"its receiver is gone": {receiver: "gone", status: http.StatusUnauthorized},
		"the question itself":  {body: `{"type":"gate.asked","wave":"canary"}`, status: http.StatusBadRequest},
		"no JSON":              {body: `passed`, status: http.StatusBadRequest},
		"no such status":       {body: `{"status":"perhaps"}`, status: http.StatusUnprocessableEntity},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newGateScene(t)
			s.id, s.lost = c.id, c.lost
			path, body, key := canary, `{"status":"passed"}`, s.key
			if c.path != "" {
				path = c.path
			}
			if c.body != "" {
				body = c.body
			}
			if c.key != nil {
				key = *c.key
			}
			if c.receiver != "" {
				s.gate.Receiver = c.receiver
			}
			if status, _ := s.answer(t, path, body, s.now.Add(-c.age), key); status != c.status {
				t.Errorf("answered %d, want %d", status, c.status)
			}
			if s.gate.Status != run.GateAsked || len(s.woken) > 0 {
				t.Errorf("%+v, woken %v", s.gate, s.woken)
			}
		})
	}
}

func FuzzGateAnswer(f *testing.F) {
	f.Add(`{"status":"failed","reason":"x"}`)
	f.Fuzz(func(t *testing.T, body string) {
		if answer, err := readAnswer([]byte(body)); err == nil && answer.Status != "passed" && answer.Status != "failed" {
			t.Errorf("taken: %q", body)
		}
	})
}

func TestAnAnswerThatIsNoneHasItsCode(t *testing.T) {
	if _, err := readAnswer([]byte(`{"type":"gate.asked"}`)); !problem.Is(err, "gate-answer-invalid") {
		t.Errorf("got %v", err)
	}
}
