package openapi

import (
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func rulesOf(ignore []deployment.Ignore) []DriftIgnoreRule {
	var rules []DriftIgnoreRule
	for _, i := range ignore {
		rules = append(rules, DriftIgnoreRule{Kind: i.Kind, Namespace: i.Namespace, Name: i.Name, Path: i.Path})
	}
	return rules
}

// SettingsOf are the settings that a request changes.
func SettingsOf(body DeploymentSettings) deployment.Settings {
	s := deployment.Settings{Mode: deployment.Mode(body.Mode), InstallOnJoin: body.InstallOnJoin, RemovalLimit: body.RemovalLimitPercent}
	if body.DriftIgnore != nil {
		ignore := ignoreOf(*body.DriftIgnore)
		s.Ignore = &ignore
	}
	return s
}

func ignoreOf(rules []DriftIgnoreRule) []deployment.Ignore {
	var ignore []deployment.Ignore
	for _, r := range rules {
		ignore = append(ignore, deployment.Ignore{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Path: r.Path})
	}
	return ignore
}

// TargetDriftOf describes the drift of one target.
func TargetDriftOf(d deployment.Deployment, c cluster.Cluster, rel release.Release, findings []drift.Finding) TargetDrift {
	target := targetOf(d, c, rel, run.Target{})
	doc := TargetDrift{ClusterID: c.ID, ClusterName: c.Name, Status: target.Status, Objects: target.Drift.Objects, Fields: target.Drift.Fields,
		Since: target.Drift.Since, At: target.Drift.At, CheckError: target.CheckError}
	for _, f := range findings {
		doc.Findings = append(doc.Findings, DriftFinding{
			Kind: f.Kind, Namespace: f.Namespace, Name: f.Name, Op: DriftOp(f.Op), Path: f.Path, Want: f.Want, Live: f.Live, Manager: f.Manager,
			Detected: string(f.Detected), At: f.At,
		})
	}
	return doc
}
