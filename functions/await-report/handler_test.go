package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

var web = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}

// memory is the store and Step Functions of one release.
type memory struct {
	wait     watch.Wait
	reported watch.Watch
	claimed  bool
	learned  run.LearnedBy
	woken    []string
	down     error
}

func (*memory) FindPlanEntry(_ context.Context, _, planHash, _ string) (release.PlanEntry, error) {
	if planHash != "p" {
		return release.PlanEntry{}, errors.New("no such plan")
	}
	return release.PlanEntry{Key: web}, nil
}

func (m *memory) SetToken(_ context.Context, _ release.Key, runID string, token workflow.TaskToken) (workflow.TaskToken, bool, error) {
	before := m.wait.Token
	if m.wait.Run != runID {
		return "", false, nil
	}
	m.wait.Token = token
	return before, true, nil
}

func (m *memory) FindWait(context.Context, release.Key) (watch.Wait, bool, error) {
	return m.wait, true, nil
}
func (m *memory) FindWatch(context.Context, release.Key) (watch.Watch, error) { return m.reported, nil }
func (m *memory) ClaimAnswer(context.Context, watch.Wait, time.Time) (bool, error) {
	mine := !m.claimed
	m.claimed = true
	return mine, nil
}
func (m *memory) FreeAnswer(context.Context, watch.Wait) error { m.claimed = false; return nil }
func (m *memory) EndWait(context.Context, watch.Wait) error    { m.wait.Token = ""; return nil }
func (m *memory) SetLearnedBy(_ context.Context, _, _, _ string, by run.LearnedBy) error {
	m.learned = by
	return nil
}

func (m *memory) Wake(_ context.Context, token string) error {
	if m.down == nil {
		m.woken = append(m.woken, token)
	}
	return m.down
}
func (*memory) Heartbeat(context.Context, string) (bool, error) { return true, nil }

func TestAwait(t *testing.T) {
	object := relay.Object{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u", Generation: 2}
	waits := watch.Wait{Key: web, Run: "r", Objects: []relay.Object{object}}
	var reported watch.Watch
	reported.Key = web
	reported.Take([]relay.Report{{ID: "f", Namespace: "shop", Release: "web", Object: object, State: relay.Complete, SeenAt: time.Now()}}, time.Now())
	taken := waits
	taken.Token = "older"
	cases := map[string]struct {
		given   memory
		run     string
		woken   string
		learned run.LearnedBy
		waits   bool
		fails   bool
	}{
		"nothing is reported yet":     {given: memory{wait: waits}, run: "r", waits: true},
		"the report came first":       {given: memory{wait: waits, reported: reported}, run: "r", woken: "token", learned: run.LearnedByRelay},
		"another run has the release": {given: memory{wait: waits}, run: "older", woken: "token"},
		"an older task waits":         {given: memory{wait: taken}, run: "r", woken: "older", waits: true},
		"the answer cannot be given":  {given: memory{wait: waits, reported: reported, down: errors.New("down")}, run: "r", learned: run.LearnedByRelay, waits: true, fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &c.given
			h := handler{store: m, answers: callback.Answerer{Store: m, Tasks: m, Now: time.Now}}
			in := workflow.AwaitRef{TargetRef: workflow.TargetRef{Org: "o", Run: c.run, Plan: "p", Cluster: "c"}, Token: "token"}
			_, err := h.handle(t.Context(), in)
			if (err != nil) != c.fails || err != nil && m.claimed {
				t.Errorf("%v, claimed %v", err, m.claimed)
			}
			if strings.Join(m.woken, " ") != c.woken || m.learned != c.learned || (m.wait.Token == "token") != c.waits {
				t.Errorf("woken %v, learned by %q, waits %v", m.woken, m.learned, m.wait.Token == "token")
			}
			if fmt.Sprint(in.Token) != "[redacted]" {
				t.Error("the token is printed")
			}
		})
	}
}
