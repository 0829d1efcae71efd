package main

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type memory struct {
	plans map[string][]release.PlanEntry
	hash  string
}

func (m *memory) FindRun(_ context.Context, org, id string) (run.Run, error) {
	return run.Run{Org: org, ID: id, Type: run.Remove, DeploymentID: "d1", Generation: 3}, nil
}

func (m *memory) FindDeployment(_ context.Context, org, id string) (deployment.Deployment, error) {
	return deployment.Deployment{Org: org, ID: id, Namespace: "prod", ReleaseName: "web", Generation: 3, Deleting: true}, nil
}

func (m *memory) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return []run.Target{{ClusterID: "a", ClusterName: "cluster-a"}, {ClusterID: "b", ClusterName: "cluster-b"}}, nil
}

func (m *memory) PutPlan(_ context.Context, _, hash string, entries []release.PlanEntry) error {
	m.plans[hash] = entries
	return nil
}

func (m *memory) SetPlanHash(_ context.Context, _, _, hash string) error {
	m.hash = hash
	return nil
}

func TestEveryTargetsReleaseShouldBeGone(t *testing.T) {
	m := &memory{plans: map[string][]release.PlanEntry{}}
	ref := workflow.RunRef{Org: "o", Run: "r"}
	for range 2 { // a retry writes the same again
		if out, err := (handler{m}).handle(t.Context(), ref); err != nil || out != ref {
			t.Fatal(out, err)
		}
	}
	want := []release.PlanEntry{}
	for _, id := range []string{"a", "b"} {
		want = append(want, release.AbsentEntry(release.Key{Org: "o", ClusterID: id, Namespace: "prod", Name: "web"}, "cluster-"+id, 3))
	}
	if diff := cmp.Diff(map[string][]release.PlanEntry{m.hash: want}, m.plans); diff != "" {
		t.Errorf("plans (-want +got):\n%s", diff)
	}
}
