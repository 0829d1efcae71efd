package cli_test

import (
	"net/http"
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// planOf makes the plan of d without keeping d.
func (in *installation) planOf(w http.ResponseWriter, d openapi.Deployment, version int64) {
	in.accept(w, openapi.RunTypePlan, &d)
	r := &in.runs[len(in.runs)-1]
	r.PlanHash = "hash" + strconv.Itoa(len(in.runs))
	in.plan = openapi.Plan{
		PlanHash: r.PlanHash, Run: r.ID, Status: openapi.RunStatusSucceeded, Deployment: r.Deployment, ExpectedVersion: version, ChartName: d.ChartName,
		ChartVersion: d.ChartVersion, Reproducible: true, CreatedAt: epoch, ExpiresAt: epoch.Add(24 * time.Hour),
	}
	for _, t := range d.TargetClusters {
		target := openapi.PlanTarget{ClusterID: t.ClusterID, ClusterName: t.ClusterName, Status: openapi.RunTargetStatusSucceeded, Action: openapi.ActionInstall,
			Reproducible: true, Counts: openapi.PlanCounts{Created: 1, Changed: 1, Deleted: 1, Unchanged: 1, Destructive: 1}}
		if t.Cloud == "broken" {
			target.Status, target.Code, target.Cause, target.Counts = openapi.RunTargetStatusFailed, "cluster-unreachable", "connection\nrefused", openapi.PlanCounts{}
			in.plan.Status = openapi.RunStatusPartial
		}
		if t.Cloud == "google" {
			target.Reproducible, in.plan.Reproducible = false, false
		}
		in.plan.Counts.Created += target.Counts.Created
		in.plan.Counts.Changed += target.Counts.Changed
		in.plan.Targets = append(in.plan.Targets, target)
	}
	in.plan.Counts.Destructive = 1
}

func (in *installation) GetPlan(w http.ResponseWriter, r *http.Request, _, hash string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if hash != in.plan.PlanHash {
		missing(w, r, "plan", hash)
		return
	}
	openapi.Write(w, http.StatusOK, in.plan)
}

// GetPlanTarget has pages of two objects, and the same for every target but one that failed.
func (in *installation) GetPlanTarget(w http.ResponseWriter, r *http.Request, _, hash, cluster string, params openapi.GetPlanTargetParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	objects := []openapi.PlannedObject{
		{Kind: "Deployment", Namespace: "default", Name: "web", Action: openapi.ObjectActionUpdate, Changes: []openapi.PlannedChange{
			{Path: "spec.replicas", Op: openapi.ChangeOpChanged, Before: 1, After: 2},
			{Path: `metadata.annotations["example.com/note"]`, Op: openapi.ChangeOpAdded, After: "a\x1b[2Jb\u0085"},
			{Path: "spec.paused", Op: openapi.ChangeOpRemoved, Before: false},
		}},
		{Kind: "Service", Namespace: "default", Name: "web", Action: openapi.ObjectActionDelete, Destructive: []string{"it is deleted"}},
		{Kind: "ClusterRole", Name: "web", Action: openapi.ObjectActionCreate},
		{Kind: "Job", Namespace: "default", Name: "migrate", Action: openapi.ObjectActionHook, Note: "pre-install"},
	}
	if !params.Changed {
		objects = append(objects, openapi.PlannedObject{Kind: "ConfigMap", Namespace: "default", Name: "same", Action: openapi.ObjectActionUnchanged})
	}
	for _, t := range in.plan.Targets {
		if t.ClusterName != cluster || hash != in.plan.PlanHash {
			continue
		}
		details := openapi.PlanTargetDetails{ClusterID: t.ClusterID, ClusterName: t.ClusterName, Status: t.Status, Action: t.Action, Counts: t.Counts, Reproducible: t.Reproducible}
		if t.Status == openapi.RunTargetStatusSucceeded {
			from, _ := strconv.Atoi(params.Cursor)
			until := min(from+2, len(objects))
			details.Objects = objects[from:until]
			if until < len(objects) {
				details.NextCursor = strconv.Itoa(until)
			}
		}
		openapi.Write(w, http.StatusOK, details)
		return
	}
	missing(w, r, "target", cluster)
}

func (in *installation) ApplyPlan(w http.ResponseWriter, r *http.Request, _, hash string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if hash != in.plan.PlanHash {
		openapi.WriteProblem(w, r, problem.Conflict("plan-stale", "since the plan was made, cluster pke-demo: revision 4, planned on revision 3").Try("plan again, and apply that plan"))
		return
	}
	d := openapi.Deployment{ID: "d-1", ReleaseName: in.plan.Deployment.ReleaseName, Generation: in.plan.Deployment.Generation}
	for _, t := range in.plan.Targets {
		d.TargetClusters = append(d.TargetClusters, openapi.TargetCluster{ClusterID: t.ClusterID, ClusterName: t.ClusterName})
	}
	in.accept(w, openapi.RunTypeDeploy, &d)
}
