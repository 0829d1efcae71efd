package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// Every deployment that stands in the way is named; one that is being removed does not stand in the way.
func TestGuardNamesAll(t *testing.T) {
	of := func(name string, deleting bool, removed, held int) moves {
		d := deployment.Deployment{ReleaseName: name, Deleting: deleting}
		return moves{deployment: d, guard: d.GuardRemovals(removed, held)}
	}
	if err := guard([]moves{of("fine", false, 1, 2), of("going", true, 2, 2)}); err != nil {
		t.Errorf("got %v", err)
	}
	p, ok := problem.From(guard([]moves{of("web", false, 2, 2), of("fine", false, 0, 2), of("db", false, 3, 4)}))
	if !ok || p.Code != "removal-guard" || p.Status != 409 || !strings.Contains(p.Detail, `"web" from 2 of its 2`) || !strings.Contains(p.Detail, `"db" from 3 of its 4`) || p.Remedy == "" {
		t.Errorf("got %+v", p)
	}
}

func TestDescriptionIsMerged(t *testing.T) {
	text := func(s string) *string { return &s }
	was := cluster.Cluster{Name: "a", Cloud: "amazon", Location: "eu", Labels: map[string]string{"env": "prod", "tier": "edge"}}
	got := described(was, openapi.UpdateClusterRequest{Location: text(""), Labels: map[string]*string{"tier": nil, "env": text("test"), "new": text(""), "none": nil}})
	want := cluster.Cluster{Name: "a", Cloud: "amazon", Labels: map[string]string{"env": "test", "new": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if was.Labels["tier"] != "edge" {
		t.Error("the cluster that was read changed too")
	}
	if got := described(cluster.Cluster{}, openapi.UpdateClusterRequest{}); got.Labels == nil {
		t.Error("no labels are stored as none")
	}
}
