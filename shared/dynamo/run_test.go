//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/repository"
	"github.com/swell-sh/swell/shared/run"
)

// admitted makes a deployment with one run on its way.
func admitted(t *testing.T, s *dynamo.Store) run.Run {
	t.Helper()
	g := given(t, s, orgA, "prod", "one")
	_, r, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	return r
}

func TestRunStartsAndEndsOnce(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)

	started, err := s.StartRun(t.Context(), orgA, r.ID, after(1))
	must(t, err)
	want := r
	want.Status, want.StartedAt, want.Version = run.Running, after(1), 2
	wantEqual(t, started, want)
	again, err := s.StartRun(t.Context(), orgA, r.ID, after(2))
	must(t, err)
	wantEqual(t, again, want)

	must(t, s.SetPlanHash(t.Context(), orgA, r.ID, "hash"))
	canceling, err := s.RequestCancel(t.Context(), orgA, r.ID)
	must(t, err)
	want.PlanHash, want.CancelRequested, want.Version = "hash", true, 4
	wantEqual(t, canceling, want)

	_, errs := race(4, func(i int) error {
		_, err := s.FinishRun(t.Context(), want, run.Partial, numbered("code", 4)[i], "cause", after(3))
		return err
	})
	wantEqual(t, len(errs), 0)
	ended, err := s.FinishRun(t.Context(), want, run.Failed, "late", "late", after(9))
	must(t, err)
	want.Status, want.Code, want.Cause, want.EndedAt, want.Version = run.Partial, ended.Code, "cause", after(3), 5
	wantEqual(t, ended, want)

	_, err = s.RequestCancel(t.Context(), orgA, r.ID)
	wantProblem(t, err, "run-ended", 409)
	started, err = s.StartRun(t.Context(), orgA, r.ID, after(9))
	must(t, err)
	wantEqual(t, started, want)

	_, err = s.StartRun(t.Context(), orgB, r.ID, after(1))
	wantProblem(t, err, "run-not-found", 404)
	_, err = s.FinishRun(t.Context(), run.Run{Org: orgB, ID: r.ID}, run.Failed, "", "", after(1))
	wantProblem(t, err, "run-not-found", 404)
	_, err = s.RequestCancel(t.Context(), orgB, r.ID)
	wantProblem(t, err, "run-not-found", 404)
	wantProblem(t, s.SetPlanHash(t.Context(), orgB, r.ID, "x"), "run-not-found", 404)
}

// What a person asks for as the run is about to end is not lost: who ends it decides again.
func TestARunEndsAsItWasWhenThatWasDecided(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	turned, err := s.BeginReverting(t.Context(), orgA, r.ID)
	must(t, err)
	wantEqual(t, turned.Phase, run.Reverting)
	canceled, err := s.RequestCancel(t.Context(), orgA, r.ID)
	must(t, err)
	for _, before := range []run.Run{r, turned} {
		if _, err := s.FinishRun(t.Context(), before, run.Succeeded, "", "", after(1)); err == nil {
			t.Errorf("it ended though it was %+v", before)
		}
	}
	ended, err := s.FinishRun(t.Context(), canceled, run.Canceled, "", "", after(1))
	must(t, err)
	wantEqual(t, ended.Status, run.Canceled)
}

// A run that has ended, or goes no further, is not turned around.
func TestWhatCannotBeTakenBackIsRefused(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	canceled, err := s.RequestCancel(t.Context(), orgA, r.ID)
	must(t, err)
	_, err = s.BeginReverting(t.Context(), orgA, r.ID)
	wantProblem(t, err, "run-not-revertible", 409)
	_, err = s.FinishRun(t.Context(), canceled, run.Canceled, "", "", after(1))
	must(t, err)
	got, err := s.BeginReverting(t.Context(), orgA, r.ID)
	wantProblem(t, err, "run-ended", 409)
	wantEqual(t, got.Phase, run.Forward)
}

func TestTargetsAndSteps(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	targets := []run.Target{
		{ClusterID: "a", ClusterName: "alpha", Action: "install", Status: run.TargetWaiting},
		{ClusterID: "b", ClusterName: "beta", Action: "upgrade", Status: run.TargetWaiting},
	}
	must(t, s.PutTargets(t.Context(), r, targets))
	deploying := run.Target{ClusterID: "a", Status: run.TargetDeploying, StartedAt: after(1), Cause: "1 of 3 pods are ready"}
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, deploying))
	must(t, s.PutTargets(t.Context(), r, targets)) // again: what is there stays
	deploying.StartedAt, deploying.Cause = after(5), ""
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, deploying))
	began, err := s.FindTarget(t.Context(), orgA, r.ID, "a")
	must(t, err)
	wantEqual(t, began, run.Target{ClusterID: "a", ClusterName: "alpha", Action: "install", Status: run.TargetDeploying, StartedAt: after(1)})
	failed := run.Target{ClusterID: "a", Status: run.TargetFailed, Code: "hook-timeout", Cause: "job migrate", LeftBehind: true, Revision: 3, EndedAt: after(6),
		Diff: &run.Diff{Ref: "ref", Created: 1, Changed: 2, Deleted: 3, Unchanged: 4, Destructive: 5, Reproducible: true}}
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, failed))
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, run.Target{ClusterID: "a", Status: run.TargetVerifying}))                    // late
	must(t, s.UpdateTarget(t.Context(), orgA, r.ID, run.Target{ClusterID: "a", Status: run.TargetSucceeded, EndedAt: after(7)})) // late
	want := failed
	want.ClusterName, want.Action, want.StartedAt = "alpha", "install", after(1)
	list, err := s.ListTargets(t.Context(), orgA, r.ID)
	must(t, err)
	wantEqual(t, list, []run.Target{want, targets[1]})
	one, err := s.FindTarget(t.Context(), orgA, r.ID, "a")
	must(t, err)
	wantEqual(t, one, want)

	begun := run.Step{ClusterID: "a", ClusterName: "alpha", State: "DeployRelease", Status: "Running", StartedAt: after(1)}
	ended := begun
	ended.Status, ended.Code, ended.Cause, ended.EndedAt = "Failed", "hook-timeout", "job migrate", after(6)
	second := begun
	second.Attempt = 1
	whole := run.Step{State: "PlanTargets", Status: "Succeeded", StartedAt: noon, EndedAt: after(1)}
	for _, step := range []run.Step{begun, ended, begun, second, whole} {
		must(t, s.PutStep(t.Context(), orgA, r.ID, step))
	}
	all, allTargets, allSteps, err := s.ReadRun(t.Context(), orgA, r.ID)
	must(t, err)
	found, err := s.FindRun(t.Context(), orgA, r.ID)
	must(t, err)
	wantEqual(t, all, found)
	wantEqual(t, allTargets, list)
	wantEqual(t, allSteps, []run.Step{whole, ended, second})

	_, _, _, err = s.ReadRun(t.Context(), orgB, r.ID)
	wantProblem(t, err, "run-not-found", 404)
	_, err = s.FindTarget(t.Context(), orgB, r.ID, "a")
	wantProblem(t, err, "target-not-found", 404)
	none, err := s.ListTargets(t.Context(), orgB, r.ID)
	must(t, err)
	wantEqual(t, len(none), 0)
}

func TestVersionRisesWithEveryChange(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	changes := map[string]func() error{
		"targets": func() error {
			return s.PutTargets(t.Context(), r, []run.Target{{ClusterID: "a", Status: run.TargetWaiting}})
		},
		"target": func() error {
			return s.UpdateTarget(t.Context(), orgA, r.ID, run.Target{ClusterID: "a", Status: run.TargetPreparing})
		},
		"step":   func() error { return s.PutStep(t.Context(), orgA, r.ID, run.Step{State: "X", Status: "Running"}) },
		"plan":   func() error { return s.SetPlanHash(t.Context(), orgA, r.ID, "p") },
		"start":  func() error { _, err := s.StartRun(t.Context(), orgA, r.ID, noon); return err },
		"cancel": func() error { _, err := s.RequestCancel(t.Context(), orgA, r.ID); return err },
	}
	last := r.Version
	for name, change := range changes {
		must(t, change())
		now, err := s.FindRun(t.Context(), orgA, r.ID)
		must(t, err)
		if now.Version <= last {
			t.Errorf("after %s the version is %d, before it was %d", name, now.Version, last)
		}
		last = now.Version
	}
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	now := noon
	s := newStoreAt(t, func() time.Time { return now })
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	for i, name := range numbered("check", 6) {
		now = after(i + 1)
		_, _, err := s.AdmitRun(t.Context(), d, newRun(name, run.Check).About(d.ID, g.ID, "web", 1), 0, false)
		must(t, err)
		if i%2 == 0 {
			_, err = s.FinishRun(t.Context(), run.Run{Org: orgA, ID: name}, run.Succeeded, "", "", now)
			must(t, err)
		}
	}
	now = after(60)
	_, _, err = s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "other"))
	must(t, err)

	cases := map[string]struct {
		org    string
		filter dynamo.RunFilter
		limit  int
		want   []string
		pages  int
	}{
		"all":                               {orgA, dynamo.RunFilter{}, 0, []string{"run-other-1", "check-005", "check-004", "check-003", "check-002", "check-001", "check-000", "run-web-1"}, 1},
		"all in pages":                      {orgA, dynamo.RunFilter{}, 3, []string{"run-other-1", "check-005", "check-004", "check-003", "check-002", "check-001", "check-000", "run-web-1"}, 3},
		"of a deployment":                   {orgA, dynamo.RunFilter{DeploymentID: "id-web"}, 4, []string{"check-005", "check-004", "check-003", "check-002", "check-001", "check-000", "run-web-1"}, 2},
		"by type":                           {orgA, dynamo.RunFilter{Type: run.Deploy}, 1, []string{"run-other-1", "run-web-1"}, 2},
		"by status":                         {orgA, dynamo.RunFilter{Status: run.Succeeded}, 2, []string{"check-004", "check-002", "check-000"}, 2},
		"by all":                            {orgA, dynamo.RunFilter{Type: run.Check, Status: run.Pending, DeploymentID: "id-web"}, 2, []string{"check-005", "check-003", "check-001"}, 2},
		"of another org":                    {orgB, dynamo.RunFilter{}, 2, nil, 1},
		"of its deployment for another org": {orgB, dynamo.RunFilter{DeploymentID: "id-web"}, 2, nil, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			pages, page := 0, dynamo.Page{Limit: c.limit}
			for {
				list, next, err := s.ListRuns(t.Context(), c.org, c.filter, page)
				must(t, err)
				for _, r := range list {
					got = append(got, r.ID)
				}
				pages++
				if page.Cursor = next; next == "" {
					break
				}
			}
			wantEqual(t, got, c.want)
			wantEqual(t, pages, c.pages)
		})
	}
	_, _, err = s.ListRuns(t.Context(), orgA, dynamo.RunFilter{}, dynamo.Page{Cursor: "IA"})
	wantProblem(t, err, "cursor-invalid", 400)
}

func TestSweeperFindsRunsThatAreNotDone(t *testing.T) {
	s := newStore(t)
	r := admitted(t, s)
	due := func(at time.Time) (ids []string) {
		runs, err := s.DueRuns(t.Context(), at, 10)
		must(t, err)
		for _, r := range runs {
			ids = append(ids, r.Org+"/"+r.ID)
		}
		return ids
	}
	self := []string{orgA + "/" + r.ID}
	wantEqual(t, due(noon), []string(nil))
	wantEqual(t, due(noon.Add(dynamo.SweepPendingAfter)), self)
	_, err := s.StartRun(t.Context(), orgA, r.ID, after(1))
	must(t, err)
	wantEqual(t, due(noon.Add(dynamo.SweepPendingAfter)), []string(nil))
	wantEqual(t, due(after(1).Add(dynamo.SweepRunningAfter)), self)
	must(t, s.DeferRun(t.Context(), orgA, r.ID, noon.Add(2*time.Hour)))
	must(t, s.DeferRun(t.Context(), orgB, r.ID, noon))
	wantEqual(t, due(noon.Add(time.Hour)), []string(nil))
	wantEqual(t, due(noon.Add(2*time.Hour)), self)
	_, err = s.FinishRun(t.Context(), r, run.Succeeded, "", "", noon)
	must(t, err)
	must(t, s.DeferRun(t.Context(), orgA, r.ID, noon))
	wantEqual(t, due(noon.Add(9*time.Hour)), []string(nil))
}

func TestKeysAndRepositories(t *testing.T) {
	s := newStore(t)
	k := dynamo.APIKey{Org: orgA, Principal: "ann", Role: "admin", CreatedAt: noon}
	must(t, s.PutKey(t.Context(), "hash", k))
	got, err := s.FindKey(t.Context(), "hash")
	must(t, err)
	wantEqual(t, got, k)
	_, err = s.FindKey(t.Context(), "none")
	wantProblem(t, err, "key-not-found", 404)

	r := repository.Repository{Org: orgA, Name: "acme", URL: "https://charts.example.com", Version: 1, CreatedAt: noon, CreatedBy: "ann"}
	must(t, s.CreateRepository(t.Context(), r))
	wantProblem(t, s.CreateRepository(t.Context(), r), "repository-name-taken", 409)
	found, err := s.FindRepository(t.Context(), orgA, "acme")
	must(t, err)
	wantEqual(t, found, r)
	_, err = s.FindRepository(t.Context(), orgB, "acme")
	wantProblem(t, err, "repository-not-found", 404)
	wantProblem(t, s.DeleteRepository(t.Context(), orgB, "acme", 1), "repository-not-found", 404)
	r = repository.Repository{Org: orgA, Name: "acme", URL: "oci://charts.example.com/org", CredentialID: "c1", HasPassword: true, HasTLS: true,
		Version: 2, CreatedAt: noon, CreatedBy: "ann", UpdatedAt: noon.Add(time.Hour)}
	must(t, s.ReplaceRepository(t.Context(), r, 1))
	wantProblem(t, s.ReplaceRepository(t.Context(), r, 1), "repository-changed", 409)
	found, err = s.FindRepository(t.Context(), orgA, "acme")
	must(t, err)
	wantEqual(t, found, r)
	list, _, err := s.ListRepositories(t.Context(), orgA, dynamo.Page{Limit: 1})
	must(t, err)
	wantEqual(t, list, []repository.Repository{r})
	wantProblem(t, s.DeleteRepository(t.Context(), orgA, "acme", 1), "repository-changed", 409)
	must(t, s.DeleteRepository(t.Context(), orgA, "acme", 2))
	wantProblem(t, s.ReplaceRepository(t.Context(), r, 2), "repository-changed", 409)
	list, _, err = s.ListRepositories(t.Context(), orgA, dynamo.Page{})
	must(t, err)
	wantEqual(t, list, []repository.Repository{})
}
