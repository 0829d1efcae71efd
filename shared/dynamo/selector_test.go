//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
)

func labeled(org, name, env string) cluster.Cluster {
	c := newCluster(org, name)
	c.Labels = map[string]string{"env": env}
	return c
}

func choosing(org, name, env string) group.Group {
	g := newGroup(org, name)
	g.Selector = &cluster.Selector{MatchLabels: map[string]string{"env": env}}
	return g
}

// Whom a selector chooses is found at every read, whichever way the group is read, and takes the cluster from no other group.
func TestSelectorChoosesAtEveryRead(t *testing.T) {
	s := newStore(t)
	named := given(t, s, orgA, "named", "one")
	for _, c := range []cluster.Cluster{labeled(orgA, "two", "prod"), labeled(orgA, "three", "test"), labeled(orgB, "four", "prod")} {
		must(t, s.CreateCluster(t.Context(), c))
	}
	g, err := s.CreateGroup(t.Context(), choosing(orgA, "prod", "prod"))
	must(t, err)
	wantEqual(t, g.Members, []string{"id-two"})

	one, err := s.FindCluster(t.Context(), orgA, "id-one")
	must(t, err)
	one.Labels = map[string]string{"env": "prod"}
	_, err = s.UpdateCluster(t.Context(), one, one.Revision)
	must(t, err)

	want := []string{"id-one", "id-two"}
	byID, err := s.FindGroup(t.Context(), orgA, g.ID)
	must(t, err)
	wantEqual(t, byID.Members, want)
	byName, err := s.FindGroupByName(t.Context(), orgA, "prod")
	must(t, err)
	wantEqual(t, byName.Members, want)
	list, _, err := s.ListGroups(t.Context(), orgA, dynamo.Page{})
	must(t, err)
	wantEqual(t, []group.Group{list[0], list[1]}, []group.Group{named, byID})
	kept, err := s.KeptGroups(t.Context(), orgA)
	must(t, err)
	wantEqual(t, len(kept[1].Members), 0)
	one, err = s.FindCluster(t.Context(), orgA, "id-one")
	must(t, err)
	wantEqual(t, one.GroupID, named.ID)
	three, err := s.FindCluster(t.Context(), orgA, "id-three")
	must(t, err)
	for _, c := range []struct {
		cluster cluster.Cluster
		group   string
		want    bool
	}{{one, named.ID, true}, {one, g.ID, true}, {three, named.ID, false}, {three, g.ID, false}} {
		is, err := s.IsMember(t.Context(), c.cluster, c.group)
		must(t, err)
		wantEqual(t, is, c.want)
	}
	_, err = s.UpdateCluster(t.Context(), one, one.Revision-1)
	wantProblem(t, err, "cluster-changed", 409)
}

// A group may turn from named members to a selector and back: its claims go and come with that.
func TestGroupTurnsIntoASelector(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	must(t, s.CreateCluster(t.Context(), labeled(orgA, "two", "prod")))

	selecting := choosing(orgA, "prod", "prod")
	selecting.Reconcile = group.Reconcile{Every: time.Hour, Windows: []group.Window{{Deny: true, Days: []time.Weekday{time.Sunday}, From: "22:00", To: "06:00", Zone: "Europe/Budapest"}}}
	g, err := s.UpdateGroup(t.Context(), selecting, g.Version)
	must(t, err)
	wantEqual(t, g.Members, []string{"id-two"})
	found, err := s.FindGroup(t.Context(), orgA, g.ID)
	must(t, err)
	wantEqual(t, found, g)
	wantEqual(t, found.Reconcile, selecting.Reconcile)
	must(t, s.DeleteCluster(t.Context(), orgA, "id-one", 0)) // it is free

	back := newGroup(orgA, "prod", "id-two")
	g, err = s.UpdateGroup(t.Context(), back, g.Version)
	must(t, err)
	wantEqual(t, g.Selector, (*cluster.Selector)(nil))
	wantEqual(t, g.Reconcile, group.Reconcile{})
	two, err := s.FindCluster(t.Context(), orgA, "id-two")
	must(t, err)
	wantEqual(t, two.GroupID, g.ID)
	must(t, s.DeleteGroup(t.Context(), orgA, g.ID, 0))
}

func TestGroupsAreReviewed(t *testing.T) {
	s := newStore(t)
	g, err := s.CreateGroup(t.Context(), choosing(orgA, "prod", "prod"))
	must(t, err)
	due := func(at time.Time) []string {
		claimed, err := s.ClaimDueGroups(t.Context(), at, 10)
		must(t, err)
		ids := []string{}
		for _, g := range claimed {
			ids = append(ids, g.ID)
		}
		return ids
	}
	none, it := []string{}, []string{g.ID}
	wantEqual(t, due(noon.Add(group.ReviewEvery-time.Second)), none)

	must(t, s.RequestReview(t.Context(), orgA, g.ID, noon.Add(time.Minute)))
	must(t, s.RequestReview(t.Context(), orgA, g.ID, noon.Add(2*time.Minute))) // the last change counts
	wantEqual(t, due(noon.Add(time.Minute)), none)
	claimed := noon.Add(2 * time.Minute)
	wantEqual(t, due(claimed), it)
	wantEqual(t, due(claimed), none)
	wantEqual(t, due(claimed.Add(dynamo.ClaimPeriod)), it) // whoever had it died

	claimed = claimed.Add(dynamo.ClaimPeriod)
	must(t, s.RequestReview(t.Context(), orgA, g.ID, claimed.Add(time.Minute))) // a change while it was reviewed
	must(t, s.Reviewed(t.Context(), orgA, g.ID, claimed, claimed.Add(time.Hour)))
	claimed = claimed.Add(time.Minute)
	wantEqual(t, due(claimed), it)
	must(t, s.Reviewed(t.Context(), orgA, g.ID, claimed, claimed.Add(time.Hour)))
	wantEqual(t, due(claimed.Add(dynamo.ClaimPeriod)), none)
	wantEqual(t, due(claimed.Add(time.Hour)), it)

	must(t, s.DeleteGroup(t.Context(), orgA, g.ID, 0))
	wantEqual(t, due(noon.Add(240*time.Hour)), none)
	wantProblem(t, s.RequestReview(t.Context(), orgA, g.ID, noon), "group-not-found", 404)
}

func TestLooksAreBroughtForward(t *testing.T) {
	s := newStore(t)
	c := newCluster(orgA, "one")
	c.NextCheckAt = noon.Add(time.Hour)
	must(t, s.CreateCluster(t.Context(), c))
	for _, at := range []time.Duration{time.Minute, 2 * time.Minute} { // the second is later: nothing happens
		must(t, s.CheckSooner(t.Context(), orgA, c.ID, noon.Add(at)))
		found, err := s.FindCluster(t.Context(), orgA, c.ID)
		must(t, err)
		wantEqual(t, found.NextCheckAt, noon.Add(time.Minute))
	}
	must(t, s.CheckSooner(t.Context(), orgA, "id-none", noon))
}
