//go:build stack

package dynamo_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func newRun(id string, typ run.Type) run.Run { return run.New(id, typ, orgA, "api", "ann", noon) }

func TestAdmissionKeepsAllOrNothing(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	a := newAdmission(orgA, g.ID, "web")
	d, r, err := s.AdmitDeployment(t.Context(), a)
	must(t, err)

	wanted := a.Deployment
	wanted.Generation, wanted.Newest, wanted.RunSeq, wanted.LastRun, wanted.Version, wanted.CreatedAt, wanted.UpdatedAt = 1, 1, 1, r.ID, 1, noon, noon
	wantEqual(t, d, wanted)
	found, err := s.FindDeployment(t.Context(), orgA, d.ID)
	must(t, err)
	wantEqual(t, found, wanted)
	found, err = s.FindDeploymentByName(t.Context(), orgA, g.ID, "web")
	must(t, err)
	wantEqual(t, found, wanted)
	generation, err := s.FindGeneration(t.Context(), orgA, d.ID, 1)
	must(t, err)
	a.Generation.RunID = r.ID
	wantEqual(t, generation, a.Generation)
	foundRun, err := s.FindRun(t.Context(), orgA, r.ID)
	must(t, err)
	wantEqual(t, foundRun, r)
	wantEqual(t, foundRun.Seq, int64(1))
	wantEqual(t, foundRun.Status, run.Pending)

	_, err = s.FindDeployment(t.Context(), orgB, d.ID)
	wantProblem(t, err, "deployment-not-found", 404)
	_, err = s.FindDeploymentByName(t.Context(), orgB, g.ID, "web")
	wantProblem(t, err, "deployment-not-found", 404)
	_, err = s.FindGeneration(t.Context(), orgB, d.ID, 1)
	wantProblem(t, err, "generation-not-found", 404)
	_, err = s.FindRun(t.Context(), orgB, r.ID)
	wantProblem(t, err, "run-not-found", 404)

	same := newAdmission(orgA, g.ID, "web")
	same.Deployment.ID, same.Generation.DeploymentID, same.Run.ID = "id-same", "id-same", "run-same"
	_, _, err = s.AdmitDeployment(t.Context(), same)
	wantProblem(t, err, "release-name-taken", 409)
	_, err = s.FindRun(t.Context(), orgA, "run-same")
	wantProblem(t, err, "run-not-found", 404)

	_, _, err = s.AdmitDeployment(t.Context(), newAdmission(orgB, g.ID, "web")) // the group is the other org's
	wantProblem(t, err, "group-not-found", 404)
}

func TestOneOfTwoAdmissionsWins(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)

	won, errs := race(6, func(i int) error {
		_, _, err := s.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: d, Generation: newGeneration(d, 2),
			Run: newRun(numbered("run", 6)[i], run.Deploy), ExpectedVersion: d.Version})
		return err
	})
	wantOneWinner(t, won, errs, "deployment-changed")
	after, err := s.FindDeployment(t.Context(), orgA, d.ID)
	must(t, err)
	wantEqual(t, []int64{int64(after.Generation), after.RunSeq, after.Version}, []int64{2, 2, 2})
	runs, _, err := s.ListRuns(t.Context(), orgA, dynamo.RunFilter{DeploymentID: d.ID}, dynamo.Page{})
	must(t, err)
	wantEqual(t, len(runs), 2)
}

func TestRunsOfADeployment(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)

	same, check, err := s.AdmitRun(t.Context(), d, newRun("look", run.Check), 99, false)
	must(t, err)
	wantEqual(t, same, d)
	wantEqual(t, check.Seq, int64(0))

	synced, sync, err := s.AdmitRun(t.Context(), d, newRun("sync", run.Sync), d.Version, false)
	must(t, err)
	wantEqual(t, []int64{synced.Version, synced.RunSeq, sync.Seq, int64(sync.Generation)}, []int64{2, 2, 2, 1})
	_, _, err = s.AdmitRun(t.Context(), d, newRun("late", run.Sync), d.Version, false)
	wantProblem(t, err, "deployment-changed", 409)

	removing, _, err := s.AdmitRun(t.Context(), synced, newRun("remove", run.Remove), synced.Version, true)
	must(t, err)
	wantEqual(t, removing.Deleting, true)
	_, _, err = s.AdmitRun(t.Context(), removing, newRun("late", run.Sync), removing.Version, false)
	wantProblem(t, err, "deployment-deleting", 409)
	_, _, err = s.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: removing, Generation: newGeneration(d, 2),
		Run: newRun("late", run.Deploy), ExpectedVersion: removing.Version})
	wantProblem(t, err, "deployment-deleting", 409)
	_, _, err = s.AdmitRun(t.Context(), removing, newRun("again", run.Remove), removing.Version, true)
	must(t, err)

	stranger := d
	stranger.Org = orgB
	_, _, err = s.AdmitRun(t.Context(), stranger, run.New("x", run.Check, orgB, "api", "bob", noon), 0, false)
	wantProblem(t, err, "deployment-not-found", 404)
	_, _, err = s.AdmitRun(t.Context(), stranger, run.New("x", run.Sync, orgB, "api", "bob", noon), 1, false)
	wantProblem(t, err, "deployment-not-found", 404)
}

func TestForgetDeployment(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	owner := release.OwnedByDeployment(d.ID)
	k := release.Key{Org: orgA, ClusterID: "id-one", Namespace: "web", Name: "web"}
	must(t, s.ClaimRelease(t.Context(), k, owner))

	wantProblem(t, s.ForgetDeployment(t.Context(), orgA, d.ID), "deployment-has-releases", 409)
	must(t, s.DeleteRelease(t.Context(), k, owner, ""))
	wantProblem(t, s.ForgetDeployment(t.Context(), orgA, d.ID), "deployment-not-deleting", 409)
	_, _, err = s.AdmitRun(t.Context(), d, newRun("remove", run.Remove), d.Version, true)
	must(t, err)
	must(t, s.ForgetDeployment(t.Context(), orgB, d.ID)) // not its own: nothing
	_, err = s.FindDeployment(t.Context(), orgA, d.ID)
	must(t, err)

	must(t, s.ForgetDeployment(t.Context(), orgA, d.ID))
	must(t, s.ForgetDeployment(t.Context(), orgA, d.ID))
	_, err = s.FindDeployment(t.Context(), orgA, d.ID)
	wantProblem(t, err, "deployment-not-found", 404)
	_, err = s.FindGeneration(t.Context(), orgA, d.ID, 1)
	wantProblem(t, err, "generation-not-found", 404)
	_, _, err = s.AdmitDeployment(t.Context(), func() dynamo.Admission { // the name is free again
		a := newAdmission(orgA, g.ID, "web")
		a.Deployment.ID, a.Generation.DeploymentID, a.Run.ID = "id-again", "id-again", "run-again"
		return a
	}())
	must(t, err)
}

func TestDeploymentsAreListedByGroup(t *testing.T) {
	s := newStore(t)
	prod, test := given(t, s, orgA, "prod"), given(t, s, orgA, "test")
	for _, name := range []string{"b", "a", "c"} {
		_, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, prod.ID, name))
		must(t, err)
	}
	_, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, test.ID, "d"))
	must(t, err)
	theirs := given(t, s, orgB, "prod") // with the same id and the same names
	_, _, err = s.AdmitDeployment(t.Context(), newAdmission(orgB, theirs.ID, "a"))
	must(t, err)
	names := func(list []deployment.Deployment, _ string, err error) (names []string) {
		must(t, err)
		for _, d := range list {
			names = append(names, d.ReleaseName)
		}
		return names
	}
	wantEqual(t, names(s.ListDeployments(t.Context(), orgA, prod.ID, dynamo.Page{})), []string{"a", "b", "c"})
	wantEqual(t, names(s.ListDeployments(t.Context(), orgA, test.ID, dynamo.Page{})), []string{"d"})
	wantEqual(t, names(s.ListDeployments(t.Context(), orgA, "", dynamo.Page{})), []string{"a", "b", "c", "d"})
	wantEqual(t, names(s.ListDeployments(t.Context(), orgB, prod.ID, dynamo.Page{})), []string{"a"})
	wantEqual(t, names(s.ListDeployments(t.Context(), orgB, "", dynamo.Page{})), []string{"a"})

	first, next, err := s.ListDeployments(t.Context(), orgA, prod.ID, dynamo.Page{Limit: 2})
	must(t, err)
	wantEqual(t, names(first, "", nil), []string{"a", "b"})
	wantEqual(t, names(s.ListDeployments(t.Context(), orgA, prod.ID, dynamo.Page{Limit: 2, Cursor: next})), []string{"c"})
}

func TestSettingsChangeWithoutAGeneration(t *testing.T) {
	s := newStore(t)
	g := given(t, s, orgA, "prod", "one")
	d, _, err := s.AdmitDeployment(t.Context(), newAdmission(orgA, g.ID, "web"))
	must(t, err)
	changed := d
	changed.Mode, changed.InstallOnJoin, changed.RemovalLimit = deployment.Correct, true, 30
	changed.Ignore = []deployment.Ignore{{Kind: "Deployment", Path: "spec.replicas"}}
	changed, err = s.SetDeployment(t.Context(), changed, d.Version)
	must(t, err)
	wantEqual(t, changed.Version, d.Version+1)
	found, err := s.FindDeployment(t.Context(), orgA, d.ID)
	must(t, err)
	wantEqual(t, found, changed)
	wantEqual(t, found.Generation, d.Generation)

	_, err = s.SetDeployment(t.Context(), d, d.Version) // made from what was before
	wantProblem(t, err, "deployment-changed", 409)
	_, _, err = s.AdmitRun(t.Context(), changed, newRun("gone", run.Remove), changed.Version, true)
	must(t, err)
	_, err = s.SetDeployment(t.Context(), changed, changed.Version+1)
	wantProblem(t, err, "deployment-deleting", 409)
}
