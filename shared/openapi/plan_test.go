package openapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestPlanOf(t *testing.T) {
	now := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	p := deployment.Plan{Hash: "h", RunID: "r", CreatedAt: now, CreatedBy: "ann", ExpiresAt: now.Add(time.Hour), Draft: deployment.Draft{ExpectedVersion: 7,
		Deployment: deployment.Deployment{ID: "d", GroupID: "g", ReleaseName: "web", Generation: 3}, Generation: deployment.Generation{Number: 3}}}
	targets := []run.Target{
		{ClusterID: "a", ClusterName: "two", Status: run.TargetSucceeded, Action: "upgrade", Diff: &run.Diff{Created: 1, Changed: 2, Destructive: 1, Reproducible: true}},
		{ClusterID: "b", ClusterName: "three", Status: run.TargetFailed, Code: "cluster-unreachable", Cause: "no answer"},
		{ClusterID: "c", ClusterName: "one", Status: run.TargetSucceeded, Action: "install", Diff: &run.Diff{Created: 4, Unchanged: 1}},
	}
	doc := openapi.PlanOf(p, run.Run{ID: "r", Status: run.Partial}, targets, []release.PlanEntry{{ClusterID: "a", SeenRevision: 5}}, now)
	if d := cmp.Diff(openapi.PlanCounts{Created: 5, Changed: 2, Unchanged: 1, Destructive: 1}, doc.Counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if doc.Reproducible || doc.Expired || doc.Status != openapi.RunStatusPartial || doc.Deployment.Generation != 3 || doc.ExpectedVersion != 7 {
		t.Errorf("plan %+v", doc)
	}
	var got []string
	for _, target := range doc.Targets {
		got = append(got, target.ClusterName)
	}
	if d := cmp.Diff([]string{"one", "three", "two"}, got); d != "" || doc.Targets[2].Revision != 5 || doc.Targets[1].Code != "cluster-unreachable" || !doc.Targets[1].Reproducible {
		t.Errorf("targets %+v\n%s", doc.Targets, d)
	}
	if late := openapi.PlanOf(p, run.Run{}, nil, nil, p.ExpiresAt); !late.Expired || !late.Reproducible {
		t.Errorf("late %+v", late)
	}
}

// A run says which plan it made or carries out.
func TestARunNamesItsPlan(t *testing.T) {
	doc := openapi.RunDetailsOf(run.Run{PlanHash: "h", Apply: "h"}, nil, nil)
	if doc.PlanHash != "h" || !doc.AppliesPlan || openapi.RunOf(run.Run{PlanHash: "h"}, nil).AppliesPlan {
		t.Errorf("run %+v", doc)
	}
}

func TestPlannedObjectOf(t *testing.T) {
	got := openapi.PlannedObjectOf(diff.Object{Kind: "Deployment", Name: "web", Action: diff.Update, Changes: []diff.Change{
		{Path: diff.Path{{Field: "spec"}, {Field: "replicas"}}, Op: diff.Changed, Before: 1, After: 2}}})
	want := openapi.PlannedObject{Kind: "Deployment", Name: "web", Action: openapi.ObjectActionUpdate,
		Changes: []openapi.PlannedChange{{Path: "spec.replicas", Op: openapi.ChangeOpChanged, Before: 1, After: 2}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
