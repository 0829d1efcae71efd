package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

// memory is a store with one run, whose group has the members a, b and c, and whose deployment has releases on b, c and d, which left.
type memory struct {
	run     run.Run
	targets []run.Target
	started bool
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindGroup(context.Context, string, string) (group.Group, error) {
	return group.Group{ID: "g", Members: []string{"a", "b", "c"}}, nil
}

func (m *memory) FindClusters(_ context.Context, org string, ids []string) (map[string]cluster.Cluster, error) {
	found := map[string]cluster.Cluster{}
	for _, id := range ids {
		found[id] = cluster.Cluster{Org: org, ID: id, Name: "cluster-" + id}
	}
	return found, nil
}

func (m *memory) FindIntent(_ context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error) {
	d := deployment.Deployment{Org: org, ID: r.DeploymentID, GroupID: "g"}
	return d, deployment.Generation{}, problem.NotFound("generation-not-found", "it is lost, which is for the plan to tell")
}

func (m *memory) ListReleasesOfOwner(_ context.Context, org string, owner release.Owner) ([]release.Release, error) {
	var owned []release.Release
	for _, id := range []string{"d", "c", "b"} {
		owned = append(owned, release.Release{Key: release.Key{Org: org, ClusterID: id}, Owner: owner})
	}
	return owned, nil
}

func (m *memory) PutTargets(_ context.Context, _ run.Run, targets []run.Target) error {
	m.targets = targets
	return nil
}

func (m *memory) StartRun(context.Context, string, string, time.Time) (run.Run, error) {
	m.started = true
	return m.run, nil
}

func TestTargetsOfARun(t *testing.T) {
	cases := map[string]struct {
		typ  run.Type
		only []string
		want []string
	}{
		"deploy: the members":                         {run.Deploy, nil, []string{"a", "b", "c"}},
		"rollback: the members of now":                {run.Rollback, nil, []string{"a", "b", "c"}},
		"redrive of a rollback, one has left":         {run.Rollback, []string{"b", "d"}, []string{"b"}},
		"plan: those of a deploy":                     {run.Plan, nil, []string{"a", "b", "c"}},
		"sync: who has a release, ex-members too":     {run.Sync, nil, []string{"b", "c", "d"}},
		"join: the named ones of the members":         {run.Join, []string{"a", "d"}, []string{"a"}},
		"sync of some":                                {run.Sync, []string{"c"}, []string{"c"}},
		"remove: who has a release":                   {run.Remove, nil, []string{"b", "c", "d"}},
		"leave: those that left":                      {run.Leave, []string{"d"}, []string{"d"}},
		"check: members and who has a release":        {run.Check, nil, []string{"a", "b", "c", "d"}},
		"only who is none of them: nothing is a pass": {run.Leave, []string{"z"}, []string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{run: run.Run{Org: "o", ID: "r", Type: c.typ, Only: c.only, DeploymentID: "d1"}}
			ref := workflow.RunRef{Org: "o", Run: "r"}
			progress, err := handler{m}.handle(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, target := range m.targets {
				if target.Status != run.TargetWaiting || target.ClusterName != "cluster-"+target.ClusterID {
					t.Errorf("target %+v", target)
				}
				got = append(got, target.ClusterID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if !m.started || progress.RunRef != ref || progress.Done != 0 {
				t.Errorf("started %v, progress %+v", m.started, progress)
			}
		})
	}
}
