package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

// memory is the table and Secrets Manager.
type memory struct {
	run      run.Run
	source   source.Source
	comments map[string]string
	planned  time.Time // what the comment says
}

func (m *memory) FindRun(_ context.Context, _, id string) (run.Run, error) {
	if id != m.run.ID {
		return run.Run{}, problem.NotFound("run-not-found", "there is no run")
	}
	return m.run, nil
}

func (m *memory) FindSource(context.Context, string, string) (source.Source, error) {
	if m.source.Name == "" {
		return m.source, problem.NotFound("source-not-found", "there is no source")
	}
	return m.source, nil
}

func (m *memory) FindComment(_ context.Context, _, _ string, n int, deployment string) (string, error) {
	return m.comments[fmt.Sprint(n, deployment)], nil
}

func (m *memory) PutComment(_ context.Context, _, _ string, n int, deployment, comment string, plannedAt time.Time) (bool, error) {
	if plannedAt.Before(m.planned) {
		return false, nil
	}
	m.comments[fmt.Sprint(n, deployment)], m.planned = comment, plannedAt
	return true, nil
}

func (m *memory) OfSource(context.Context, source.Source) (source.Secret, error) {
	return source.Secret{Key: "the source's key", Token: "hunter2"}, nil
}

// scene is a handler between an API with one plan and a GitHub.
type scene struct {
	*memory
	handler
	t        *testing.T
	objects  []openapi.PlannedObject
	statuses []string
	comment  string
	writes   int
	answer   int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(s.swell))
	t.Cleanup(api.Close)
	github := httptest.NewServer(http.HandlerFunc(s.github))
	t.Cleanup(github.Close)
	s.memory = &memory{comments: map[string]string{}, source: source.Source{Org: "default", Name: "shop", Kind: source.GitHub, URL: "https://github.example/acme/shop", APIURL: github.URL, HasCredential: true}}
	s.run = run.Run{Org: "default", ID: "r-1", Type: run.Plan, Trigger: "source", Status: run.Succeeded, ReleaseName: "shop", GroupID: "g-1", PlanHash: "p",
		Origin: run.Origin{Source: "shop", Kind: "github", Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "c0ffee", PullRequest: 7, URL: "https://github.example/acme/shop/commit/c0ffee"}}
	s.objects = []openapi.PlannedObject{
		{Kind: "Deployment", Namespace: "shop", Name: "web", Action: openapi.ObjectActionUpdate, Changes: []openapi.PlannedChange{{Path: "spec.replicas", Before: 1, After: 2}}, Destructive: []string{"it is | made ` anew"}},
		{Kind: "Secret", Namespace: "shop", Name: "web", Action: openapi.ObjectActionUpdate, Changes: []openapi.PlannedChange{{Path: "data.password", Before: "[masked]", After: "[masked]"}}},
		{Kind: "Service", Namespace: "shop", Name: "web", Action: openapi.ObjectActionUnchanged},
	}
	s.handler = handler{store: s.memory, secrets: s.memory, networks: policy, api: api.URL, client: api.Client(), log: slog.New(slog.DiscardHandler)}
	return s
}

func (s *scene) swell(w http.ResponseWriter, r *http.Request) {
	target := openapi.PlanTarget{ClusterID: "c-1", ClusterName: "a", Action: openapi.ActionUpgrade, Counts: openapi.PlanCounts{Changed: 2, Destructive: 1}}
	switch {
	case r.Header.Get("Authorization") != "Bearer the source's key":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/api/v1/orgs/default/plans/p":
		openapi.Write(w, http.StatusOK, openapi.Plan{Reproducible: true, Targets: []openapi.PlanTarget{target, {ClusterID: "c-2", ClusterName: "b", Code: "cluster-unreachable", Cause: "no route"}}})
	case r.URL.Path == "/api/v1/orgs/default/plans/p/targets/c-1" && r.URL.Query().Get("cursor") == "":
		openapi.Write(w, http.StatusOK, openapi.PlanTargetDetails{Objects: s.objects[:1], NextCursor: "2"})
	case r.URL.Path == "/api/v1/orgs/default/plans/p/targets/c-1":
		openapi.Write(w, http.StatusOK, openapi.PlanTargetDetails{Objects: s.objects[1:]})
	default:
		s.t.Errorf("the API was asked %s", r.URL)
	}
}

func (s *scene) github(w http.ResponseWriter, r *http.Request) {
	if s.answer != 0 {
		w.WriteHeader(s.answer)
		return
	}
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch r.Method + " " + r.URL.Path {
	case "POST /repos/acme/shop/statuses/c0ffee":
		s.statuses = append(s.statuses, body["state"]+" "+body["context"]+": "+body["description"])
		_, _ = w.Write([]byte("{}"))
	case "GET /repos/acme/shop/issues/7/comments":
		_, _ = w.Write([]byte("[]"))
	case "POST /repos/acme/shop/issues/7/comments":
		s.comment, s.writes = body["body"], s.writes+1
		_, _ = w.Write([]byte(`{"id": 1}`))
	case "PATCH /repos/acme/shop/issues/comments/1":
		s.comment = body["body"]
		_, _ = w.Write([]byte(`{"id": 1}`))
	default:
		s.t.Errorf("the host was asked %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *scene) tellOnce() (again bool) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"detail": event.Event{Org: "default", Run: &event.Run{ID: s.run.ID}, Group: &event.Group{ID: "g-1", Name: "eu"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.handle(s.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: string(body)}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(out.BatchItemFailures) > 0
}

func TestAPlanIsCommentedOnce(t *testing.T) {
	s := newScene(t)
	for range 3 {
		if s.tellOnce() {
			t.Fatal("it comes again")
		}
	}
	if s.writes != 1 || s.statuses[0] != "success swell/plan/eu/shop: planned for every cluster of eu" {
		t.Errorf("%d comments, statuses %v", s.writes, s.statuses)
	}
	for _, want := range []string{"<!-- swell default/shop eu/shop -->", "| `a` | upgrade | 0 | 2 | 0 | 1 |", "| `b` | cluster-unreachable |", "`b`: `no route`", "- update `Deployment shop/web`",
		"`spec.replicas`: `1` → `2`", "`it is ¦ made ' anew`", "`data.password`: `\"[masked]\"` → `\"[masked]\"`"} {
		if !strings.Contains(s.comment, want) {
			t.Errorf("the comment lacks %q:\n%s", want, s.comment)
		}
	}
	if strings.Contains(s.comment, "Service") {
		t.Errorf("the comment tells what stays:\n%s", s.comment)
	}
}

// Events come in any order: what the newest plan found stays.
func TestAnOlderPlanDoesNotReplaceANewerOne(t *testing.T) {
	s := newScene(t)
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		run  string
		at   time.Time
		says string
	}{{"r-2", noon, "r-2"}, {"r-1", noon.Add(-time.Second), "r-2"}, {"r-2", noon, "r-2"}, {"r-3", noon.Add(time.Second), "r-3"}} {
		s.run.ID, s.run.CreatedAt = c.run, c.at
		if s.tellOnce() {
			t.Fatal("it comes again")
		}
		if !strings.Contains(s.comment, "run `"+c.says+"`") {
			t.Errorf("after %s the comment is not that of %s:\n%s", c.run, c.says, s.comment)
		}
	}
	if s.writes != 1 {
		t.Errorf("%d comments", s.writes)
	}
}

func TestALongPlanIsCut(t *testing.T) {
	s := newScene(t)
	for n := range 3000 {
		s.objects = append(s.objects, openapi.PlannedObject{Kind: "ConfigMap", Name: fmt.Sprint("one-of-many-", n), Action: openapi.ObjectActionCreate})
	}
	s.tellOnce()
	if len(s.comment) > 60<<10 || !strings.HasSuffix(s.comment, "</details>\n\nThe rest is left out: `swell plan` shows all of it.\n") {
		t.Errorf("the comment has %d bytes and ends: %s", len(s.comment), s.comment[max(0, len(s.comment)-200):])
	}
}

func TestStatusesOfDeploys(t *testing.T) {
	for status, want := range map[run.Status]string{
		run.Running: "pending swell/eu/shop: run r-1 is under way", run.Succeeded: "success swell/eu/shop: deployed to every cluster of eu",
		run.Partial: "failure swell/eu/shop: not deployed to every cluster of eu: run r-1 is Partial", run.Superseded: "success swell/eu/shop: a newer change took over",
	} {
		s := newScene(t)
		s.run.Type, s.run.Status, s.run.Origin.PullRequest = run.Deploy, status, 0
		if s.tellOnce() || len(s.statuses) != 1 || s.statuses[0] != want || s.comment != "" {
			t.Errorf("%s: %v, comment %q; want %q", status, s.statuses, s.comment, want)
		}
	}
}

func TestWhoIsNotTold(t *testing.T) {
	for name, change := range map[string]func(*scene){
		"no run":    func(s *scene) { s.run.Origin.Commit = "" },
		"no source": func(s *scene) { s.source.Name = "" },
		"no token":  func(s *scene) { s.source.HasCredential = false },
	} {
		s := newScene(t)
		change(s)
		if s.tellOnce() || len(s.statuses) != 0 || s.comment != "" {
			t.Errorf("%s: %v %s", name, s.statuses, s.comment)
		}
	}
	for status, again := range map[int]bool{http.StatusBadGateway: true, http.StatusForbidden: false} {
		s := newScene(t)
		if s.answer = status; s.tellOnce() != again {
			t.Errorf("%d: it comes again: %t", status, !again)
		}
	}
}
