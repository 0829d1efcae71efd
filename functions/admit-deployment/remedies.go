package main

import (
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/openapi"
)

// remedies returns a generation with what the request says a run does about failures; what it leaves out stays as it was.
func (in intake) remedies(was *deployment.Generation) (g deployment.Generation, err error) {
	if was != nil {
		g.Remediation, g.Atomic = was.Remediation, was.Atomic
	}
	if atomic := in.body.Atomic; atomic != nil {
		g.Atomic = *atomic
	}
	if policy := in.body.Remediation; policy != nil {
		g.Remediation, err = openapi.RemediationIn(*policy).Checked()
	}
	return g, err
}
