//go:build stack

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

const applies = 100 // rounds of each pair

// shown makes a plan of what the deployment web is now, and returns the plan and what it was made from.
func (s scene) shown(t *testing.T, expires time.Duration) (string, deployment.Deployment) {
	t.Helper()
	ctx := t.Context()
	d, err := s.store.FindDeployment(ctx, "default", "dweb")
	must(t, err)
	now := time.Now().UTC()
	before, err := s.store.FindGeneration(ctx, "default", d.ID, d.Generation)
	must(t, err)
	next := deployment.Generation{Org: "default", DeploymentID: d.ID, Number: d.Newest + 1, ValuesRef: before.ValuesRef, Chart: before.Chart, CreatedAt: now}
	draft := deployment.Draft{Deployment: d, Generation: next, ExpectedVersion: d.Version}
	r, err := s.store.AdmitPlan(ctx, draft, run.New(id.New(), run.Plan, "default", "api", "ann", now))
	must(t, err)
	_, err = s.store.StartRun(ctx, "default", r.ID, now)
	must(t, err)
	entry := release.PlanEntry{ClusterID: "c1", ClusterName: "one", Generation: next.Number, Action: release.Upgrade,
		Key: release.Key{Org: "default", ClusterID: "c1", Namespace: d.Namespace, Name: d.ReleaseName}}
	other := entry
	other.ClusterID, other.ClusterName, other.Key.ClusterID = "c2", "two", "c2"
	must(t, s.store.PutTargets(ctx, r, []run.Target{{ClusterID: "c1", ClusterName: "one", Status: run.TargetSucceeded}, {ClusterID: "c2", ClusterName: "two", Status: run.TargetSucceeded}}))
	_, err = s.store.FinishRun(ctx, r, run.Succeeded, "", "", now)
	must(t, err)
	hash := release.PlanHash(r.ID, []release.PlanEntry{entry, other})
	must(t, s.store.PutShownPlan(ctx, deployment.Plan{Hash: hash, RunID: r.ID, Draft: draft, CreatedAt: now, ExpiresAt: now.Add(expires)}, []release.PlanEntry{entry, other}))
	return hash, d
}

// post sends a change and returns the status and, of a refusal, the code.
func post(handler http.Handler, path, key string) (status int, code string, header http.Header) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/orgs/default"+path, strings.NewReader(""))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var p problem.Problem
	_ = json.Unmarshal(w.Body.Bytes(), &p)
	return w.Code, p.Code, w.Header()
}

// atOnce starts all together, and returns their answers in order.
func atOnce(all ...func() string) []string {
	answers := make([]string, len(all))
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i, f := range all {
		wait.Go(func() {
			<-start
			answers[i] = f()
		})
	}
	close(start)
	wait.Wait()
	return answers
}

// wantOneGeneration: one of them was accepted, and made one generation and one run.
func (s scene) wantOneGeneration(t *testing.T, before deployment.Deployment, answers []string) {
	t.Helper()
	won := 0
	for _, answer := range answers {
		if answer == "accepted" {
			won++
		}
	}
	after, err := s.store.FindDeployment(t.Context(), "default", before.ID)
	must(t, err)
	if won != 1 || after.Newest != before.Newest+1 || after.Generation != after.Newest || after.Version != before.Version+1 || after.RunSeq != before.RunSeq+1 {
		t.Fatalf("%d of %v were accepted; before %+v, after %+v", won, answers, before, after)
	}
}

// A plan is applied twice at once, and at once with an update: each time one is accepted, and the other is told why not.
func TestApplyAtOnce(t *testing.T) {
	s := newScene(t)
	apply := func(hash string) func() string {
		return func() string {
			status, code, _ := post(s.handler, "/plans/"+hash+"/apply", "")
			return map[bool]string{true: "accepted", false: code}[status == http.StatusAccepted]
		}
	}
	update := func(d deployment.Deployment) func() string {
		return func() string {
			_, _, err := s.store.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: d, ExpectedVersion: d.Version, Run: run.New(id.New(), run.Deploy, "default", "api", "bob", time.Now()),
				Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: d.Newest + 1, ValuesRef: "none", Chart: deployment.Chart{Name: "podinfo", Version: "1.0.0"}}})
			if p, ok := problem.From(err); ok {
				return p.Code
			}
			return map[bool]string{true: "accepted", false: fmt.Sprint(err)}[err == nil]
		}
	}
	for name, c := range map[string]struct {
		second func(hash string, d deployment.Deployment) func() string
		lost   []string // the codes of the one that was not accepted
	}{
		"apply and apply": {func(hash string, _ deployment.Deployment) func() string { return apply(hash) }, []string{"plan-applied"}},
		"apply and update": {func(_ string, d deployment.Deployment) func() string {
			return func() string {
				time.Sleep(rand.N(100 * time.Millisecond)) // it has less to read, and would always be first
				return update(d)()
			}
		}, []string{"plan-stale", "deployment-changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			outcomes := map[string]int{}
			for range applies {
				hash, before := s.shown(t, time.Hour)
				answers := atOnce(apply(hash), c.second(hash, before))
				s.wantOneGeneration(t, before, answers)
				for _, answer := range answers {
					outcomes[answer]++
					if answer != "accepted" && !slices.Contains(c.lost, answer) {
						t.Errorf("the other was told %s", answer)
					}
				}
				if answers[0] == "accepted" {
					outcomes["the first apply was accepted"]++
				}
			}
			t.Logf("%d rounds of %s: %v", applies, name, outcomes)
		})
	}
	t.Run("late, again, and after a change", func(t *testing.T) {
		for want, prepare := range map[string]func() string{
			"plan-expired": func() string { hash, _ := s.shown(t, -time.Second); return hash },
			"plan-applied": func() string {
				hash, _ := s.shown(t, time.Hour)
				if got := apply(hash)(); got != "accepted" {
					t.Errorf("applied once: %s", got)
				}
				return hash
			},
			"plan-stale": func() string {
				hash, d := s.shown(t, time.Hour)
				if got := update(d)(); got != "accepted" {
					t.Errorf("updated: %s", got)
				}
				return hash
			},
		} {
			hash := prepare()
			if got := apply(hash)(); got != want {
				t.Errorf("applied, it is %s, want %s", got, want)
			}
		}
	})
}

// A hundred requests at once under one key: one plan is applied once, and whoever is answered hears the same.
func TestOneKeyAtOnce(t *testing.T) {
	s := newScene(t)
	handler := openapi.Idempotent(s.handler, s.store, slog.New(slog.DiscardHandler))
	hash, before := s.shown(t, time.Hour)
	all := make([]func() string, 100)
	for i := range all {
		all[i] = func() string {
			status, code, header := post(handler, "/plans/"+hash+"/apply", "k")
			switch {
			case status == http.StatusAccepted && header.Get("Idempotency-Replayed") == "true":
				return "replayed"
			case status == http.StatusAccepted:
				return "accepted"
			}
			return code
		}
	}
	answers := atOnce(all...)
	s.wantOneGeneration(t, before, answers)
	outcomes := map[string]int{}
	for _, answer := range answers {
		outcomes[answer]++
		if answer != "accepted" && answer != "replayed" && answer != "idempotency-key-in-use" {
			t.Errorf("one was told %s", answer)
		}
	}
	t.Logf("100 requests under one key: %v", outcomes)
}
