package dynamo

import (
	"context"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

type draftItem struct {
	head
	Deployment      deploymentItem
	Generation      generationItem
	ExpectedVersion int64
	ExpiresAt       int64 `dynamodbav:"expiresAt"`
}

func toDraftItem(k key, d deployment.Draft, expires time.Time) draftItem {
	return draftItem{head: headOf(k), Deployment: toDeploymentItem(d.Deployment), Generation: toGenerationItem(d.Generation),
		ExpectedVersion: d.ExpectedVersion, ExpiresAt: expires.Unix()}
}

func fromDraftItem(i draftItem) deployment.Draft {
	return deployment.Draft{Deployment: fromDeploymentItem(i.Deployment), Generation: fromGenerationItem(i.Generation), ExpectedVersion: i.ExpectedVersion}
}

// AdmitPlan keeps a run that plans the draft, and the draft with it. Nothing else is written: the deployment stays as it is, or is not there.
func (s *Store) AdmitPlan(ctx context.Context, d deployment.Draft, r run.Run) (run.Run, error) {
	head := d.Deployment
	r = s.pending(r.About(head.ID, head.GroupID, head.ReleaseName, d.Generation.Number))
	t := s.transaction()
	if d.ExpectedVersion > 0 {
		t.check(deploymentKey(head.Org, head.ID), exists())
	} else {
		t.check(groupKey(head.Org, head.GroupID), exists())
	}
	t.put(toRunItem(r), absent())
	t.put(toDraftItem(draftKey(r.Org, r.ID), d, s.now().Add(deployment.PlanKept)), absent())
	err := t.commit(ctx)
	failed, ok := refused(err)
	switch {
	case ok && failed[0] && d.ExpectedVersion > 0:
		return r, deploymentNotFound(head.ReleaseName)
	case ok && failed[0]:
		return r, groupNotFound(head.GroupID)
	}
	return r, wrap(err, "admitting a plan of deployment %s", head.ReleaseName)
}

// FindDraft finds what a plan run was asked about.
func (s *Store) FindDraft(ctx context.Context, org, runID string) (deployment.Draft, error) {
	var item draftItem
	found, err := s.get(ctx, draftKey(org, runID), &item)
	if err == nil && !found {
		err = problem.NotFound("plan-not-found", "run %q has no draft", runID).Try("plan again: a plan is kept for 30 days")
	}
	return fromDraftItem(item), err
}

// FindIntent finds what a run is about: the draft of a plan, else the deployment and the generation that were accepted.
func (s *Store) FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error) {
	if r.Type == run.Plan {
		draft, err := s.FindDraft(ctx, org, r.ID)
		return draft.Deployment, draft.Generation, err
	}
	d, err := s.FindDeployment(ctx, org, r.DeploymentID)
	if err != nil || r.Type == run.Remove || r.Type == run.Leave || r.Type == run.Check { // these go by no generation: a lost one is not in their way
		return d, deployment.Generation{}, err
	}
	g, err := s.FindGeneration(ctx, org, d.ID, r.Generation)
	return d, g, err
}
