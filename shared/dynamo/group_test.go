//go:build stack

package dynamo_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
)

func TestGroupIsKeptAsItIs(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one", "two")
	wantEqual(t, g.Members, []string{"id-one", "id-two"})
	wantEqual(t, g.Version, int64(1))

	got, err := s.FindGroup(t.Context(), orgA, g.ID)
	must(t, err)
	wantEqual(t, got, g)
	got, err = s.FindGroupByName(t.Context(), orgA, g.Name)
	must(t, err)
	wantEqual(t, got, g)
	list, _, err := s.ListGroups(t.Context(), orgA, dynamo.Page{Limit: 10})
	must(t, err)
	wantEqual(t, list, []group.Group{g})

	_, err = s.FindGroup(t.Context(), orgB, g.ID)
	wantProblem(t, err, "group-not-found", 404)
	_, err = s.FindGroupByName(t.Context(), orgB, g.Name)
	wantProblem(t, err, "group-not-found", 404)
	list, _, err = s.ListGroups(t.Context(), orgB, dynamo.Page{})
	must(t, err)
	wantEqual(t, list, []group.Group{})
	wantProblem(t, s.DeleteGroup(t.Context(), orgB, g.ID, 0), "group-not-found", 404)
	stranger := g
	stranger.Org = orgB
	_, err = s.UpdateGroup(t.Context(), stranger, 1)
	wantProblem(t, err, "group-not-found", 404)
}

func TestClusterIsInOneGroupAtMost(t *testing.T) {
	s := newStore(t)
	given(t, s, orgA, "prod", "one", "two")
	must(t, s.CreateCluster(t.Context(), newCluster(orgA, "three")))

	_, err := s.CreateGroup(t.Context(), newGroup(orgA, "test", "id-three", "id-two"))
	p := wantProblem(t, err, "cluster-in-other-group", 409)
	wantEqual(t, p.Field, "members")
	wantEqual(t, p.Detail, `cluster "two" is a member of another cluster group`)

	_, err = s.CreateGroup(t.Context(), newGroup(orgA, "prod", "id-three"))
	if err == nil {
		t.Error("two groups have one name")
	}
	_, err = s.CreateGroup(t.Context(), newGroup(orgB, "prod", "id-three")) // another org's cluster
	wantProblem(t, err, "cluster-not-found", 422)
	_, err = s.CreateGroup(t.Context(), newGroup(orgA, "test", "id-none"))
	wantProblem(t, err, "cluster-not-found", 422)

	won, errs := race(4, func(i int) error {
		_, err := s.CreateGroup(t.Context(), newGroup(orgA, numbered("racer", 4)[i], "id-three"))
		return err
	})
	wantOneWinner(t, won, errs, "cluster-in-other-group")
}

func TestGroupNameIsClaimed(t *testing.T) {
	s := newStore(t)
	given(t, s, orgA, "prod")
	other := newGroup(orgA, "prod")
	other.ID = "id-other"
	_, err := s.CreateGroup(t.Context(), other)
	wantProblem(t, err, "group-name-taken", 409)

	test := given(t, s, orgA, "test")
	test.Name = "prod"
	_, err = s.UpdateGroup(t.Context(), test, test.Version)
	wantProblem(t, err, "group-name-taken", 409)
}

func TestGroupChanges(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one", "two")
	must(t, s.CreateCluster(t.Context(), newCluster(orgA, "three")))

	same, err := s.UpdateGroup(t.Context(), g, 1)
	must(t, err)
	wantEqual(t, same, g)

	renamed := g
	renamed.Name, renamed.Members = "production", []string{"id-two", "id-three"}
	after, err := s.UpdateGroup(t.Context(), renamed, 1)
	must(t, err)
	wantEqual(t, after.Members, []string{"id-three", "id-two"})
	found, err := s.FindGroupByName(t.Context(), orgA, "production")
	must(t, err)
	wantEqual(t, found, after)
	_, err = s.FindGroupByName(t.Context(), orgA, "prod")
	wantProblem(t, err, "group-not-found", 404)
	must(t, s.DeleteCluster(t.Context(), orgA, "id-one", 0)) // it is free

	_, err = s.UpdateGroup(t.Context(), renamed, 1)
	wantProblem(t, err, "group-changed", 409)
}

// A group of more members than one transaction holds is made, changed and deleted in several, each of which leaves the group's list and
// the members' claims the same.
func TestLargeGroup(t *testing.T) {
	s := newStore(t)
	names := numbered("m", 120)
	g := given(t, s, orgA, "large", names...)
	wantEqual(t, len(g.Members), 120)
	found, err := s.FindGroup(t.Context(), orgA, g.ID)
	must(t, err)
	wantEqual(t, found, g)

	all := slices.Clone(g.Members)
	g.Members = all[100:]
	g, err = s.UpdateGroup(t.Context(), g, g.Version)
	must(t, err)
	wantEqual(t, len(g.Members), 20)
	g.Members = all
	g, err = s.UpdateGroup(t.Context(), g, g.Version)
	must(t, err)
	wantEqual(t, len(g.Members), 120)

	must(t, s.DeleteGroup(t.Context(), orgA, g.ID, 0))
	list, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{})
	must(t, err)
	for _, c := range list {
		wantEqual(t, c.GroupID, "")
	}
	_, err = s.FindGroupByName(t.Context(), orgA, "large")
	wantProblem(t, err, "group-not-found", 404)
}

func TestGroupWithDeploymentsIsNotDeleted(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	wantProblem(t, s.DeleteGroup(t.Context(), orgA, g.ID, 0), "group-has-deployments", 409)

	removing, _, err := s.AdmitRun(t.Context(), d, newRun("r2", "remove"), d.Version, true)
	must(t, err)
	must(t, s.ForgetDeployment(t.Context(), orgA, removing.ID))
	wantProblem(t, s.DeleteGroup(t.Context(), orgA, g.ID, g.Version+1), "group-changed", 409)
	must(t, s.DeleteGroup(t.Context(), orgA, g.ID, g.Version))
	must(t, s.DeleteCluster(t.Context(), orgA, "id-one", 0))
}

// Whoever comes first: a deployment never stands on a group that is gone.
func TestDeploymentAndDeletedGroupRace(t *testing.T) {
	s := newStore(t)
	for _, name := range numbered("g", 6) {
		g := given(t, s, orgA, name)
		admitted, deleted := errors.New("not tried"), errors.New("not tried")
		race(2, func(i int) error {
			if i == 0 {
				_, _, admitted = s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web-"+name))
				return admitted
			}
			deleted = s.DeleteGroup(t.Context(), orgA, g.ID, 0)
			return deleted
		})
		if (admitted == nil) == (deleted == nil) {
			t.Errorf("admission: %v, deletion: %v; want one of them to be refused", admitted, deleted)
		}
		if admitted != nil && !problem.Is(admitted, "group-not-found") {
			t.Errorf("the admission was refused by %v", admitted)
		}
	}
}
