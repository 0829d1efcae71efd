package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
)

const (
	tableTakes  = 5 * time.Millisecond
	apiRequests = 1000
	apiKey      = "bench"
)

// apiTime is P8: what the function api adds to its round trips to the table. The table is one that answers after a fixed time what the local
// one answered at first, so that the local AWS's own work is not in the figure.
func (b *bench) apiTime(ctx context.Context) error {
	s, err := b.newScene(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.furnish(ctx); err != nil {
		return err
	}
	table, err := newSlowTable(ctx, *s.cfg.BaseEndpoint)
	if err != nil {
		return err
	}
	defer table.close()
	path, err := b.bootstrap("api")
	if err != nil {
		return err
	}
	w, err := startWorker(ctx, path, append(s.environment(), "API_KEY_SECRET="+s.secrets[0], "AWS_ENDPOINT_URL="+table.url))
	if err != nil {
		return err
	}
	defer w.kill()
	for _, row := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		trips                    float64
	}{
		{"read", http.MethodGet, "/clusters/c000", "", nil, 200, 1},
		{"list", http.MethodGet, "/clusters", "", nil, 200, 2},
		{"not-modified", http.MethodGet, "/clusters/c000", "", map[string]string{"if-none-match": "*"}, 304, 1},
		{"write", http.MethodPost, "/helm/repos", `{"name":"bench","url":"https://charts.example"}`, nil, 201, 2},
		{"write-once", http.MethodPost, "/helm/repos", `{"name":"bench","url":"https://charts.example"}`, map[string]string{"idempotency-key": "new"}, 201, 3},
	} {
		times, trips, err := table.measure(ctx, w, row.method, row.path, row.body, row.header, row.status)
		if err != nil {
			return fmt.Errorf("%s %s: %w", row.method, row.path, err)
		}
		slices.Sort(times)
		b.add("P8-"+row.name, "ms", milliseconds(times[len(times)/2]), "added by the warm function api to its round trips (%s each) by %s %s, p50 of %d, Lambda's runtime API on loopback included", tableTakes,
			row.method, row.path, len(times)).atMost(2)
		b.add("P8-"+row.name+"-p99", "ms", milliseconds(times[len(times)*99/100]), "the same, p99").atMost(10)
		b.add("P8-"+row.name+"-trips", "round trips", trips, "to the table by that request").atMost(row.trips)
	}
	return nil
}

// furnish makes 100 clusters and a key.
func (s *scene) furnish(ctx context.Context) error {
	const org = "default" // of the installation's key
	for i := range 100 {
		c := cluster.Cluster{Org: org, ID: fmt.Sprintf("c%03d", i), Name: fmt.Sprintf("cluster-%03d", i), UID: id.New(), Cloud: "amazon", Distribution: "eks",
			Location: "eu-west-1", Labels: map[string]string{"region": "eu", "tier": "edge"}, Version: "v1.36.3", Nodes: 3, Status: cluster.Running,
			Access: cluster.Access{Mode: cluster.AccessPublic, Endpoint: "https://203.0.113.7:6443"}, CreatedAt: time.Now().UTC()}
		if err := s.store.CreateCluster(ctx, c); err != nil {
			return err
		}
	}
	if _, err := s.store.CreateGroup(ctx, group.Group{Org: org, ID: "g", Name: "prod", Members: []string{"c000", "c001"}}); err != nil {
		return err
	}
	if _, _, err := s.store.ListClusters(ctx, org, dynamo.ClusterFilter{}, dynamo.Page{}); err != nil {
		return err
	}
	name := "swell/bench/" + id.New()
	s.secrets = append([]string{name}, s.secrets...)
	return s.keep.Put(ctx, name, []byte(apiKey))
}

// slowTable is AWS as the function sees it: a table that answers after a fixed time, and the local AWS's other services.
type slowTable struct {
	url, real string
	server    *http.Server

	mu      sync.Mutex
	answers map[string]recorded
	calls   int
	spent   time.Duration
}

type recorded struct {
	status int
	header http.Header
	body   []byte
}

func newSlowTable(ctx context.Context, real string) (*slowTable, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &slowTable{url: "http://" + listener.Addr().String(), real: real, answers: map[string]recorded{}}
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: time.Minute}
	go func() { _ = t.server.Serve(listener) }()
	return t, nil
}

func (t *slowTable) close() { _ = t.server.Close() }

// ServeHTTP answers a read as the real table did, and any write as done.
func (t *slowTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	isTable := strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_")
	answer, err := t.answer(r, body)
	if err != nil {
		answer = recorded{status: http.StatusBadGateway, body: []byte(err.Error())}
	}
	if isTable {
		time.Sleep(tableTakes - time.Since(began))
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
	t.mu.Lock()
	defer t.mu.Unlock()
	if isTable {
		t.calls++
	}
	t.spent += time.Since(began)
}

func (t *slowTable) answer(r *http.Request, body []byte) (recorded, error) {
	operation := r.Header.Get("X-Amz-Target")
	if strings.HasSuffix(operation, ".PutItem") {
		return recorded{status: http.StatusOK, header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, body: []byte("{}")}, nil
	}
	key := operation + string(body)
	t.mu.Lock()
	known, ok := t.answers[key]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	forward, err := http.NewRequestWithContext(r.Context(), r.Method, t.real+r.URL.Path, bytes.NewReader(body)) //nolint:gosec // the local AWS
	if err != nil {
		return known, err
	}
	forward.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(forward) //nolint:gosec // the local AWS
	if err != nil {
		return known, err
	}
	defer func() { _ = resp.Body.Close() }()
	known = recorded{status: resp.StatusCode, header: http.Header{"Content-Type": resp.Header["Content-Type"]}}
	if known.body, err = io.ReadAll(resp.Body); err != nil {
		return known, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[key] = known
	return known, nil
}

// measure sends the request again and again: what each takes beside the table's time, and how often the table was asked.
func (t *slowTable) measure(ctx context.Context, w *worker, method, path, body string, header map[string]string, status int) (times []time.Duration, trips float64, err error) {
	const warm = 20
	total := 0
	for n := range warm + apiRequests {
		headers := map[string]string{"authorization": "Bearer " + apiKey, "content-type": "application/json"}
		for name, value := range header {
			if value == "new" {
				value = id.New()
			}
			headers[name] = value
		}
		e := events.APIGatewayV2HTTPRequest{RawPath: "/api/v1/orgs/default" + path, Headers: headers, Body: body}
		e.RequestContext.HTTP.Method = method
		t.mu.Lock()
		t.calls, t.spent = 0, 0
		t.mu.Unlock()
		began := time.Now()
		if err := w.invoke(ctx, e, time.Minute); err != nil {
			return nil, 0, err
		}
		took := time.Since(began)
		var answer events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(w.said, &answer); err != nil {
			return nil, 0, fmt.Errorf("reading what the function said: %w", err)
		}
		if answer.StatusCode != status {
			return nil, 0, errors.New(answer.Body)
		}
		t.mu.Lock()
		if n >= warm {
			times = append(times, took-t.spent)
			total += t.calls
		}
		t.mu.Unlock()
	}
	return times, float64(total) / apiRequests, nil
}
