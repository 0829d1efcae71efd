package openapi

import (
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// ClusterOf describes a cluster, as last seen.
func ClusterOf(c cluster.Cluster) Cluster {
	return Cluster{
		ID: c.ID, Name: c.Name, Cloud: c.Cloud, Distribution: c.Distribution, Location: c.Location, Labels: c.Labels,
		UID: c.UID, Version: c.Version, Nodes: c.Nodes, ClusterGroupID: c.GroupID,
		Status: ClusterStatus(c.Status), StatusMessage: c.StatusMessage, StatusSince: c.StatusSince, ObservedAt: c.CheckedAt,
		CreatedAt: c.CreatedAt, CreatorName: c.CreatedBy,
		Relay: relayOf(c), Capacity: capacityOf(c),
	}
}

// SummaryOf describes a deployment without its values and targets.
func SummaryOf(d deployment.Deployment, g deployment.Generation) DeploymentSummary {
	return DeploymentSummary{
		ID: d.ID, ReleaseName: d.ReleaseName, Namespace: d.Namespace, Generation: d.Generation, NewestGeneration: d.Newest, Mode: Mode(d.Mode),
		LastRun: d.LastRun,
		Chart:   g.Chart.Ref, ChartName: g.Chart.Name, ChartVersion: g.Chart.Version, ChartDigest: g.Chart.Digest, Description: g.Chart.Description,
		TimeoutSeconds: g.TimeoutSeconds, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
		InstallOnJoin: d.InstallOnJoin, RemovalLimitPercent: d.RemovalLimit, DriftIgnore: rulesOf(d.Ignore),
		Remediation: remediationOf(g.Remediation), Atomic: g.Atomic, Rollout: rolloutOf(g.Rollout),
		HealthChecks: healthChecksOf(g.HealthChecks), Tests: testsOf(g.Tests), DependsOn: d.DependsOn,
	}
}

// DeploymentOf describes a deployment whole, but for what is secret.
func DeploymentOf(d deployment.Deployment, g deployment.Generation, v deployment.Values, secret mask.Paths, targets []TargetCluster) Deployment {
	s := SummaryOf(d, g)
	return Deployment{
		ID: s.ID, ReleaseName: s.ReleaseName, Namespace: s.Namespace, Generation: s.Generation, NewestGeneration: s.NewestGeneration, Mode: s.Mode, LastRun: s.LastRun,
		Chart: s.Chart, ChartName: s.ChartName, ChartVersion: s.ChartVersion, ChartDigest: s.ChartDigest, Description: s.Description,
		TimeoutSeconds: s.TimeoutSeconds, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		InstallOnJoin: s.InstallOnJoin, RemovalLimitPercent: s.RemovalLimitPercent, DriftIgnore: s.DriftIgnore,
		Remediation: s.Remediation, Atomic: s.Atomic, Rollout: s.Rollout,
		HealthChecks: s.HealthChecks, Tests: s.Tests, DependsOn: s.DependsOn,
		Values: secret.Mask(v.Common), ValueOverrides: OverridesOf(secret.MaskEach(v.Overrides)), SecretPaths: secret.Strings(), TargetClusters: targets,
	}
}

// TargetsOf describes the targets of a deployment: how each cluster's release stood when it was last looked at, and what the last run's
// failure on it was.
func TargetsOf(d deployment.Deployment, clusters []cluster.Cluster, releases []release.Release, last []run.Target) []TargetCluster {
	releaseOn, outcomeOn := map[string]release.Release{}, map[string]run.Target{}
	for _, rel := range releases {
		releaseOn[rel.ClusterID] = rel
	}
	for _, t := range last {
		outcomeOn[t.ClusterID] = t
	}
	targets := make([]TargetCluster, 0, len(clusters))
	for _, c := range clusters {
		targets = append(targets, targetOf(d, c, releaseOn[c.ID], outcomeOn[c.ID]))
	}
	return targets
}

func targetOf(d deployment.Deployment, c cluster.Cluster, rel release.Release, last run.Target) TargetCluster {
	reachable := c.Status != cluster.Unknown
	status, stale := release.StatusOf(rel, reachable, d.Generation)
	doc := TargetCluster{
		ClusterID: c.ID, ClusterName: c.Name, Cloud: c.Cloud, Distribution: c.Distribution,
		Status: TargetStatus(status), Stale: stale, Health: HealthUNKNOWN,
	}
	if rel.Health != "" && reachable {
		doc.Health, doc.HealthMessage = Health(rel.Health), rel.HealthMessage
	}
	if want := rel.Desired; want != nil && !want.Absent {
		doc.Desired = DesiredState{Generation: want.Generation, ChartVersion: want.ChartVersion, InputHash: want.InputHash}
	}
	if saw := rel.Observed; saw != nil {
		doc.ObservedAt = seenAt(saw.At, c)
		if !saw.Absent {
			doc.Observed = ObservedState{Revision: saw.Revision, ChartVersion: saw.ChartVersion, Status: saw.Status, At: doc.ObservedAt}
			doc.Version = saw.ChartVersion
		}
		if stale {
			doc.Differs = release.Differs(rel, d.Generation)
		}
	}
	if reachable {
		doc.CheckError = checkErrorOf(rel.CheckError)
	}
	if d := rel.Drift; rel.DriftedObjects() > 0 {
		doc.Drift = DriftSummary{Objects: d.Objects, Fields: d.Fields, Since: d.Since, At: d.At}
	}
	switch {
	case !reachable:
		doc.Error = TargetError{Code: "cluster-unreachable", Cause: strings.TrimSpace(c.StatusMessage + " (since " + c.StatusSince.Format(time.RFC3339) + ")")}
	case last.Code != "":
		doc.Error = TargetError{Code: last.Code, Cause: last.Cause}
	}
	return doc
}

// seenAt: a look that finds nothing new writes nothing on the release, only when it was, on its cluster.
func seenAt(at time.Time, c cluster.Cluster) time.Time {
	if c.CheckedAt.After(at) {
		return c.CheckedAt
	}
	return at
}

// RunOf describes a run without its targets and steps.
func RunOf(r run.Run, targets []run.Target) Run {
	doc := Run{
		ID: r.ID, Type: RunType(r.Type), Status: RunStatus(r.Status), Actor: r.Actor, Trigger: RunTrigger(r.Trigger), Code: r.Code, Cause: r.Cause,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, Counts: countsOf(targets),
		RedriveOf: r.RedriveOf, Only: r.Only, ConfirmRemovals: r.ConfirmRemovals, Paused: r.Paused, Reverting: r.Phase == run.Reverting,
		PlanHash: r.PlanHash, AppliesPlan: r.Apply != "", Origin: originOf(r.Origin),
	}
	if r.DeploymentID != "" {
		doc.Deployment = RunDeployment{ID: r.DeploymentID, ReleaseName: r.ReleaseName, ClusterGroupID: r.GroupID, Generation: r.Generation}
	}
	return doc
}

// RunDetailsOf describes a run whole.
func RunDetailsOf(r run.Run, targets []run.Target, steps []run.Step) RunDetails {
	s := RunOf(r, targets)
	doc := RunDetails{
		ID: s.ID, Type: s.Type, Status: s.Status, Actor: s.Actor, Trigger: s.Trigger, Code: s.Code, Cause: s.Cause, CreatedAt: s.CreatedAt,
		StartedAt: s.StartedAt, EndedAt: s.EndedAt, Counts: s.Counts, Deployment: s.Deployment, RedriveOf: s.RedriveOf, Only: s.Only, ConfirmRemovals: s.ConfirmRemovals, Paused: s.Paused, Reverting: s.Reverting,
		PlanHash: s.PlanHash, AppliesPlan: s.AppliesPlan, Origin: s.Origin,
	}
	for _, t := range targets {
		doc.Targets = append(doc.Targets, RunTarget{
			ClusterID: t.ClusterID, ClusterName: t.ClusterName, Action: Action(t.Action), Status: RunTargetStatus(t.Status), Code: t.Code, Cause: t.Cause, LearnedBy: LearnedBy(t.LearnedBy),
			Wave: t.Wave, LeftBehind: t.LeftBehind, Warning: t.Warning, Revision: t.Revision, StartedAt: t.StartedAt, EndedAt: t.EndedAt, Remedy: remedyOf(t.Remedy),
		})
	}
	slices.SortStableFunc(steps, func(a, b run.Step) int { return a.StartedAt.Compare(b.StartedAt) })
	for _, s := range steps {
		doc.Steps = append(doc.Steps, Step{
			Target: s.ClusterID, ClusterName: s.ClusterName, State: s.State, Attempt: s.Attempt, Remedy: s.Remedy, Status: StepStatus(s.Status), Code: s.Code,
			Cause: s.Cause, StartedAt: s.StartedAt, EndedAt: s.EndedAt,
		})
	}
	return doc
}

func countsOf(targets []run.Target) RunCounts {
	counts := RunCounts{Total: len(targets)}
	for _, t := range targets {
		switch t.Status {
		case run.TargetWaiting:
			counts.Waiting++
		case run.TargetSucceeded:
			counts.Succeeded++
		case run.TargetFailed:
			counts.Failed++
		case run.TargetCanceled:
			counts.Canceled++
		case run.TargetSuperseded:
			counts.Superseded++
		case run.TargetReverted:
			counts.Reverted++
		case run.TargetUnreachable:
			counts.Unreachable++
		default:
			counts.Running++
		}
	}
	return counts
}

// AcceptedOf describes an accepted intent and the run that carries it out.
func AcceptedOf(d deployment.Deployment, r run.Run, targets []cluster.Cluster) DeploymentAccepted {
	doc := DeploymentAccepted{ID: d.ID, ReleaseName: d.ReleaseName, Generation: d.Generation, Run: r.ID}
	for _, c := range targets {
		doc.TargetClusters = append(doc.TargetClusters, AcceptedTarget{ClusterID: c.ID, ClusterName: c.Name, Cloud: c.Cloud, Distribution: c.Distribution})
	}
	return doc
}

// RunLocation is the path of a run.
func RunLocation(r run.Run) string { return "/api/v1/orgs/" + r.Org + "/runs/" + r.ID }
