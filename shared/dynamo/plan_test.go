//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// A plan is a run and what it asks about; the world does not see it.
func TestAdmitPlanWritesNothingElse(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	g := given(t, s, orgA, "prod", "one")
	a := newAdmission(orgA, g.ID, "web")
	draft := deployment.Draft{Deployment: a.Deployment, Generation: a.Generation}
	r, err := s.AdmitPlan(ctx, draft, newRun("plan-1", run.Plan))
	must(t, err)
	wantEqual(t, []any{r.Status, r.Generation, r.DeploymentID, r.Seq}, []any{run.Pending, 1, a.Deployment.ID, int64(0)})

	_, err = s.FindDeployment(ctx, orgA, a.Deployment.ID)
	wantProblem(t, err, "deployment-not-found", 404)
	_, err = s.FindGeneration(ctx, orgA, a.Deployment.ID, 1)
	wantProblem(t, err, "generation-not-found", 404)
	d, generation, err := s.FindIntent(ctx, orgA, r)
	must(t, err)
	wantEqual(t, d, draft.Deployment)
	wantEqual(t, generation, draft.Generation)
	_, _, err = s.FindIntent(ctx, orgB, r)
	wantProblem(t, err, "plan-not-found", 404)
	found, targets, steps, err := s.ReadRun(ctx, orgA, r.ID)
	must(t, err)
	wantEqual(t, found, r)
	wantEqual(t, len(targets)+len(steps), 0)

	// the name is free, and an update's plan leaves the head as it is
	d, _, err = s.AdmitDeployment(ctx, a)
	must(t, err)
	update := deployment.Draft{Deployment: d, Generation: newGeneration(d, 2), ExpectedVersion: d.Version}
	_, err = s.AdmitPlan(ctx, update, newRun("plan-2", run.Plan))
	must(t, err)
	after, err := s.FindDeployment(ctx, orgA, d.ID)
	must(t, err)
	wantEqual(t, after, d)
	d, generation, err = s.FindIntent(ctx, orgA, run.Run{Type: run.Deploy, DeploymentID: d.ID, Generation: 1})
	must(t, err)
	wantEqual(t, d, after)
	wantEqual(t, generation.Number, 1)

	update.Deployment.ID = "gone"
	_, err = s.AdmitPlan(ctx, update, newRun("plan-3", run.Plan))
	wantProblem(t, err, "deployment-not-found", 404)
	draft.Deployment.GroupID = "gone"
	_, err = s.AdmitPlan(ctx, draft, newRun("plan-4", run.Plan))
	wantProblem(t, err, "group-not-found", 404)
	_, err = s.FindRun(ctx, orgA, "plan-4")
	wantProblem(t, err, "run-not-found", 404)
}

func TestEveryFieldOfAPlanIsKept(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	p := filled[deployment.Plan](t)
	p.Draft.Deployment.Org, p.Draft.Generation.Org, p.ExpiresAt = orgA, orgA, noon.Add(time.Hour).Truncate(time.Second)
	entry := filled[release.PlanEntry](t)
	entry.PlanHash, entry.Key.Org, entry.Key.ClusterID = p.Hash, orgA, entry.ClusterID
	must(t, s.PutShownPlan(ctx, p, []release.PlanEntry{entry}))
	got, err := s.FindPlan(ctx, orgA, p.Hash)
	must(t, err)
	wantEqual(t, got, p)
	entries, err := s.ListPlan(ctx, orgA, p.Hash)
	must(t, err)
	wantEqual(t, entries, []release.PlanEntry{entry})
	_, err = s.FindPlan(ctx, orgB, p.Hash)
	wantProblem(t, err, "plan-not-found", 404)
}

// The same plan that another run makes while this one is being applied does not set an end to what the releases refer to.
func TestAnAppliedPlanIsKept(t *testing.T) {
	client, table := newTable(t)
	s := dynamo.New(client, table, time.Now)
	ctx := t.Context()
	p := filled[deployment.Plan](t)
	p.Draft.Deployment.Org, p.Draft.Generation.Org, p.ExpiresAt = orgA, orgA, noon.Add(time.Hour)
	entry := filled[release.PlanEntry](t)
	entry.PlanHash, entry.Key.Org, entry.Key.ClusterID = p.Hash, orgA, entry.ClusterID
	expires := func() bool {
		filter := "attribute_exists(InputHash) AND attribute_exists(expiresAt)"
		out, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: &table, FilterExpression: &filter})
		must(t, err)
		return out.Count > 0
	}
	must(t, s.PutShownPlan(ctx, p, []release.PlanEntry{entry}))
	wantEqual(t, expires(), true)
	must(t, s.PutPlan(ctx, orgA, p.Hash, []release.PlanEntry{entry}))
	wantEqual(t, expires(), false)
	must(t, s.PutShownPlan(ctx, p, []release.PlanEntry{entry}))
	wantEqual(t, expires(), false)
}

// Of those who apply a plan at the same time one is accepted; the others are told by the head's version.
func TestOneOfTwoAppliesWins(t *testing.T) {
	for name, version := range map[string]int64{"a create": 0, "an update": 1} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			g := given(t, s, orgA, "prod", "one")
			a := newAdmission(orgA, g.ID, "web")
			if version > 0 {
				d, _, err := s.AdmitDeployment(t.Context(), a)
				must(t, err)
				a.Deployment, a.Generation = d, newGeneration(d, 2)
			}
			won, errs := race(6, func(i int) error {
				_, _, err := s.AdmitDeployment(t.Context(), dynamo.Admission{Deployment: a.Deployment, Generation: a.Generation,
					Run: newRun(numbered("run", 6)[i], run.Deploy), ExpectedVersion: version})
				return err
			})
			code := map[int64]string{0: "release-name-taken", 1: "deployment-changed"}[version]
			wantOneWinner(t, won, errs, code)
		})
	}
}
