package cli_test

import (
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// GetDrift has the same difference on every target until it is ignored or adopted, and on the first one a missing object too.
func (in *installation) GetDrift(w http.ResponseWriter, r *http.Request, _, _, release string, params openapi.GetDriftParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		report := openapi.DriftReport{}
		for i, t := range d.TargetClusters {
			if params.Cluster != "" && params.Cluster != t.ClusterName {
				continue
			}
			drift := openapi.TargetDrift{ClusterID: t.ClusterID, ClusterName: t.ClusterName, Status: openapi.TargetStatusDRIFTED, Since: epoch, At: epoch,
				CheckError: t.CheckError, HeldBack: t.HeldBack}
			if len(d.DriftIgnore) == 0 && t.CheckError.Code == "" {
				drift.Findings = append(drift.Findings, openapi.DriftFinding{Kind: "Deployment", Namespace: "default", Name: "web", Op: openapi.DriftOpChanged,
					Path: "spec.replicas", Want: 2, Live: 5, Manager: "kubectl-scale", Detected: "manifest"})
			}
			if i == 0 && t.CheckError.Code == "" {
				drift.Findings = append(drift.Findings, openapi.DriftFinding{Kind: "ConfigMap", Namespace: "default", Name: "web", Op: openapi.DriftOpMissing, Detected: "manifest"},
					openapi.DriftFinding{Kind: "ConfigMap", Namespace: "default", Name: "long", Op: openapi.DriftOpChanged, Path: "data.a",
						Want: strings.Repeat("x", 100), Live: "x", Manager: "kubectl-edit", Detected: "manifest"})
			}
			report.Targets = append(report.Targets, drift)
		}
		openapi.Write(w, http.StatusOK, report)
	})
}

func (in *installation) SetDeployment(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.SetDeploymentParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	settings, ok := body[openapi.DeploymentSettings](in, w, r)
	if !ok {
		return
	}
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		if settings.Mode != "" {
			d.Mode = settings.Mode
		}
		if settings.InstallOnJoin != nil {
			d.InstallOnJoin = *settings.InstallOnJoin
		}
		if settings.RemovalLimitPercent != nil {
			d.RemovalLimitPercent = *settings.RemovalLimitPercent
		}
		if settings.DriftIgnore != nil {
			d.DriftIgnore = *settings.DriftIgnore
		}
		openapi.Write(w, http.StatusOK, openapi.DeploymentSummary{ReleaseName: d.ReleaseName, Mode: d.Mode, InstallOnJoin: d.InstallOnJoin,
			RemovalLimitPercent: d.RemovalLimitPercent, DriftIgnore: d.DriftIgnore})
	})
}

func (in *installation) AdoptDrift(w http.ResponseWriter, r *http.Request, _, _, release string, _ openapi.AdoptDriftParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.AdoptRequest](in, w, r)
	if !ok {
		return
	}
	if request.Path != "spec.replicas" {
		openapi.WriteProblem(w, r, problem.NotFound("drift-not-found", "no such difference was seen").Try("list the drift"))
		return
	}
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		answer := openapi.Adoption{ClusterName: request.Cluster, ValuePath: "replicaCount", Value: 5}
		if request.DryRun {
			openapi.Write(w, http.StatusOK, answer)
			return
		}
		d.Generation++
		answer.Generation, answer.Run = d.Generation, in.start(openapi.RunTypeDeploy, d)
		openapi.Write(w, http.StatusAccepted, answer)
	})
}
