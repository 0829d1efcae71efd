package cli_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

func (in *installation) deployment(release string) *openapi.Deployment {
	i := slices.IndexFunc(in.deployments, func(d openapi.Deployment) bool { return d.ReleaseName == release })
	if i < 0 {
		return nil
	}
	return &in.deployments[i]
}

// start makes a run over the targets of d.
func (in *installation) start(kind openapi.RunType, d *openapi.Deployment) string {
	run := openapi.RunDetails{
		ID: fmt.Sprintf("r-%d", len(in.runs)+1), Type: kind, Status: openapi.RunStatusPending, Actor: "admin", Trigger: openapi.RunTriggerAPI, CreatedAt: epoch,
		Deployment: openapi.RunDeployment{ID: d.ID, ReleaseName: d.ReleaseName, Generation: d.Generation},
	}
	for _, t := range d.TargetClusters {
		run.Targets = append(run.Targets, openapi.RunTarget{ClusterID: t.ClusterID, ClusterName: t.ClusterName, Wave: waveOf(d.Rollout, t.ClusterName), Status: openapi.RunTargetStatusWaiting})
	}
	run.Counts = openapi.RunCounts{Total: len(run.Targets), Waiting: len(run.Targets)}
	d.LastRun = run.ID
	in.runs = append(in.runs, run)
	return run.ID
}

func (in *installation) accept(w http.ResponseWriter, kind openapi.RunType, d *openapi.Deployment) {
	id := in.start(kind, d)
	accepted := openapi.DeploymentAccepted{ReleaseName: d.ReleaseName, ID: d.ID, Generation: d.Generation, Run: id}
	for _, t := range d.TargetClusters {
		accepted.TargetClusters = append(accepted.TargetClusters, openapi.AcceptedTarget{ClusterID: t.ClusterID, ClusterName: t.ClusterName, Cloud: t.Cloud})
	}
	w.Header().Set("Location", "/api/v1/orgs/default/runs/"+id)
	openapi.Write(w, http.StatusAccepted, accepted)
}

func (in *installation) CreateDeployment(w http.ResponseWriter, r *http.Request, _, group string, _ openapi.CreateDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.DeploymentRequest](in, w, r)
	if !ok {
		return
	}
	i := in.group(group)
	if i < 0 {
		missing(w, r, "group", group)
		return
	}
	for name := range request.ValueOverrides {
		if in.find(name) == nil {
			openapi.WriteProblem(w, r, problem.Invalid("override-unknown", "no member of the group is named %q", name).At("valueOverrides."+name).
				Try("name one of the group's members"))
			return
		}
	}
	d := openapi.Deployment{
		ReleaseName: request.ReleaseName, ID: "d-1", Chart: request.Name, ChartName: "web", ChartVersion: "0.1.0", Namespace: "default", Generation: 1, NewestGeneration: 1,
		Mode: openapi.ModeDetect, TimeoutSeconds: 600, CreatedAt: epoch, UpdatedAt: epoch, Values: request.Values, ValueOverrides: request.ValueOverrides, SecretPaths: request.SecretPaths,
	}
	d.Tests, d.Rollout = request.Tests, request.Rollout
	if d.Remediation = request.Remediation; request.Atomic != nil {
		d.Atomic = *request.Atomic
	}
	if request.DependsOn != nil {
		d.DependsOn = *request.DependsOn
	}
	if request.HealthChecks != nil {
		d.HealthChecks = *request.HealthChecks
	}
	for _, m := range in.groups[i].Members {
		d.TargetClusters = append(d.TargetClusters, openapi.TargetCluster{
			ClusterID: m.ID, ClusterName: m.Name, Cloud: m.Cloud, Distribution: m.Distribution,
			Status: openapi.TargetStatusUNKNOWN, Health: openapi.HealthUNKNOWN, Stale: true, CheckError: blind[m.Cloud], HeldBack: held[m.Cloud],
		})
	}
	if request.DryRun {
		in.planOf(w, d, 0)
		return
	}
	in.deployments = append(in.deployments, d)
	in.accept(w, openapi.RunTypeDeploy, in.deployment(d.ReleaseName))
}

func (in *installation) UpdateDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.UpdateDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.DeploymentRequest](in, w, r)
	if !ok {
		return
	}
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		if request.DryRun {
			in.planOf(w, *d, 1)
			return
		}
		if request.Rollout != nil {
			d.Rollout = request.Rollout
		}
		d.NewestGeneration++
		d.Generation = d.NewestGeneration
		in.accept(w, openapi.RunTypeDeploy, d)
	})
}

func (in *installation) withDeployment(w http.ResponseWriter, r *http.Request, release string, then func(*openapi.Deployment)) {
	if d := in.deployment(release); d != nil {
		then(d)
		return
	}
	missing(w, r, "deployment", release)
}

func (in *installation) ListDeployments(w http.ResponseWriter, _ *http.Request, _, _ string, params openapi.ListDeploymentsParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var page openapi.DeploymentList
	for _, d := range in.deployments {
		page.Items = append(page.Items, openapi.DeploymentSummary{
			ReleaseName: d.ReleaseName, ID: d.ID, ChartName: d.ChartName, ChartVersion: d.ChartVersion, Namespace: d.Namespace,
			Generation: d.Generation, NewestGeneration: d.NewestGeneration, Mode: d.Mode, LastRun: d.LastRun, UpdatedAt: d.UpdatedAt,
			Health: healthOf(d.TargetClusters, params.Health),
		})
	}
	openapi.Write(w, http.StatusOK, page)
}

func (in *installation) GetDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.GetDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) { openapi.Write(w, http.StatusOK, *d) })
}

func (in *installation) DeleteDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, params openapi.DeleteDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		in.accept(w, openapi.RunTypeRemove, d)
		if params.Force {
			in.deployments = nil
		}
	})
}

func (in *installation) CheckDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.CheckDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) { in.accept(w, openapi.RunTypeCheck, d) })
}

func (in *installation) SyncDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.SyncDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) { in.accept(w, openapi.RunTypeSync, d) })
}

func (in *installation) ListRuns(w http.ResponseWriter, _ *http.Request, _ string, params openapi.ListRunsParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var page openapi.RunList
	for _, r := range slices.Backward(in.runs) {
		if params.Type == "" || params.Type == r.Type {
			page.Items = append(page.Items, summary(r))
		}
	}
	openapi.Write(w, http.StatusOK, page)
}

func summary(r openapi.RunDetails) openapi.Run {
	return openapi.Run{
		ID: r.ID, Type: r.Type, Status: r.Status, Actor: r.Actor, Trigger: r.Trigger, Deployment: r.Deployment,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, Counts: r.Counts, Paused: r.Paused, Reverting: r.Reverting,
	}
}

func (in *installation) CancelRun(w http.ResponseWriter, r *http.Request, _, id string, params openapi.CancelRunParams) {
	in.turn(w, r, id, func(run *openapi.RunDetails) { run.Reverting = params.RollBack })
}

func (in *installation) PauseRun(w http.ResponseWriter, r *http.Request, _, id string) {
	in.turn(w, r, id, func(run *openapi.RunDetails) { run.Paused = true })
}

func (in *installation) ResumeRun(w http.ResponseWriter, r *http.Request, _, id string) {
	in.turn(w, r, id, func(run *openapi.RunDetails) { run.Paused = false })
}

func (in *installation) turn(w http.ResponseWriter, r *http.Request, id string, change func(*openapi.RunDetails)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.runs, func(run openapi.RunDetails) bool { return run.ID == id })
	if i < 0 {
		missing(w, r, "run", id)
		return
	}
	change(&in.runs[i])
	openapi.Write(w, http.StatusAccepted, summary(in.runs[i]))
}

// GetRun moves the run with every second look; the look between answers 304, and the very second is a 503.
func (in *installation) GetRun(w http.ResponseWriter, r *http.Request, _, id string, params openapi.GetRunParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.runs, func(run openapi.RunDetails) bool { return run.ID == id })
	if i < 0 {
		missing(w, r, "run", id)
		return
	}
	look := in.looks[id]
	in.looks[id]++
	if look == 1 {
		openapi.WriteProblem(w, r, problem.With(http.StatusServiceUnavailable, "unavailable", "not now").Try("try again"))
		return
	}
	stage := look / 2
	tag := strconv.Quote(strconv.Itoa(stage))
	if params.IfNoneMatch == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	in.runs[i] = in.at(in.runs[i], stage)
	w.Header().Set("ETag", tag)
	openapi.Write(w, http.StatusOK, in.runs[i])
}

// at is a run in one of its stages: pending, deploying, ended.
func (in *installation) at(run openapi.RunDetails, stage int) openapi.RunDetails {
	if stage == 0 {
		return run
	}
	run.Status, run.StartedAt, run.Counts = openapi.RunStatusRunning, epoch.Add(time.Second), openapi.RunCounts{Total: len(run.Targets)}
	for i := range run.Targets {
		target := &run.Targets[i]
		target.StartedAt, target.Action = epoch.Add(2*time.Second), openapi.ActionInstall
		switch cloud := in.find(target.ClusterName).Cloud; {
		case stage == 1:
			target.Status = openapi.RunTargetStatusDeploying
			run.Counts.Running++
		case cloud == "broken", cloud == "unjudged":
			if cloud == "unjudged" {
				target.Remedy = &openapi.Remedy{Status: openapi.RemedyStatusFailed, Code: "function-died", Cause: "signal: killed"}
			}
			target.Status, target.Code, target.Cause, target.LeftBehind = openapi.RunTargetStatusFailed, "not-ready", "0 of 2 replicas\nare ready", true
			target.LearnedBy = openapi.LearnedByRelay
			run.Counts.Failed++
		default:
			target.Status, target.Revision, target.LearnedBy = openapi.RunTargetStatusSucceeded, 1, openapi.LearnedByLook
			run.Counts.Succeeded++
		}
		if stage > 1 {
			target.EndedAt = epoch.Add(14 * time.Second)
		}
	}
	if stage > 1 {
		in.end(&run)
	}
	return run
}

func (in *installation) end(run *openapi.RunDetails) {
	run.Status, run.EndedAt = openapi.RunStatusSucceeded, epoch.Add(15*time.Second)
	if run.Counts.Failed > 0 {
		run.Status = openapi.RunStatusPartial
	}
	run.Steps = []openapi.Step{{State: "Resolve", Attempt: 1, StartedAt: run.StartedAt, EndedAt: run.StartedAt, Status: openapi.StepStatusSucceeded}}
	d := in.deployment(run.Deployment.ReleaseName)
	if d == nil {
		return
	}
	for i, target := range run.Targets {
		seen := &d.TargetClusters[i]
		seen.ObservedAt = time.Now().Add(time.Hour) // not yet: always "0s ago"
		seen.Observed = openapi.ObservedState{Revision: 1, ChartVersion: "0.1.0", Status: "deployed", At: seen.ObservedAt}
		seen.Status, seen.Health, seen.Stale = openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY, false
		if target.Status == openapi.RunTargetStatusFailed {
			seen.Status, seen.Health, seen.Stale = openapi.TargetStatusSTALE, openapi.HealthUNHEALTHY, true
			seen.Differs = []string{"values.replicaCount"}
			seen.Error = openapi.TargetError{Code: target.Code, Cause: target.Cause}
		}
	}
}
