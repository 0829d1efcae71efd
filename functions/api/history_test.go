//go:build stack

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
)

// ask sends a request for the org default and reads the answer into v, or its problem's code.
func (s scene) ask(t *testing.T, method, path, body string, v any) (status int, code string) {
	t.Helper()
	r := httptest.NewRequest(method, "/api/v1/orgs/default"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin})))
	if w.Code < http.StatusBadRequest && v != nil {
		must(t, json.Unmarshal(w.Body.Bytes(), v))
	}
	var p openapi.Problem
	if w.Code >= http.StatusBadRequest {
		must(t, json.Unmarshal(w.Body.Bytes(), &p))
	}
	return w.Code, p.Code
}

// One deployment whose generation is lost does not hide the group's others.
func TestALostGenerationHidesNoDeployment(t *testing.T) {
	s := newScene(t)
	d, err := s.store.FindDeployment(t.Context(), "default", "dapi")
	must(t, err)
	d.Generation = 7
	_, _, err = s.store.AdmitRun(t.Context(), d, run.New("r3", run.Rollback, "default", "api", "ann", time.Now()), d.Version, false)
	must(t, err)
	var list openapi.DeploymentList
	if status, code := s.ask(t, http.MethodGet, "/clustergroups/g/deployments", "", &list); status != http.StatusOK {
		t.Fatal(status, code)
	}
	var rows []string
	for _, row := range list.Items {
		rows = append(rows, row.ReleaseName+" "+row.ChartName)
	}
	if diff := cmp.Diff([]string{"api ", "web podinfo"}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What the newest generation marks as secret is masked in older ones, too, and a difference shows that it changed, not what it is.
func TestOldGenerationsAreMasked(t *testing.T) {
	s := newScene(t)
	keep := func(n int, secret []string, v deployment.Values) {
		t.Helper()
		ref, _, err := s.values.PutValues(t.Context(), "default", v)
		must(t, err)
		d, err := s.store.FindDeployment(t.Context(), "default", "dweb")
		must(t, err)
		_, _, err = s.store.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: d, ExpectedVersion: d.Version, Run: run.New("n"+string(rune('0'+n)), run.Deploy, "default", "api", "ann", time.Now()),
			Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: n, ValuesRef: ref, SecretPaths: secret}})
		must(t, err)
	}
	keep(2, nil, deployment.Values{Common: map[string]any{"auth": map[string]any{"password": "hunter2"}, "replicas": 1}})
	keep(3, []string{"auth.password"}, deployment.Values{Common: map[string]any{"auth": map[string]any{"password": "hunter3"}, "replicas": 2},
		Overrides: map[string]map[string]any{"one": {"auth": map[string]any{"password": "hunter4"}}}})
	const past = "/clustergroups/g/deployments/web/generations"
	var got openapi.GenerationDetails
	if status, code := s.ask(t, http.MethodGet, past+"/2", "", &got); status != http.StatusOK {
		t.Fatal(status, code)
	}
	if diff := cmp.Diff(openapi.Values{"auth": map[string]any{"password": "[masked]"}, "replicas": 1.0}, got.Values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var d openapi.GenerationDiff
	if status, code := s.ask(t, http.MethodGet, past+"/2/diff", "", &d); status != http.StatusOK {
		t.Fatal(status, code)
	}
	want := []openapi.ValueChange{
		{Path: "auth.password", Op: openapi.ChangeOpChanged, Before: "[masked]", After: "[masked]"},
		{Path: "replicas", Op: openapi.ChangeOpChanged, Before: 1.0, After: 2.0},
	}
	overrides := map[string][]openapi.ValueChange{"one": {{Path: "auth", Op: openapi.ChangeOpAdded, After: map[string]any{"password": "[masked]"}}}}
	if diff := cmp.Diff(want, d.Values) + cmp.Diff(overrides, d.ValueOverrides); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A rollback and a redrive are refused with the reason, and change nothing.
func TestRollbackAndRedriveAreRefused(t *testing.T) {
	s := newScene(t)
	refused := func(path, body string, status int, code string) {
		t.Helper()
		if gotStatus, got := s.ask(t, http.MethodPost, path, body, nil); gotStatus != status || got != code {
			t.Errorf("POST %s: %d %s, want %d %s", path, gotStatus, got, status, code)
		}
	}
	const web = "/clustergroups/g/deployments/web"
	refused(web+"/rollback", `{"generation":1}`, 409, "generation-current")
	refused(web+"/rollback", `{"generation":2}`, 404, "generation-not-found")
	refused("/runs/r1/redrive", "", 409, "run-not-done")
	must(t, s.store.UpdateTarget(t.Context(), "default", "r1", run.Target{ClusterID: "c1", Status: run.TargetFailed, Code: "not-ready"}))
	_, err := s.store.FinishRun(t.Context(), run.Run{Org: "default", ID: "r1"}, run.Failed, "", "", time.Now())
	must(t, err)
	var again openapi.Run
	if status, code := s.ask(t, http.MethodPost, "/runs/r1/redrive", "", &again); status != http.StatusAccepted || again.RedriveOf != "r1" || len(again.Only) != 1 {
		t.Fatalf("%d %s, %+v", status, code, again)
	}
	refused("/runs/r1/redrive", "", 409, "run-active")
	refused("/runs/"+again.ID+"/redrive", "", 409, "run-not-done")
	if status, code := s.ask(t, http.MethodDelete, web, "", nil); status != http.StatusAccepted {
		t.Fatal(status, code)
	}
	refused(web+"/rollback", `{"generation":1}`, 409, "deployment-deleting")
	refused("/runs/none/redrive", "", 404, "run-not-found")
}
