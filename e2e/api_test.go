//go:build stack

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/shared/openapi"
)

const orgPath = "/api/v1/orgs/default"

// answer is what the API answered.
type answer struct {
	what    string
	status  int
	header  http.Header
	raw     []byte
	problem openapi.Problem
}

func (a answer) into(v any) error {
	if err := json.Unmarshal(a.raw, v); err != nil {
		return fmt.Errorf("%s answered what is no %T: %w\n%s", a.what, v, err, a.raw)
	}
	return nil
}

func (a answer) want(status int, v any) error {
	if a.status != status {
		return fmt.Errorf("%s answered %d, want %d: %s", a.what, a.status, status, a.raw)
	}
	if v == nil {
		return nil
	}
	return a.into(v)
}

// send calls the API for the org default; body may be nil, raw bytes, or what becomes JSON.
func (i *installation) send(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	if !strings.HasPrefix(path, "/api/") && path != "/openapi.json" {
		path = orgPath + path
	}
	a := answer{what: method + " " + path}
	var reader io.Reader
	if raw, ok := body.([]byte); ok {
		reader = bytes.NewReader(raw)
	} else if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return a, err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, i.url+path, reader)
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+i.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for n := 0; n+1 < len(headers); n += 2 {
		if req.Header.Set(headers[n], headers[n+1]); headers[n+1] == "" {
			req.Header.Del(headers[n])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header = resp.StatusCode, resp.Header
	if a.raw, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		err = json.Unmarshal(a.raw, &a.problem)
	}
	return a, err
}

// do is send in a test.
func do(t *testing.T, method, path string, body any, headers ...string) answer {
	t.Helper()
	a, err := swell.send(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// must is do that wants that status and reads the answer into v.
func must(t *testing.T, status int, method, path string, body, v any) answer {
	t.Helper()
	a := do(t, method, path, body)
	if err := a.want(status, v); err != nil {
		t.Fatal(err)
	}
	return a
}

// intent is a deployment's request, as JSON has it.
type intent map[string]any

// with is the intent with other fields.
func (in intent) with(more intent) intent {
	out := intent{}
	for k, v := range in {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

type values = map[string]any

// app is a deployment of a test, in a namespace of its own.
type app struct {
	t     *testing.T
	group string
	name  string // of the release, and of its namespace
}

// newApp names a deployment, and removes it at the test's end, by force and without waiting for it.
func newApp(t *testing.T, group, topic string) app {
	t.Helper()
	a := app{t: t, group: group, name: unique(topic)}
	t.Cleanup(func() {
		_, err := swell.send(context.WithoutCancel(t.Context()), http.MethodDelete, a.path()+"?force=true", nil)
		if err != nil {
			t.Errorf("removing deployment %s: %v", a.name, err)
		}
	})
	return a
}

func (a app) path() string { return "/clustergroups/" + a.group + "/deployments/" + a.name }

// create posts the intent, which gets the release's name and namespace.
func (a app) create(in intent) openapi.DeploymentAccepted {
	a.t.Helper()
	var accepted openapi.DeploymentAccepted
	answered := must(a.t, http.StatusAccepted, http.MethodPost, "/clustergroups/"+a.group+"/deployments", in.with(intent{"releaseName": a.name, "namespace": a.name}), &accepted)
	if want := orgPath + "/runs/" + accepted.Run; answered.header.Get("Location") != want {
		a.t.Errorf("Location is %q, want %q", answered.header.Get("Location"), want)
	}
	return accepted
}

func (a app) update(in intent) openapi.DeploymentAccepted {
	a.t.Helper()
	var accepted openapi.DeploymentAccepted
	must(a.t, http.StatusAccepted, http.MethodPut, a.path(), in, &accepted)
	return accepted
}

// deploy creates, and waits until the run ends so.
func (a app) deploy(want openapi.RunStatus, in intent) openapi.RunDetails {
	a.t.Helper()
	return ended(a.t, a.create(in).Run, want)
}

func (a app) put(want openapi.RunStatus, in intent) openapi.RunDetails {
	a.t.Helper()
	return ended(a.t, a.update(in).Run, want)
}

// act starts a sync, a check or a removal, and waits until the run ends so.
func (a app) act(want openapi.RunStatus, method, suffix string) openapi.RunDetails {
	a.t.Helper()
	var accepted openapi.DeploymentAccepted
	must(a.t, http.StatusAccepted, method, a.path()+suffix, nil, &accepted)
	return ended(a.t, accepted.Run, want)
}

func (a app) sync(want openapi.RunStatus) openapi.RunDetails {
	a.t.Helper()
	return a.act(want, http.MethodPut, "/sync")
}

func (a app) check() openapi.RunDetails {
	a.t.Helper()
	return a.act(openapi.RunStatusSucceeded, http.MethodPost, "/check")
}

func (a app) remove(want openapi.RunStatus) openapi.RunDetails {
	a.t.Helper()
	return a.act(want, http.MethodDelete, "")
}

func (a app) get() openapi.Deployment {
	a.t.Helper()
	var d openapi.Deployment
	must(a.t, http.StatusOK, http.MethodGet, a.path(), nil, &d)
	return d
}

// target is the deployment's target on that cluster, as the API says it stands.
func (a app) target(cluster string) openapi.TargetCluster {
	a.t.Helper()
	for _, target := range a.get().TargetClusters {
		if target.ClusterName == cluster {
			return target
		}
	}
	a.t.Fatalf("deployment %s has no target on %s", a.name, cluster)
	return openapi.TargetCluster{}
}

// wantTarget fails unless the target stands so.
func (a app) wantTarget(cluster string, status openapi.TargetStatus, health openapi.Health) openapi.TargetCluster {
	a.t.Helper()
	got := a.target(cluster)
	if got.Status != status || got.Health != health {
		a.t.Errorf("target %s of %s is %s and %s, want %s and %s: %+v", cluster, a.name, got.Status, got.Health, status, health, got)
	}
	return got
}

func getRun(t *testing.T, id string) openapi.RunDetails {
	t.Helper()
	var r openapi.RunDetails
	must(t, http.StatusOK, http.MethodGet, "/runs/"+id, nil, &r)
	return r
}

func over(status openapi.RunStatus) bool {
	return status != openapi.RunStatusPending && status != openapi.RunStatusRunning
}

// awaitRun watches a run, as the command line does, until it ended.
func awaitRun(t *testing.T, id string, within time.Duration) openapi.RunDetails {
	t.Helper()
	var r openapi.RunDetails
	tag := ""
	err := poll(t.Context(), within, func() (bool, error) {
		a, err := swell.send(t.Context(), http.MethodGet, "/runs/"+id, nil, "If-None-Match", tag)
		if err != nil || a.status == http.StatusNotModified {
			return false, err
		}
		tag = a.header.Get("ETag")
		err = a.want(http.StatusOK, &r)
		return over(r.Status), err
	})
	if r.ID == "" || err != nil && !over(r.Status) {
		t.Fatalf("waiting for run %s: %v; it is %s", id, err, describe(r))
	}
	return r
}

// ended waits for a run and wants it to end so.
func ended(t *testing.T, id string, want openapi.RunStatus) openapi.RunDetails {
	t.Helper()
	r := awaitRun(t, id, 5*time.Minute)
	if r.Status != want {
		t.Fatalf("want %s, got %s", want, describe(r))
	}
	return r
}

func describe(r openapi.RunDetails) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s (%s) %s %s %s", r.ID, r.Type, r.Status, r.Code, r.Cause)
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "\n  %s %s %s left=%t %s: %s", t.ClusterName, t.Action, t.Status, t.LeftBehind, t.Code, t.Cause)
	}
	return b.String()
}

func targetOf(t *testing.T, r openapi.RunDetails, cluster string) openapi.RunTarget {
	t.Helper()
	for _, target := range r.Targets {
		if target.ClusterName == cluster {
			return target
		}
	}
	t.Fatalf("no target %s in %s", cluster, describe(r))
	return openapi.RunTarget{}
}

// wantOutcome fails unless the run's target ended so; cause is a part of the text.
func wantOutcome(t *testing.T, r openapi.RunDetails, cluster string, status openapi.RunTargetStatus, code, cause string, leftBehind bool) {
	t.Helper()
	got := targetOf(t, r, cluster)
	if got.Status != status || got.Code != code || !strings.Contains(got.Cause, cause) || got.LeftBehind != leftBehind {
		t.Errorf("target %s ended %s, code %q, left behind %t, cause %q; want %s, %q, %t, …%s…", cluster, got.Status, got.Code, got.LeftBehind, got.Cause,
			status, code, leftBehind, cause)
	}
}

// push sends a chart archive and returns its digest, which is a reference to it.
func push(t *testing.T, archive []byte) string {
	t.Helper()
	a := do(t, http.MethodPost, "/helm/charts", archive, "Content-Type", "application/gzip")
	var c openapi.Chart
	if err := a.want(http.StatusCreated, &c); err != nil {
		t.Fatal(err)
	}
	return c.Digest
}

func pushDemo(t *testing.T) string {
	t.Helper()
	archive, err := charts.Demo()
	if err != nil {
		t.Fatal(err)
	}
	return push(t, archive)
}

// cli runs bin/swell and returns what it printed and its exit code.
func cli(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(swell.root, "bin", "swell"), args...)
	cmd.Dir = swell.root
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
