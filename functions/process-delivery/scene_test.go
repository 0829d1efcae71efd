package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/gittest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// memory is the table and Secrets Manager.
type memory struct {
	mu         sync.Mutex
	source     source.Source
	deliveries map[string]source.Record
	states     map[string]source.State
	dying      bool // once: before it is written down what was changed
}

func (m *memory) FindSource(context.Context, string, string) (source.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.source.Name == "" {
		return m.source, problem.NotFound("source-not-found", "there is no source")
	}
	return m.source, nil
}

func (m *memory) ListSourcesOfRegistry(_ context.Context, registry string) ([]source.Source, error) {
	if "https://"+registry == m.source.URL {
		return []source.Source{m.source}, nil
	}
	return nil, nil
}

func (m *memory) ClaimDelivery(_ context.Context, r source.Record) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.deliveries[r.Event.Delivery]
	if !there {
		m.deliveries[r.Event.Delivery] = r
	}
	return !there, nil
}

func (m *memory) FindDelivery(_ context.Context, _, _, id string) (source.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.deliveries[id]
	if !ok {
		return r, problem.NotFound("delivery-not-found", "there is no delivery")
	}
	return r, nil
}

func (m *memory) PutDelivery(ctx context.Context, r source.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	m.deliveries[r.Event.Delivery] = r
	return nil
}

func (m *memory) FindRuleState(_ context.Context, _, _, rule string) (source.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[rule], nil
}

func (m *memory) PutRuleState(_ context.Context, _, _, rule string, s source.State) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dying && s.Run != m.states[rule].Run {
		m.dying = false
		return false, errors.New("the function died")
	}
	if was, there := m.states[rule]; there && was.Step != s.Step-1 {
		return false, nil
	}
	m.states[rule] = s
	return true, nil
}

func (m *memory) OfSource(context.Context, source.Source) (source.Secret, error) {
	return source.Secret{Key: "the source's key"}, nil
}

// api is Swell's own, as far as a source calls it: a deployment in each of two groups, their versions, idempotency keys.
type api struct {
	mu      sync.Mutex
	version map[string]int    // of the deployment, by its path
	keys    map[string]string // to the fingerprint and the run
	updates []openapi.DeploymentRequest
	answer  func(w http.ResponseWriter) bool // true: it answered already
	before  func()                           // runs once, before an update is looked at
	after   func()                           // runs once, when an update is done and not yet answered
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		a.once(&a.before)
		defer a.once(&a.after)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.version[r.URL.Path]; !there || r.Header.Get("Authorization") != "Bearer the source's key" || r.URL.Query().Get("field") != "name" {
		openapi.WriteProblem(w, r, problem.NotFound("deployment-not-found", "there is no deployment %s", r.URL))
		return
	}
	if a.answer != nil && a.answer(w) {
		return
	}
	tag := fmt.Sprintf(`"%d-x"`, a.version[r.URL.Path])
	if r.Method == http.MethodGet {
		w.Header().Set("ETag", tag)
		openapi.Write(w, http.StatusOK, openapi.Deployment{})
		return
	}
	var body openapi.DeploymentRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	raw, _ := json.Marshal(body)
	key, print := r.Header.Get("Idempotency-Key"), r.Header.Get("If-Match")+string(raw)
	kept, run, known := strings.Cut(a.keys[key], "\x00")
	switch {
	case known && kept != print:
		openapi.WriteProblem(w, r, problem.Invalid("idempotency-key-reused", "the key was used"))
		return
	case known:
	case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != tag:
		openapi.WriteProblem(w, r, problem.With(http.StatusPreconditionFailed, "precondition-failed", "it is another version"))
		return
	default:
		run = fmt.Sprintf("r-%d", len(a.updates)+1)
		a.keys[key] = print + "\x00" + run
		a.updates = append(a.updates, body)
		if !body.DryRun {
			a.version[r.URL.Path]++
		}
	}
	openapi.Write(w, http.StatusAccepted, openapi.DeploymentAccepted{Run: run})
}

func (a *api) once(hook *func()) {
	a.mu.Lock()
	run := *hook
	*hook = nil
	a.mu.Unlock()
	if run != nil {
		run()
	}
}

const (
	inEU   = "/api/v1/orgs/default/clustergroups/eu/deployments/shop"
	inAsia = "/api/v1/orgs/default/clustergroups/asia/deployments/shop"
)

// scene is a handler between a real Git host and an API.
type scene struct {
	*memory
	*api
	handler
	*gittest.Repository
	t     *testing.T
	asked atomic.Int32 // requests to the host
}

func newScene(t *testing.T, rules ...source.Rule) *scene {
	t.Helper()
	s := &scene{t: t, Repository: gittest.New(t), api: &api{version: map[string]int{inEU: 1, inAsia: 1}, keys: map[string]string{}}}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.Repository.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	swell := httptest.NewServer(s.api)
	t.Cleanup(swell.Close)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rules {
		rules[i].Group, rules[i].ReleaseName = cmp.Or(rules[i].Group, "eu"), "shop"
	}
	s.memory = &memory{deliveries: map[string]source.Record{}, states: map[string]source.State{}, source: source.Source{
		Org: "default", Name: "shop", Kind: source.GitHub, URL: host.URL + gittest.Path, Rules: rules,
	}}
	s.handler = handler{store: s.memory, secrets: s.memory, hosts: hosts{networks: policy}, api: swell.URL, client: swell.Client(), log: slog.New(slog.DiscardHandler), now: time.Now}
	return s
}

var pushed = source.Event{Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Commit: "of long ago"}

// deliver lets the queue hand the delivery over, and returns what became of it; failed says that it comes again.
func (s *scene) deliver(id string, e source.Event) (record source.Record, failed bool) {
	s.t.Helper()
	return s.deliverBy(s.t.Context(), id, e)
}

// deliverBy ends with the context, as a function does.
func (s *scene) deliverBy(ctx context.Context, id string, e source.Event) (record source.Record, failed bool) {
	s.t.Helper()
	e.Delivery = id
	if _, err := s.ClaimDelivery(s.t.Context(), source.Record{Org: "default", Source: "shop", Event: e, Outcome: source.Received, ReceivedAt: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
	body, _ := json.Marshal(source.Message{Org: "default", Source: "shop", Delivery: id})
	out, err := s.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: id, Body: string(body)}}})
	if err != nil {
		s.t.Fatal(err)
	}
	record, err = s.FindDelivery(s.t.Context(), "", "", id)
	if err != nil {
		s.t.Fatal(err)
	}
	return record, len(out.BatchItemFailures) > 0
}

func (s *scene) want(id string, e source.Event, outcome source.Outcome, why string) source.Record {
	s.t.Helper()
	record, failed := s.deliver(id, e)
	if failed || record.Outcome != outcome || !strings.Contains(record.Why, why) || record.EndedAt.IsZero() {
		s.t.Errorf("delivery %s: %+v, comes again: %t; want %s %q", id, record, failed, outcome, why)
	}
	return record
}
