package openapi

import (
	"cmp"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// PlanOf describes a plan: r is the run that made it.
func PlanOf(p deployment.Plan, r run.Run, targets []run.Target, entries []release.PlanEntry, now time.Time) Plan {
	d, g := p.Draft.Deployment, p.Draft.Generation
	doc := Plan{
		PlanHash: p.Hash, Run: r.ID, Status: RunStatus(r.Status), Expired: !now.Before(p.ExpiresAt),
		Deployment:      RunDeployment{ID: d.ID, ReleaseName: d.ReleaseName, ClusterGroupID: d.GroupID, Generation: g.Number},
		ExpectedVersion: p.Draft.ExpectedVersion, Chart: g.Chart.Ref, ChartName: g.Chart.Name, ChartVersion: g.Chart.Version, ChartDigest: g.Chart.Digest,
		Reproducible: true, CreatedAt: p.CreatedAt, CreatorName: p.CreatedBy, ExpiresAt: p.ExpiresAt,
	}
	planned := map[string]release.PlanEntry{}
	for _, e := range entries {
		planned[e.ClusterID] = e
	}
	for _, t := range targets {
		target := PlanTargetOf(t, planned[t.ClusterID])
		doc.Targets = append(doc.Targets, target)
		doc.Reproducible = doc.Reproducible && target.Reproducible
		doc.Counts.Created += target.Counts.Created
		doc.Counts.Changed += target.Counts.Changed
		doc.Counts.Deleted += target.Counts.Deleted
		doc.Counts.Unchanged += target.Counts.Unchanged
		doc.Counts.Destructive += target.Counts.Destructive
	}
	slices.SortFunc(doc.Targets, func(a, b PlanTarget) int { return cmp.Compare(a.ClusterName, b.ClusterName) })
	return doc
}

// PlanTargetOf describes what a plan would do on one cluster. One that was not compared says nothing against its render.
func PlanTargetOf(t run.Target, e release.PlanEntry) PlanTarget {
	doc := PlanTarget{
		ClusterID: t.ClusterID, ClusterName: t.ClusterName, Wave: t.Wave, Status: RunTargetStatus(t.Status), Action: Action(t.Action), Revision: e.SeenRevision,
		Code: t.Code, Cause: t.Cause, Reproducible: true,
	}
	if d := t.Diff; d != nil {
		doc.Reproducible = d.Reproducible
		doc.Counts = PlanCounts{Created: d.Created, Changed: d.Changed, Deleted: d.Deleted, Unchanged: d.Unchanged, Destructive: d.Destructive}
	}
	return doc
}

// PlanTargetDetailsOf describes it with a page of its objects.
func PlanTargetDetailsOf(t PlanTarget, objects []PlannedObject, next string) PlanTargetDetails {
	return PlanTargetDetails{
		ClusterID: t.ClusterID, ClusterName: t.ClusterName, Wave: t.Wave, Status: t.Status, Action: t.Action, Revision: t.Revision, Code: t.Code, Cause: t.Cause,
		Reproducible: t.Reproducible, Counts: t.Counts, Objects: objects, NextCursor: next,
	}
}

// PlannedObjectOf describes what would happen to one object.
func PlannedObjectOf(o diff.Object) PlannedObject {
	doc := PlannedObject{
		APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Action: ObjectAction(o.Action), Destructive: o.Destructive, Note: o.Note,
	}
	for _, c := range o.Changes {
		doc.Changes = append(doc.Changes, PlannedChange{Path: c.Path.String(), Op: ChangeOp(c.Op), Before: c.Before, After: c.After})
	}
	return doc
}
