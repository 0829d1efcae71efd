//go:build stack

package dynamo_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// updated admits the next generation of d.
func updated(t *testing.T, s *dynamo.Store, d deployment.Deployment, runID string) (deployment.Deployment, run.Run) {
	t.Helper()
	d, r, err := s.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: d, Generation: newGeneration(d, d.Newest+1), Run: newRun(runID, run.Deploy),
		ExpectedVersion: d.Version})
	must(t, err)
	return d, r
}

func TestGenerationsAreListedNewestFirst(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	for _, id := range numbered("run", 11) {
		d, _ = updated(t, s, d, id)
	}
	var numbers []int
	runIDs := []string{"no-such-run"}
	for page := (dynamo.Page{Limit: 5}); ; {
		list, next, err := s.ListGenerations(t.Context(), orgA, d.ID, page)
		must(t, err)
		for _, g := range list {
			numbers, runIDs = append(numbers, g.Number), append(runIDs, g.RunID)
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	wantEqual(t, numbers, []int{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	runs, err := s.FindRuns(t.Context(), orgA, runIDs)
	must(t, err)
	wantEqual(t, len(runs), 12)
	wantEqual(t, runs["run-web-1"].Generation, 1)
	runs, err = s.FindRuns(t.Context(), orgB, runIDs)
	must(t, err)
	wantEqual(t, len(runs), 0)
	theirs, _, err := s.ListGenerations(t.Context(), orgB, d.ID, dynamo.Page{})
	must(t, err)
	wantEqual(t, len(theirs), 0)
}

func TestRollbackMovesTheGenerationAndLosesNone(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	d, _ = updated(t, s, d, "run-2")
	d, deploy := updated(t, s, d, "run-3")

	back := d
	back.Generation = 1
	back, rollback, err := s.AdmitRun(t.Context(), back, newRun("back", run.Rollback), d.Version, false)
	must(t, err)
	wantEqual(t, []int{back.Generation, back.Newest, rollback.Generation}, []int{1, 3, 1})
	wantEqual(t, []int64{back.Version, back.RunSeq, rollback.Seq}, []int64{4, 4, 4})
	found, err := s.FindDeployment(t.Context(), orgA, d.ID)
	must(t, err)
	wantEqual(t, found, back)
	if status, stop := deploy.StoppedBy(found.Generation, found.Deleting); !stop || status != run.TargetSuperseded {
		t.Error("the deploy that was overtaken goes on")
	}
	if _, stop := rollback.StoppedBy(found.Generation, found.Deleting); stop {
		t.Error("the rollback is stopped")
	}
	d.Generation = 2
	_, _, err = s.AdmitRun(t.Context(), d, newRun("late", run.Rollback), d.Version, false)
	wantProblem(t, err, "deployment-changed", 409)

	at, err := s.FindGenerations(t.Context(), []deployment.Deployment{back, {Org: orgA, ID: d.ID + "-lost", Generation: 1}})
	must(t, err)
	wantEqual(t, len(at), 1)
	wantEqual(t, at[d.ID].Number, 1)

	next, r := updated(t, s, back, "run-4")
	wantEqual(t, []int{next.Generation, next.Newest, r.Generation}, []int{4, 4, 4})
	all, _, err := s.ListGenerations(t.Context(), orgA, d.ID, dynamo.Page{})
	must(t, err)
	wantEqual(t, len(all), 4)
}

func TestWithdraw(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	d, _ = updated(t, s, d, "second")
	third := newGeneration(d, 3)
	third.Before = 2
	want := func(generation int) deployment.Deployment {
		t.Helper()
		now, err := s.FindDeployment(t.Context(), orgA, d.ID)
		must(t, err)
		wantEqual(t, []int{now.Generation, now.Newest}, []int{generation, 3})
		return now
	}
	d, _, err = s.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: d, Generation: third, Run: newRun("third", run.Deploy), ExpectedVersion: d.Version})
	must(t, err)
	must(t, s.Withdraw(t.Context(), third, "another run"))
	want(3)
	must(t, s.Withdraw(t.Context(), third, "third"))
	now := want(2)
	wantEqual(t, now.Version, d.Version+1)
	must(t, s.Withdraw(t.Context(), third, "third")) // again
	wantEqual(t, want(2).Version, now.Version)
	first := newGeneration(d, 1)
	must(t, s.Withdraw(t.Context(), first, "third"))
	want(2)
}

func TestALostGenerationIsNotInTheWayOfARemoval(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	for typ, lost := range map[run.Type]bool{run.Deploy: true, run.Sync: true, run.Remove: false, run.Leave: false, run.Check: false} {
		found, _, err := s.FindIntent(t.Context(), orgA, newRun("r", typ).About(d.ID, g.ID, "web", 9))
		if problem.Is(err, "generation-not-found") != lost || !lost && err != nil || found.ID != d.ID {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestTheLatestLookSaysWhatIsHealthy(t *testing.T) {
	s := newStore(t)
	key, owner := release.Key{Org: orgA, ClusterID: "c", Namespace: "web", Name: "web"}, release.OwnedByDeployment("d")
	must(t, s.ClaimRelease(t.Context(), key, owner))
	must(t, s.SetHealthy(t.Context(), key, 4, release.Desired{PlanHash: "p4"}, after(2)))
	must(t, s.SetHealthy(t.Context(), key, 3, release.Desired{PlanHash: "p3"}, after(1))) // late
	must(t, s.SetHealth(t.Context(), key, release.Unhealthy, "0 of 2 are ready", after(3)))
	r, err := s.FindRelease(t.Context(), key)
	must(t, err)
	wantEqual(t, r.Healthy, 4)
	wantEqual(t, r.Health, release.Unhealthy)
	wantEqual(t, r.Verified, &release.Desired{PlanHash: "p4"})
	must(t, s.DeleteRelease(t.Context(), key, owner, ""))
	must(t, s.SetHealthy(t.Context(), key, 5, release.Desired{PlanHash: "p5"}, after(4))) // nobody's
	must(t, s.ClaimRelease(t.Context(), key, owner))
	r, err = s.FindRelease(t.Context(), key)
	must(t, err)
	wantEqual(t, []any{r.Healthy, r.Health}, []any{0, release.Health("")})
}
