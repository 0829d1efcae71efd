package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/workflow"
)

type memory struct {
	run     run.Run // type and confirmation
	members []string
	held    []string
	listing error
	plans   map[string][]release.PlanEntry
	hash    string
	updated []run.Target
}

func (m *memory) FindRun(_ context.Context, org, id string) (run.Run, error) {
	r := m.run
	r.Org, r.ID, r.DeploymentID, r.Generation = org, id, "d1", 3
	return r, nil
}

func (m *memory) FindGroup(_ context.Context, org, id string) (group.Group, error) {
	return group.Group{Org: org, ID: id, Members: m.members}, m.listing
}

func (m *memory) ListReleasesOfOwner(_ context.Context, org string, owner release.Owner) ([]release.Release, error) {
	var releases []release.Release
	for _, id := range m.held {
		releases = append(releases, release.Release{Key: release.Key{Org: org, ClusterID: id}, Owner: owner, Desired: &release.Desired{Generation: 3}})
	}
	return releases, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	t.EndedAt = time.Time{}
	m.updated = append(m.updated, t)
	return nil
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
	m := &memory{run: run.Run{Type: run.Remove}, plans: map[string][]release.PlanEntry{}}
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

// The targets are a and b. The guard judges all that the deployment holds, not the run's targets alone.
func TestClustersThatLeft(t *testing.T) {
	unlisted := errors.New("no answer")
	cases := map[string]struct {
		memory  memory
		planned []string
		code    string // of the error; none: it is planned
		err     error
	}{
		"half may go":                          {memory{members: []string{"c", "d"}, held: []string{"a", "b", "c", "d"}}, []string{"a", "b"}, "", nil},
		"more may not":                         {memory{members: []string{"c"}, held: []string{"a", "b", "c"}}, nil, "removal-guard", nil},
		"an emptied group":                     {memory{held: []string{"a", "b"}}, nil, "removal-guard", nil},
		"others that left count too":           {memory{members: []string{"c"}, held: []string{"a", "b", "c", "x", "y"}}, nil, "removal-guard", nil},
		"an emptied group, confirmed":          {memory{run: run.Run{ConfirmRemovals: true}, held: []string{"a", "b"}}, []string{"a", "b"}, "", nil},
		"a listing that failed":                {memory{run: run.Run{ConfirmRemovals: true}, listing: unlisted, held: []string{"a", "b"}}, nil, "", unlisted},
		"one that is a member again is spared": {memory{members: []string{"b"}, held: []string{"a", "b"}}, []string{"a"}, "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := c.memory
			m.run.Type, m.plans = run.Leave, map[string][]release.PlanEntry{}
			_, err := (handler{&m}).handle(t.Context(), workflow.RunRef{Org: "o", Run: "r"})
			if c.code != "" || c.err != nil {
				if !problem.Is(err, c.code) && !errors.Is(err, c.err) || len(m.plans) > 0 || len(m.updated) > 0 {
					t.Errorf("got %v, plans %v, outcomes %v; want the error %s alone", err, m.plans, m.updated, c.code)
				}
				return
			}
			var planned []string
			for _, e := range m.plans[m.hash] {
				planned = append(planned, e.ClusterID)
			}
			if diff := cmp.Diff(c.planned, planned); err != nil || diff != "" {
				t.Errorf("error %v, planned (-want +got):\n%s", err, diff)
			}
			for _, u := range m.updated {
				if u.Status != run.TargetSuperseded || !strings.Contains(u.Cause, "member again") {
					t.Errorf("outcome %+v", u)
				}
			}
		})
	}
}
