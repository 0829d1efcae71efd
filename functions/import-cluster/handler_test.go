package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/importcluster"
	"github.com/swell-sh/swell/shared/problem"
)

// memory is the table and Secrets Manager.
type memory struct {
	store
	clusters []cluster.Cluster
	secrets  map[string]string
	refusal  error // of CreateCluster
}

func (m *memory) CreateCluster(_ context.Context, c cluster.Cluster) error {
	if m.refusal == nil {
		m.clusters = append(m.clusters, c)
	}
	return m.refusal
}

func (*memory) KeptGroups(context.Context, string) ([]group.Group, error) { return nil, nil }

func (m *memory) FindClusterByName(_ context.Context, _, name string) (cluster.Cluster, error) {
	for _, c := range m.clusters {
		if c.Name == name {
			return c, nil
		}
	}
	return cluster.Cluster{}, problem.NotFound("cluster-not-found", "there is no cluster %q", name)
}

func (m *memory) Put(_ context.Context, name string, value []byte) error {
	m.secrets[name] = string(value)
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	delete(m.secrets, name)
	return nil
}

func send(t *testing.T, m *memory, name, kubeconfig string) *httptest.ResponseRecorder {
	t.Helper()
	return request(t, m, http.MethodPost, "", map[string]string{"name": name, "kubeconfig": kubeconfig})
}

func request(t *testing.T, m *memory, method, path string, document map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	var policy netguard.Policy
	if err := policy.UnmarshalText([]byte("127.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/api/v1/orgs/default/clusters"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
	w := httptest.NewRecorder()
	importcluster.New(handler{store: m, secrets: m, policy: policy, log: slog.New(slog.DiscardHandler), now: time.Now}).ServeHTTP(w, r)
	return w
}

// Nothing is kept of a cluster that is refused, wherever on its way.
func TestImportCluster(t *testing.T) {
	t.Parallel()
	server := kubetest.New(nil, kubetest.Options{})
	t.Cleanup(server.Close)
	good := string(server.Kubeconfig())
	bad := strings.Replace(good, server.Credential().Token, "wrong", 1)
	taken := problem.Conflict("cluster-already-imported", "this cluster was imported already")
	cases := map[string]struct {
		name, kubeconfig string
		refusal          error
		status           int
		code             string
	}{
		"Good":            {name: "a", kubeconfig: good, status: 201},
		"WrongToken":      {name: "a", kubeconfig: bad, status: 422, code: "cluster-unauthorized"},
		"NoAnswer":        {name: "a", kubeconfig: strings.ReplaceAll(good, server.Credential().Server, "https://127.0.0.1:1"), status: 422, code: "cluster-unreachable"},
		"NotALabel":       {name: "A b", kubeconfig: good, status: 422, code: "cluster-name-invalid"},
		"NoKubeconfig":    {name: "a", kubeconfig: "{", status: 422, code: "kubeconfig-unreadable"},
		"NameTaken":       {name: "old", kubeconfig: good, status: 409, code: "cluster-name-taken"},
		"AlreadyImported": {name: "a", kubeconfig: good, refusal: taken, status: 409, code: "cluster-already-imported"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &memory{clusters: []cluster.Cluster{{Name: "old"}}, secrets: map[string]string{}, refusal: c.refusal}
			w := send(t, m, c.name, c.kubeconfig)
			var got struct{ Code string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got.Code != c.code {
				t.Fatalf("%d %s, want %d %s", w.Code, w.Body, c.status, c.code)
			}
			if kept := c.status == 201; (len(m.clusters) == 2) != kept || (len(m.secrets) == 1) != kept {
				t.Errorf("kept %d clusters and %d secrets", len(m.clusters), len(m.secrets))
			}
			if token := server.Credential().Token; token != "" && strings.Contains(w.Body.String(), token) {
				t.Errorf("the answer has the token: %s", w.Body)
			}
		})
	}
}
