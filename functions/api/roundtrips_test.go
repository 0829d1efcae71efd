//go:build stack

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/dynamotest"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/run"
)

// A request's cost is its round trips to the table. A limit here is what the operation does now: one more needs a reason. The aim is one for
// a read and two for a write; what is above it resolves a name, or gathers what is kept in several partitions.
func TestRoundTrips(t *testing.T) {
	s := newScene(t)
	cases := []struct {
		request string // method and path, and the body of a write
		status  int
		most    int64
	}{
		{"GET /clusters", 200, 2},
		{"GET /clusters?sort=name&labelSelector=tier=edge", 200, 2},
		{"GET /clusters/c1", 200, 1},
		{"GET /clusters/one?field=name", 200, 2},
		{"GET /clustergroups", 200, 2},
		{"GET /clustergroups/g", 200, 2},
		{"GET /clustergroups/g/deployments", 200, 4},
		{"GET /clustergroups/g/deployments/web", 200, 7},
		{"GET /clustergroups/g/deployments/web/generations/1", 200, 6},
		{"GET /runs", 200, 3},
		{"GET /runs/r1", 200, 1},
		{"GET /helm/repos", 200, 1},
		{"GET /helm/repos/podinfo", 200, 1},
		{`POST /helm/repos {"name":"other","url":"https://charts.example"}`, 201, 1},
		{"DELETE /helm/repos/other", 204, 2},
		{`POST /clustergroups {"name":"h","members":["c3"]}`, 201, 4},
		{"DELETE /clustergroups/h?field=name", 204, 5},
		{"POST /clustergroups/g/deployments/web/check", 202, 5},
		{"POST /runs/r1/cancel", 202, 5}, // one of them: does its machine wait
		{"DELETE /clusters/c3", 204, 4},
	}
	for _, c := range cases {
		line, body, _ := strings.Cut(c.request, " {")
		method, path, _ := strings.Cut(line, " ")
		r := httptest.NewRequest(method, "/api/v1/orgs/default"+path, strings.NewReader("{"+body))
		r.Header.Set("Content-Type", "application/json")
		r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
		w := httptest.NewRecorder()
		s.calls.Store(0)
		s.handler.ServeHTTP(w, r)
		if n := s.calls.Load(); w.Code != c.status || n > c.most {
			t.Errorf("%s: %d after %d round trips, want %d after %d at most: %s", line, w.Code, n, c.status, c.most, w.Body)
		} else {
			t.Logf("%d %s", n, line)
		}
	}
}

// Without the header an idempotency key costs nothing, with it two round trips more.
func TestRoundTripsOfAnIdempotencyKey(t *testing.T) {
	s := newScene(t)
	handler := openapi.Idempotent(s.handler, s.store, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		key    string
		status int
		most   int64
	}{{"", 201, 1}, {"k", 201, 3}, {"k", 201, 1}} {
		body := `{"name":"r` + c.key + `","url":"https://charts.example"}`
		r := httptest.NewRequest(http.MethodPost, "/api/v1/orgs/default/helm/repos", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if c.key != "" {
			r.Header.Set("Idempotency-Key", c.key)
		}
		r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
		w := httptest.NewRecorder()
		s.calls.Store(0)
		handler.ServeHTTP(w, r)
		if n := s.calls.Load(); w.Code != c.status || n != c.most {
			t.Errorf("key %q: %d after %d round trips, want %d after %d: %s", c.key, w.Code, n, c.status, c.most, w.Body)
		}
	}
}

// scene is the function on a table of its own, with something of everything, and a count of the calls to the table.
type scene struct {
	store   *dynamo.Store
	values  *bucket.Store
	handler http.Handler
	calls   *atomic.Int64
}

type machines struct{}

func (machines) Start(context.Context, string, string, any) error { return nil }
func (machines) Put(context.Context, string, []byte) error        { return nil }

func (machines) Delete(context.Context, string) error { return nil }

func newScene(t *testing.T) scene {
	t.Helper()
	ctx := t.Context()
	cfg, err := config.AWS(ctx)
	must(t, err)
	name := "swell-test-" + id.New()
	client := dynamodb.NewFromConfig(cfg)
	must(t, dynamotest.CreateTable(ctx, client, name))
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	_, err = objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	must(t, err)
	t.Cleanup(func() {
		if _, err := client.DeleteTable(context.WithoutCancel(ctx), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Error(err)
		}
	})
	calls := &atomic.Int64{}
	counted := cfg.Copy()
	counted.APIOptions = append(counted.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("count", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			calls.Add(1)
			return next.HandleInitialize(ctx, in)
		}), middleware.Before)
	})
	s := scene{store: dynamo.Open(counted, name), calls: calls}
	values := bucket.Open(cfg, name)
	s.values = values
	s.handler = api.New(handler{store: s.store, values: values, secrets: machines{}, machines: machines{}, log: slog.New(slog.DiscardHandler), now: time.Now})
	s.fill(t, values)
	return s
}

func (s scene) fill(t *testing.T, values *bucket.Store) {
	t.Helper()
	ctx := t.Context()
	for i, name := range []string{"one", "two", "three"} {
		must(t, s.store.CreateCluster(ctx, cluster.Cluster{Org: "default", ID: fmt.Sprintf("c%d", i+1), Name: name, UID: id.New(), Labels: map[string]string{"tier": "edge"}, Status: cluster.Running}))
	}
	g, err := s.store.CreateGroup(ctx, group.Group{Org: "default", ID: "g", Name: "prod", Members: []string{"c1", "c2"}})
	must(t, err)
	ref, _, err := values.PutValues(ctx, "default", deployment.Values{Common: map[string]any{"replicaCount": 1}})
	must(t, err)
	for i, name := range []string{"web", "api"} {
		d := deployment.Deployment{Org: "default", ID: "d" + name, GroupID: g.ID, ReleaseName: name, Namespace: "default", Mode: deployment.Detect}
		runID := fmt.Sprintf("r%d", i+1)
		_, r, err := s.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, Run: run.New(runID, run.Deploy, "default", "api", "ann", time.Now()),
			Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: 1, ValuesRef: ref, Chart: deployment.Chart{Name: "podinfo", Version: "1.0.0"}}})
		must(t, err)
		must(t, s.store.PutTargets(ctx, r, []run.Target{{ClusterID: "c1", ClusterName: "one", Status: run.TargetWaiting}}))
	}
	_, err = s.store.ListReleasesOfCluster(ctx, "default", "c1")
	must(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/orgs/default/helm/repos", strings.NewReader(`{"name":"podinfo","url":"https://charts.example"}`))
	r.Header.Set("Content-Type", "application/json")
	s.handler.ServeHTTP(w, r.WithContext(openapi.WithPrincipal(ctx, openapi.Principal{Org: "default", Name: "ann"})))
	if w.Code != http.StatusCreated {
		t.Fatal(w.Body)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
