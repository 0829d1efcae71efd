//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
)

func TestClusterIsKeptAsItIs(t *testing.T) {
	s := newStore(t)
	c := newCluster(orgA, "pke-demo")
	must(t, s.CreateCluster(t.Context(), c))

	got, err := s.FindCluster(t.Context(), orgA, c.ID)
	must(t, err)
	wantEqual(t, got, c)
	got, err = s.FindClusterByName(t.Context(), orgA, c.Name)
	must(t, err)
	wantEqual(t, got, c)

	_, err = s.FindCluster(t.Context(), orgB, c.ID)
	wantProblem(t, err, "cluster-not-found", 404)
	_, err = s.FindClusterByName(t.Context(), orgB, c.Name)
	wantProblem(t, err, "cluster-not-found", 404)
	found, err := s.FindClusters(t.Context(), orgB, []string{c.ID})
	must(t, err)
	wantEqual(t, len(found), 0)
	for org, want := range map[string]bool{orgA: true, orgB: false} {
		has, err := s.HasCluster(t.Context(), org, c.ID)
		must(t, err)
		wantEqual(t, has, want)
	}
	list, _, err := s.ListClusters(t.Context(), orgB, dynamo.ClusterFilter{}, dynamo.Page{})
	must(t, err)
	wantEqual(t, len(list), 0)
	wantProblem(t, s.DeleteCluster(t.Context(), orgB, c.ID, 0), "cluster-not-found", 404)
}

func TestClusterNameAndIdentityAreClaimed(t *testing.T) {
	s := newStore(t)
	first := newCluster(orgA, "one")
	must(t, s.CreateCluster(t.Context(), first))

	sameName := newCluster(orgA, "one")
	sameName.ID, sameName.UID = "other", "other"
	p := wantProblem(t, s.CreateCluster(t.Context(), sameName), "cluster-name-taken", 409)
	wantEqual(t, p.Field, "name")

	sameIdentity := newCluster(orgA, "two")
	sameIdentity.UID = first.UID
	p = wantProblem(t, s.CreateCluster(t.Context(), sameIdentity), "cluster-already-imported", 409)
	wantEqual(t, p.Detail, `this cluster was imported already, as "one"`)

	elsewhere := newCluster(orgB, "one")
	elsewhere.UID = first.UID
	p = wantProblem(t, s.CreateCluster(t.Context(), elsewhere), "cluster-already-imported", 409)
	wantEqual(t, p.Detail, "this cluster was imported already") // another org's name is not told

	must(t, s.CreateCluster(t.Context(), newCluster(orgB, "one"))) // a name is one org's

	must(t, s.DeleteCluster(t.Context(), orgA, first.ID, 0))
	again := newCluster(orgA, "one")
	again.ID = "id-again"
	must(t, s.CreateCluster(t.Context(), again))
}

func TestOneOfTwoClaimsOfANameWins(t *testing.T) {
	s := newStore(t)
	won, errs := race(8, func(i int) error {
		c := newCluster(orgA, "wanted")
		c.ID, c.UID = numbered("id", 8)[i], numbered("uid", 8)[i]
		return s.CreateCluster(t.Context(), c)
	})
	wantOneWinner(t, won, errs, "cluster-name-taken")
}

// Who deletes what they read does not delete what somebody changed since.
func TestAChangedClusterIsNotDeleted(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	c := newCluster(orgA, "one")
	must(t, s.CreateCluster(ctx, c))
	changed, err := s.UpdateCluster(ctx, c, c.Revision)
	must(t, err)
	wantProblem(t, s.DeleteCluster(ctx, orgA, c.ID, c.Revision), "cluster-changed", 409)
	must(t, s.DeleteCluster(ctx, orgA, c.ID, changed.Revision))
	wantProblem(t, s.DeleteCluster(ctx, orgA, c.ID, changed.Revision), "cluster-not-found", 404)
}

func TestMemberIsNotDeleted(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one", "two")
	wantProblem(t, s.DeleteCluster(t.Context(), orgA, "id-one", 0), "cluster-is-member", 409)

	list, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{})
	must(t, err)
	for _, c := range list {
		wantEqual(t, c.GroupID, g.ID)
	}
	one, err := s.FindCluster(t.Context(), orgA, "id-one")
	must(t, err)
	wantEqual(t, one.GroupID, g.ID)
}

func TestClustersAreListedInPages(t *testing.T) {
	s := newStore(t)
	names := numbered("c", 7)
	for _, name := range names {
		must(t, s.CreateCluster(t.Context(), newCluster(orgA, name)))
	}
	var got []string
	pages, page := 0, dynamo.Page{Limit: 3}
	for {
		list, next, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, page)
		must(t, err)
		for _, c := range list {
			got = append(got, c.Name)
		}
		pages++
		if page.Cursor = next; next == "" {
			break
		}
	}
	wantEqual(t, got, names)
	wantEqual(t, pages, 3)

	for name, cursor := range map[string]string{"no base64": "%%%", "another list's": "R1JPVVAjeA", "empty": "IA"} {
		t.Run(name, func(t *testing.T) {
			_, _, err := s.ListClusters(t.Context(), orgA, dynamo.ClusterFilter{}, dynamo.Page{Limit: 3, Cursor: cursor})
			wantProblem(t, err, "cursor-invalid", 400)
		})
	}
}

func TestStatusSinceStaysWhileTheStatusDoes(t *testing.T) {
	s := newStore(t)
	c := newCluster(orgA, "one")
	must(t, s.CreateCluster(t.Context(), c))
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	find := func() cluster.Cluster {
		got, err := s.FindCluster(t.Context(), orgA, c.ID)
		must(t, err)
		return got
	}

	must(t, s.MarkClusterChecked(t.Context(), orgA, c.ID, "v1.37.0", 5, at(1), at(6)))
	c.Version, c.Nodes, c.CheckedAt, c.NextCheckAt = "v1.37.0", 5, at(1), at(6)
	wantEqual(t, find(), c)

	must(t, s.MarkClusterUnreachable(t.Context(), orgA, c.ID, "connection refused", at(2), at(7)))
	c.Status, c.StatusSince, c.StatusMessage, c.NextCheckAt = cluster.Unknown, at(2), "connection refused", at(7)
	wantEqual(t, find(), c)

	must(t, s.MarkClusterUnreachable(t.Context(), orgA, c.ID, "no route to host", at(3), at(8)))
	c.StatusMessage, c.NextCheckAt = "no route to host", at(8)
	wantEqual(t, find(), c)

	must(t, s.MarkClusterChecked(t.Context(), orgA, c.ID, "v1.37.0", 5, at(4), at(9)))
	c.Status, c.StatusSince, c.StatusMessage, c.CheckedAt, c.NextCheckAt = cluster.Running, at(4), "", at(4), at(9)
	wantEqual(t, find(), c)

	wantProblem(t, s.MarkClusterChecked(t.Context(), orgB, c.ID, "v1", 1, at(5), at(10)), "cluster-not-found", 404)
	wantProblem(t, s.MarkClusterUnreachable(t.Context(), orgB, c.ID, "x", at(5), at(10)), "cluster-not-found", 404)
}

func TestTicksNeverTakeTheSameCluster(t *testing.T) {
	s := newStore(t)
	for _, name := range numbered("due", 20) {
		must(t, s.CreateCluster(t.Context(), newCluster(orgA, name)))
	}
	later := newCluster(orgB, "later")
	later.NextCheckAt = noon.Add(time.Hour)
	must(t, s.CreateCluster(t.Context(), later))
	tick := noon.Add(2 * time.Minute)

	claims := make(chan cluster.Cluster, 100)
	_, errs := race(4, func(int) error {
		claimed, err := s.ClaimDueClusters(t.Context(), tick, 50)
		for _, c := range claimed {
			claims <- c
		}
		return err
	})
	close(claims)
	wantEqual(t, len(errs), 0)
	times := map[string]int{}
	for c := range claims {
		times[c.Org+"/"+c.Name]++
		wantEqual(t, c.NextCheckAt, tick.Add(dynamo.ClaimPeriod))
	}
	wantEqual(t, len(times), 20)
	for name, n := range times {
		if n != 1 {
			t.Errorf("%s was claimed %d times", name, n)
		}
	}

	again, err := s.ClaimDueClusters(t.Context(), tick.Add(dynamo.ClaimPeriod), 3) // the first claimers died
	must(t, err)
	wantEqual(t, len(again), 3)
}
