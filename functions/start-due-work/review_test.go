package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// groupsInMemory is what the table has of groups and their deployments.
type groupsInMemory struct {
	kept       map[string][]group.Group // by org
	due        []group.Group
	members    []string // of whichever group
	listing    error
	deployment deployment.Deployment
	held       []string
	last       run.Run
	found      map[string]cluster.Cluster

	admitted []run.Run
	reviewed []string
	hastened []string
}

func (m *groupsInMemory) KeptGroups(_ context.Context, org string) ([]group.Group, error) {
	return m.kept[org], nil
}

func (m *groupsInMemory) ClaimDueGroups(context.Context, time.Time, int) ([]group.Group, error) {
	return m.due, nil
}

func (m *groupsInMemory) FindGroup(_ context.Context, _, id string) (group.Group, error) {
	for _, g := range m.due {
		if g.ID == id {
			g.Members = m.members
			return g, m.listing
		}
	}
	return group.Group{}, errors.New("no such group")
}

func (m *groupsInMemory) Reviewed(_ context.Context, _, id string, claimed, next time.Time) error {
	if !claimed.Equal(noon) || !next.After(noon) {
		return errors.New("not of this tick")
	}
	m.reviewed = append(m.reviewed, id)
	return nil
}

func (m *groupsInMemory) FindClusters(context.Context, string, []string) (map[string]cluster.Cluster, error) {
	return m.found, nil
}

func (m *groupsInMemory) CheckSooner(_ context.Context, _, id string, _ time.Time) error {
	m.hastened = append(m.hastened, id)
	return nil
}

func (m *groupsInMemory) ListDeployments(context.Context, string, string, dynamo.Page) ([]deployment.Deployment, string, error) {
	return []deployment.Deployment{m.deployment}, "", nil
}

func (m *groupsInMemory) ListReleasesOfOwner(_ context.Context, org string, owner release.Owner) ([]release.Release, error) {
	var releases []release.Release
	for _, id := range m.held {
		releases = append(releases, release.Release{Key: release.Key{Org: org, ClusterID: id}, Owner: owner, Desired: &release.Desired{}})
	}
	return releases, nil
}

func (m *groupsInMemory) FindRun(context.Context, string, string) (run.Run, error) {
	return m.last, nil
}

func (m *groupsInMemory) AdmitRun(_ context.Context, d deployment.Deployment, r run.Run, _ int64, _ bool) (deployment.Deployment, run.Run, error) {
	m.admitted = append(m.admitted, r)
	return d, r, nil
}

func TestReview(t *testing.T) {
	closed := group.Reconcile{Windows: []group.Window{{Deny: true}}}
	join := deployment.Deployment{InstallOnJoin: true}
	ended := func(status run.Status, trigger, code string, ago time.Duration) run.Run {
		return run.Run{ID: "last", Status: status, Trigger: trigger, Code: code, EndedAt: noon.Add(-ago)}
	}
	type started struct {
		Type run.Type
		Only []string
	}
	cases := map[string]struct {
		reconcile  group.Reconcile
		deployment deployment.Deployment
		members    []string
		held       []string
		last       run.Run
		want       []started
		settled    bool
	}{
		"nothing is owed":                       {members: []string{"a"}, held: []string{"a"}, settled: true},
		"nothing is owed, in a window":          {reconcile: closed, members: []string{"a"}, held: []string{"a"}, settled: true},
		"left":                                  {members: []string{"a"}, held: []string{"a", "b"}, want: []started{{run.Leave, []string{"b"}}}},
		"left, held back by a window":           {reconcile: closed, members: []string{"a"}, held: []string{"a", "b"}},
		"joined":                                {deployment: join, members: []string{"a", "b"}, held: []string{"a"}, want: []started{{run.Join, []string{"b"}}}},
		"joined, held back by a window":         {reconcile: closed, deployment: join, members: []string{"a", "b"}, held: []string{"a"}},
		"joined, and waits for an update":       {members: []string{"a", "b"}, held: []string{"a"}, settled: true},
		"both: one after the other":             {deployment: join, members: []string{"a", "c"}, held: []string{"a", "b"}, want: []started{{run.Leave, []string{"b"}}}},
		"beside another run":                    {members: []string{"a"}, held: []string{"a", "b"}, last: ended(run.Running, "api", "", 0)},
		"soon after its own failed":             {members: []string{"a"}, held: []string{"a", "b"}, last: ended(run.Failed, "reconcile", "", time.Minute)},
		"later":                                 {members: []string{"a"}, held: []string{"a", "b"}, last: ended(run.Partial, "reconcile", "", time.Hour), want: []started{{run.Leave, []string{"b"}}}},
		"soon after a person's failed":          {members: []string{"a"}, held: []string{"a", "b"}, last: ended(run.Failed, "api", "", time.Minute), want: []started{{run.Leave, []string{"b"}}}},
		"all of them in one run, for the guard": {held: []string{"a", "b", "c"}, want: []started{{run.Leave, []string{"a", "b", "c"}}}},
		"the guard stopped it: once is enough":  {held: []string{"a", "b"}, last: ended(run.Failed, "reconcile", "removal-guard", time.Hour), settled: true},
		"the guard stopped it, joins go on": {deployment: join, members: []string{"c"}, held: []string{"a", "b"}, last: ended(run.Failed, "reconcile", "removal-guard", time.Minute),
			want: []started{{run.Join, []string{"c"}}}},
		"the guard stopped it, fewer left now": {members: []string{"a"}, held: []string{"a", "b"}, last: ended(run.Failed, "reconcile", "removal-guard", time.Minute),
			want: []started{{run.Leave, []string{"b"}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{groupsInMemory: groupsInMemory{members: c.members, held: c.held, last: c.last, deployment: c.deployment,
				due: []group.Group{{Org: "o", ID: "g", Selector: &cluster.Selector{}, Reconcile: c.reconcile}}}}
			if err := tick(t, m); err != nil {
				t.Fatal(err)
			}
			var got []started
			for _, r := range m.admitted {
				got = append(got, started{r.Type, r.Only})
				if r.Trigger != "reconcile" || r.ConfirmRemovals {
					t.Errorf("reconcile confirms nothing: %+v", r)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			if len(m.started) != len(got) || (len(m.reviewed) == 1) != c.settled {
				t.Errorf("started %v, settled %v", m.started, m.reviewed)
			}
		})
	}
}

// A listing that failed is no empty group.
func TestReviewWithoutMembers(t *testing.T) {
	m := &memory{groupsInMemory: groupsInMemory{listing: errors.New("boom"), held: []string{"a"}, due: []group.Group{{ID: "g"}}}}
	if err := tick(t, m); err == nil || len(m.admitted)+len(m.reviewed) > 0 {
		t.Errorf("error %v, runs %v, reviewed %v", err, m.admitted, m.reviewed)
	}
}

func TestReviewBringsLooksForward(t *testing.T) {
	in := func(d time.Duration, status cluster.Status) cluster.Cluster {
		return cluster.Cluster{Status: status, NextCheckAt: noon.Add(d)}
	}
	found := map[string]cluster.Cluster{"far": in(time.Hour, cluster.Running), "near": in(time.Minute, cluster.Running), "lost": in(time.Hour, cluster.Unknown)}
	for id, c := range found {
		c.ID = id
		found[id] = c
	}
	m := &memory{groupsInMemory: groupsInMemory{found: found, due: []group.Group{{ID: "g", Reconcile: group.Reconcile{Every: time.Minute}}}}}
	if err := tick(t, m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"far"}, m.hastened); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
