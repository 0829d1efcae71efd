//go:build stack

package dynamo_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

var (
	keyA  = release.Key{Org: orgA, ClusterID: "c1", Namespace: "web", Name: "shop"}
	keyB  = release.Key{Org: orgB, ClusterID: "c1", Namespace: "web", Name: "shop"}
	mine  = release.OwnedByDeployment("d1")
	other = release.OwnedByDeployment("d2")
)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func wantTaskError(t *testing.T, err error, name, code string) {
	t.Helper()
	if taskerr.NameOf(err) != name || taskerr.CodeOf(err) != code {
		t.Errorf("got %v, want %s with code %s", err, name, code)
	}
}

func TestReleaseHasOneOwner(t *testing.T) {
	s := newStore(t)
	won, errs := race(6, func(i int) error {
		return s.ClaimRelease(t.Context(), keyA, release.OwnedByDeployment(fmt.Sprint(i)))
	})
	wantOneWinner(t, won, errs, "release-claimed")
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	must(t, s.ClaimRelease(t.Context(), keyA, r.Owner)) // its own already

	_, err = s.FindRelease(t.Context(), keyB)
	wantProblem(t, err, "release-not-found", 404)
	must(t, s.ClaimRelease(t.Context(), keyB, other)) // the same name is free in another org
	again, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, again, r)
}

func TestReleaseIsKeptAsItIs(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	desired := release.Desired{Seq: 3, Generation: 2, RunID: "r", PlanHash: "p", InputHash: "i", ChartName: "web", ChartVersion: "1.0.0", SetAt: noon}
	observed := release.Observed{Revision: 4, Status: "deployed", ChartName: "web", ChartVersion: "1.0.0", OwnerLabel: "deployment-d1",
		InputHash: "i", LabelRevision: 4, ValuesDigest: "v", Differs: []string{"chart"}, At: after(1)}
	must(t, s.SetDesired(t.Context(), keyA, mine, desired))
	wrote, err := s.SetObserved(t.Context(), keyA, observed, nil)
	must(t, err)
	wantEqual(t, wrote, true)
	must(t, s.SetHealth(t.Context(), keyA, release.Healthy, "3 of 3 are ready", after(2)))
	must(t, s.SetActiveRun(t.Context(), keyA, "run-1"))
	fence, err := s.AcquireLease(t.Context(), keyA, "me", noon, after(60))
	must(t, err)
	want := release.Release{Key: keyA, Owner: mine, Desired: &desired, Observed: &observed, Health: release.Healthy, HealthMessage: "3 of 3 are ready",
		HealthAt: after(2), ActiveRun: "run-1", Lease: release.Lease{Holder: "me", ExpiresAt: after(60)}, Fence: fence}

	got, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, got, want)
	list, err := s.ListReleasesOfOwner(t.Context(), orgA, mine)
	must(t, err)
	wantEqual(t, list, []release.Release{want})
	list, err = s.ListReleasesOfCluster(t.Context(), orgA, "c1")
	must(t, err)
	wantEqual(t, list, []release.Release{want})
	found, err := s.FindReleases(t.Context(), []release.Key{keyA, keyB})
	must(t, err)
	wantEqual(t, found, map[release.Key]release.Release{keyA: want})

	list, err = s.ListReleasesOfOwner(t.Context(), orgB, mine)
	must(t, err)
	wantEqual(t, len(list), 0)
	list, err = s.ListReleasesOfCluster(t.Context(), orgB, "c1")
	must(t, err)
	wantEqual(t, len(list), 0)
	wantProblem(t, s.SetActiveRun(t.Context(), keyB, "x"), "release-not-found", 404)
	wantProblem(t, s.SetDesired(t.Context(), keyB, mine, desired), "release-not-found", 404)
	_, err = s.AcquireLease(t.Context(), keyB, "me", noon, after(60))
	wantProblem(t, err, "release-not-found", 404)

	must(t, s.ClearActiveRun(t.Context(), keyA, "run-0")) // not its own
	got, err = s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, got.ActiveRun, "run-1")
	must(t, s.ClearActiveRun(t.Context(), keyA, "run-1"))
	got, err = s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, got.ActiveRun, "")
}

func TestOnlyANewerRunMovesDesired(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	set := func(owner release.Owner, seq int64, hash string) error {
		return s.SetDesired(t.Context(), keyA, owner, release.Desired{Seq: seq, InputHash: hash})
	}
	must(t, set(mine, 2, "two"))
	must(t, set(mine, 2, "two"))
	wantTaskError(t, set(mine, 1, "one"), taskerr.TargetFailed, "superseded")
	wantTaskError(t, set(other, 9, "nine"), taskerr.TargetFailed, "release-claimed")
	must(t, set(mine, 3, "three"))
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, r.Desired.InputHash, "three")
}

func TestOneOfManyTakesTheLease(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	take := func(holder string, now, until time.Time) error {
		_, err := s.AcquireLease(t.Context(), keyA, holder, now, until)
		return err
	}
	won, errs := race(8, func(i int) error { return take(numbered("holder", 8)[i], noon, after(60)) })
	wantEqual(t, won, 1)
	for _, err := range errs {
		wantTaskError(t, err, taskerr.ReleaseLeased, "release-leased")
	}
	wantTaskError(t, take("late", after(59), after(120)), taskerr.ReleaseLeased, "release-leased")
	won, _ = race(8, func(i int) error { return take(numbered("heir", 8)[i], after(60), after(120)) })
	wantEqual(t, won, 1)
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, r.Fence, int64(2))
}

func TestLeaseIsGivenBackByItsHolderOnly(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	first, err := s.AcquireLease(t.Context(), keyA, "zombie", noon, after(60))
	must(t, err)
	same, err := s.AcquireLease(t.Context(), keyA, "zombie", noon, after(60)) // sent twice, as the SDK does
	must(t, err)
	wantEqual(t, same, first)
	second, err := s.AcquireLease(t.Context(), keyA, "heir", after(60), after(120))
	must(t, err)
	if second <= first {
		t.Errorf("the fence went from %d to %d", first, second)
	}
	must(t, s.FreeLease(t.Context(), keyA, "zombie", first))
	_, err = s.AcquireLease(t.Context(), keyA, "third", after(61), after(120))
	wantTaskError(t, err, taskerr.ReleaseLeased, "release-leased")
	must(t, s.FreeLease(t.Context(), keyA, "heir", first)) // an older lease of the same name
	_, err = s.AcquireLease(t.Context(), keyA, "third", after(61), after(120))
	wantTaskError(t, err, taskerr.ReleaseLeased, "release-leased")

	must(t, s.FreeLease(t.Context(), keyA, "heir", second))
	third, err := s.AcquireLease(t.Context(), keyA, "third", after(61), after(120))
	must(t, err)
	wantEqual(t, third, second+1)
}

func TestDeletedReleaseKeepsItsFence(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	fence, err := s.AcquireLease(t.Context(), keyA, "last", noon, after(60))
	must(t, err)
	must(t, s.SetDesired(t.Context(), keyA, mine, release.Desired{Seq: 9}))

	must(t, s.DeleteRelease(t.Context(), keyA, other, "")) // not its own
	must(t, s.DeleteRelease(t.Context(), keyB, mine, ""))  // not its org
	_, err = s.FindRelease(t.Context(), keyA)
	must(t, err)
	must(t, s.DeleteRelease(t.Context(), keyA, mine, ""))
	must(t, s.DeleteRelease(t.Context(), keyA, mine, ""))
	_, err = s.FindRelease(t.Context(), keyA)
	wantProblem(t, err, "release-not-found", 404)
	for _, list := range []func() ([]release.Release, error){
		func() ([]release.Release, error) { return s.ListReleasesOfOwner(t.Context(), orgA, mine) },
		func() ([]release.Release, error) { return s.ListReleasesOfCluster(t.Context(), orgA, "c1") },
	} {
		got, err := list()
		must(t, err)
		wantEqual(t, len(got), 0)
	}
	wrote, err := s.SetObserved(t.Context(), keyA, release.Observed{At: noon}, nil) // a late look brings nothing back
	must(t, err)
	wantEqual(t, wrote, false)
	must(t, s.SetHealth(t.Context(), keyA, release.Healthy, "", noon))

	must(t, s.ClaimRelease(t.Context(), keyA, other))
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, r, release.Release{Key: keyA, Owner: other, Fence: fence, Lease: release.Lease{Holder: "last", ExpiresAt: after(60)}})
	_, err = s.AcquireLease(t.Context(), keyA, "new", after(1), after(120))
	wantTaskError(t, err, taskerr.ReleaseLeased, "release-leased")
	must(t, s.SetDesired(t.Context(), keyA, other, release.Desired{Seq: 1}))
}

func TestWhatWasSeenIsWrittenOnlyWhenItIsNews(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	first := release.Observed{Revision: 1, Status: "deployed", At: after(10)}
	later, older, news := first, first, first
	later.At, older.At, older.Revision = after(20), after(5), 7
	news.At, news.Revision = after(30), 2
	look := func(o release.Observed, previous *release.Observed) bool {
		wrote, err := s.SetObserved(t.Context(), keyA, o, previous)
		must(t, err)
		return wrote
	}
	wantEqual(t, look(first, nil), true)
	wantEqual(t, look(later, &first), false) // nothing new
	wantEqual(t, look(older, nil), false)    // seen before what is recorded
	wantEqual(t, look(news, &first), true)
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, *r.Observed, news)

	must(t, s.SetHealth(t.Context(), keyA, release.Healthy, "", after(10)))
	must(t, s.SetHealth(t.Context(), keyA, release.Unhealthy, "", after(5)))
	r, err = s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, r.Health, release.Healthy)
}

func TestFailedIsObservedAndUnhealthy(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	find := func() release.Release {
		r, err := s.FindRelease(t.Context(), keyA)
		must(t, err)
		return r
	}
	must(t, s.SetFailed(t.Context(), keyA, nil, "not ready", after(1))) // nobody has seen its record yet
	r := find()
	wantEqual(t, r.Observed, (*release.Observed)(nil))
	wantEqual(t, r.Health, release.Unhealthy)

	seen := release.Observed{Revision: 4, Status: "deployed", InputHash: "i", LabelRevision: 4, At: after(10)}
	_, err := s.SetObserved(t.Context(), keyA, seen, nil)
	must(t, err)
	want := seen
	want.Status, want.At = "failed", after(20)
	for range 2 { // sent again
		must(t, s.SetFailed(t.Context(), keyA, &seen, "0 of 2 are ready", after(20)))
		r = find()
		wantEqual(t, *r.Observed, want)
		wantEqual(t, r.Health, release.Unhealthy)
		wantEqual(t, r.HealthMessage, "0 of 2 are ready")
		wantEqual(t, r.HealthAt, after(20))
	}
	wantEqual(t, seen.Status, "deployed") // the caller's own

	must(t, s.SetHealth(t.Context(), keyA, release.Healthy, "", after(30)))
	must(t, s.SetFailed(t.Context(), keyA, &seen, "late", after(25)))
	wantEqual(t, find().Health, release.Healthy)
}

func TestNoChangeCostsNoCall(t *testing.T) {
	s := dynamo.New(nil, "no table", time.Now)
	same := release.Observed{Revision: 1, Differs: []string{}, At: noon}
	before := release.Observed{Revision: 1, At: after(-60)}
	wrote, err := s.SetObserved(t.Context(), keyA, same, &before)
	must(t, err)
	wantEqual(t, wrote, false)
	wrote, err = s.SetDrift(t.Context(), keyA, release.Drift{Revision: 1, At: noon}, nil)
	must(t, err)
	wantEqual(t, wrote, false)
}

func TestDriftIsWrittenOnlyWhenItIsNews(t *testing.T) {
	s := newStore(t)
	must(t, s.ClaimRelease(t.Context(), keyA, mine))
	look := func(d release.Drift) bool {
		r, err := s.FindRelease(t.Context(), keyA)
		must(t, err)
		wrote, err := s.SetDrift(t.Context(), keyA, d, r.Drift)
		must(t, err)
		return wrote
	}
	wantEqual(t, look(release.Drift{Revision: 1, At: after(1)}), false) // nothing, as ever
	wantEqual(t, look(release.Drift{Revision: 1, Objects: 1, Fields: 2, Ref: "a", At: after(10)}), true)
	wantEqual(t, look(release.Drift{Revision: 1, Objects: 1, Fields: 2, Ref: "a", At: after(20)}), false)
	wantEqual(t, look(release.Drift{Revision: 1, Objects: 1, Fields: 1, Ref: "b", At: after(5)}), false) // seen before what is recorded
	wantEqual(t, look(release.Drift{Revision: 1, Objects: 1, Fields: 1, Ref: "b", At: after(30)}), true)
	r, err := s.FindRelease(t.Context(), keyA)
	must(t, err)
	wantEqual(t, *r.Drift, release.Drift{Revision: 1, Objects: 1, Fields: 1, Ref: "b", Since: after(10), At: after(30)})
	wantEqual(t, look(release.Drift{Revision: 1, At: after(40)}), true)
	wantEqual(t, look(release.Drift{Revision: 1, At: after(50)}), false)
}

func TestPlanIsKeptAsItIs(t *testing.T) {
	s := newStore(t)
	var entries []release.PlanEntry
	for _, name := range numbered("c", 60) {
		entries = append(entries, release.PlanEntry{PlanHash: "hash", ClusterID: "id-" + name, ClusterName: name,
			Key:    release.Key{Org: orgA, ClusterID: "id-" + name, Namespace: "web", Name: "shop"},
			Action: release.Upgrade, InputHash: "i", ChartName: "web", ChartVersion: "1.0.0", ChartDigest: "sha256:0", ValuesRef: "v", ValuesDigest: "d",
			CRDsRef: "crds", SeenRevision: 3, Generation: 2, Timeout: 600})
	}
	must(t, s.PutPlan(t.Context(), orgA, "hash", entries))
	must(t, s.PutPlan(t.Context(), orgA, "hash", entries))
	got, err := s.FindPlanEntry(t.Context(), orgA, "hash", "id-c-007")
	must(t, err)
	wantEqual(t, got, entries[7])
	list, err := s.ListPlan(t.Context(), orgA, "hash")
	must(t, err)
	wantEqual(t, list, entries)
	_, err = s.FindPlanEntry(t.Context(), orgB, "hash", "id-c-007")
	wantProblem(t, err, "plan-not-found", 404)
	list, err = s.ListPlan(t.Context(), orgB, "hash")
	must(t, err)
	wantEqual(t, len(list), 0)
}
