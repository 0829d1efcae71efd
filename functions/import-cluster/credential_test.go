package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/problem"
)

func (m *memory) FindCluster(_ context.Context, _, id string) (cluster.Cluster, error) {
	for _, c := range m.clusters {
		if c.ID == id {
			return c, nil
		}
	}
	return cluster.Cluster{}, problem.NotFound("cluster-not-found", "there is no cluster %q", id)
}

func (m *memory) SetCredential(_ context.Context, c cluster.Cluster) error {
	m.clusters = []cluster.Cluster{c}
	return nil
}

// Another credential of the same cluster is kept under another reference; nothing changes where it does not reach that very cluster.
func TestSetClusterCredential(t *testing.T) {
	t.Parallel()
	server, other := kubetest.New(nil, kubetest.Options{}), kubetest.New(nil, kubetest.Options{})
	t.Cleanup(server.Close)
	t.Cleanup(other.Close)
	good := string(server.Kubeconfig())
	const name = "swell/default/cluster/id"
	cases := map[string]struct {
		path, kubeconfig string
		status           int
		code             string
	}{
		"by id":           {"/id/credential", good, http.StatusOK, ""},
		"by name":         {"/pke/credential?field=name", good, http.StatusOK, ""},
		"another cluster": {"/id/credential", string(other.Kubeconfig()), http.StatusConflict, "cluster-differs"},
		"refused":         {"/id/credential", strings.Replace(good, server.Credential().Token, "wrong", 1), http.StatusUnprocessableEntity, "cluster-unauthorized"},
		"unreadable":      {"/id/credential", "{", http.StatusUnprocessableEntity, "kubeconfig-unreadable"},
		"no such cluster": {"/nobody/credential", good, http.StatusNotFound, "cluster-not-found"},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			was := cluster.Cluster{Org: "default", ID: "id", Name: "pke", UID: server.UID(), Revision: 3, Access: cluster.Access{CredentialRef: name}}
			m := &memory{clusters: []cluster.Cluster{was}, secrets: map[string]string{name: "old"}}
			w := request(t, m, http.MethodPut, c.path, map[string]string{"kubeconfig": c.kubeconfig})
			var got struct{ Code string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got.Code != c.code {
				t.Fatalf("%d %s, want %d %s", w.Code, w.Body, c.status, c.code)
			}
			now := m.clusters[0]
			if c.status != http.StatusOK {
				if now.Access != was.Access || m.secrets[name] != "old" {
					t.Errorf("it changed: %+v, %v", now, m.secrets)
				}
				return
			}
			if now.Access.CredentialRef != name+"#4" || now.Access.Endpoint != server.Credential().Server || len(m.secrets) != 1 || m.secrets[name] == "old" {
				t.Errorf("it is %+v, with %d secrets", now.Access, len(m.secrets))
			}
			if strings.Contains(w.Body.String(), server.Credential().Token) {
				t.Errorf("the answer has the token: %s", w.Body)
			}
		})
	}
}
