package openapi

import (
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
)

// RemediationIn is the policy of a request.
func RemediationIn(r Remediation) deployment.Remediation {
	return deployment.Remediation{Strategy: deployment.Strategy(r.Strategy), Retries: r.Retries, RetryOnFailure: r.RetryOnFailure, AcrossHandMade: r.AcrossHandMade}
}

func remediationOf(r deployment.Remediation) *Remediation {
	if r = r.Named(); r == (deployment.Remediation{Strategy: deployment.Leave}) {
		return nil
	}
	return &Remediation{Strategy: RemediationStrategy(r.Strategy), Retries: r.Retries, RetryOnFailure: r.RetryOnFailure, AcrossHandMade: r.AcrossHandMade}
}

func remedyOf(r *run.Remedy) *Remedy {
	if r == nil {
		return nil
	}
	return &Remedy{
		Action: RemedyAction(r.Action), Status: RemedyStatus(r.Status), Revision: r.Revision, Tries: r.Tries, Reverts: r.Reverts, Code: r.Code, Cause: r.Cause,
	}
}
