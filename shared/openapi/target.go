package openapi

import (
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/release"
)

func checkErrorOf(e *release.CheckError) CheckError {
	if e == nil {
		return CheckError{}
	}
	return CheckError{Code: e.Code, Cause: e.Cause, Since: e.Since}
}

// HeldBackOf says whether a window holds back what reconcile would do about a release of the deployment.
func HeldBackOf(d deployment.Deployment, rel release.Release, schedule group.Reconcile, now time.Time) HeldBack {
	if !d.Corrects(rel) || !rel.Correction(now).Writes() || schedule.Open(now) {
		return HeldBack{}
	}
	return HeldBack{By: "window", Until: schedule.OpensAt(now)}
}

// HealthCountsOf counts targets by their health.
func HealthCountsOf(targets []TargetCluster) HealthCounts {
	counts := HealthCounts{Targets: len(targets)}
	for _, t := range targets {
		switch t.Health {
		case HealthHEALTHY:
			counts.Healthy++
		case HealthPROGRESSING:
			counts.Progressing++
		case HealthUNHEALTHY:
			counts.Unhealthy++
		default:
			counts.Unknown++
		}
	}
	return counts
}
