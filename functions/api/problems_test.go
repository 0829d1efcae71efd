//go:build stack

package main

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
)

// What the end-to-end tests cannot bring about at will: the state of a table in the middle of something.
func TestProblems(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	must(t, s.store.ClaimRelease(ctx, release.Key{Org: "default", ClusterID: "c3", Namespace: "web", Name: "left"}, release.OwnedByDeployment("dweb")))
	must(t, s.store.CreateCluster(ctx, cluster.Cluster{Org: "default", ID: "c9", Name: "watched", UID: id.New(), RelaySetup: cluster.RelaySetup{Wanted: true, Status: cluster.RelayInstalled}}))
	cases := map[string]struct {
		request string
		status  int
		code    string
	}{
		"SyncWhileARunIsUnderWay":  {"PUT /clustergroups/g/deployments/web/sync", 409, "run-active"},
		"ForgetWhileAReleaseStays": {"DELETE /clusters/c3", 409, "cluster-has-releases"},
		"ForgetWhileItsRelayStays": {"DELETE /clusters/c9", 409, "cluster-has-relay"},
		"ForgetAMember":            {"DELETE /clusters/c1", 409, "cluster-is-member"},
		"ForgetAGroupInUse":        {"DELETE /clustergroups/g", 409, "group-has-deployments"},
		"NoGeneration":             {"GET /clustergroups/g/deployments/web/generations/7", 404, "generation-not-found"},
		"NoRepository":             {"GET /helm/repos/none", 404, "repository-not-found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.request, " ")
			r := httptest.NewRequest(method, "/api/v1/orgs/default"+path, nil)
			r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			var got openapi.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got.Code != c.code || got.Remedy == "" {
				t.Errorf("%d %s, want %d %s with a remedy", w.Code, w.Body, c.status, c.code)
			}
		})
	}
}
