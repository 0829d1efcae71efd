package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
)

// dependsOn are the deployments that d waits for: those of the request, or else those it has. The group's others are looked at only
// where the request names some.
func (in intake) dependsOn(ctx context.Context, d deployment.Deployment) (deployment.Deployment, error) {
	if in.body.DependsOn == nil {
		return d, nil
	}
	d.DependsOn = *in.body.DependsOn
	if len(d.DependsOn) == 0 {
		return d, nil
	}
	group, _, err := in.store.ListDeployments(ctx, in.org, d.GroupID, dynamo.Page{})
	if err != nil {
		return d, fmt.Errorf("listing the deployments of group %s: %w", d.GroupID, err)
	}
	return d, d.ValidateDependencies(group)
}

// requirements is a generation that says only what a target must pass; what the request leaves out stays.
func (in intake) requirements(was *deployment.Generation) (g deployment.Generation, err error) {
	if was != nil {
		g.HealthChecks, g.Tests = was.HealthChecks, was.Tests
	}
	if rules := in.body.HealthChecks; rules != nil {
		g.HealthChecks = openapi.HealthChecksIn(*rules)
	}
	if err := deployment.ValidateHealthChecks(g.HealthChecks); err != nil {
		return g, err
	}
	if in.body.Tests == nil {
		return g, nil
	}
	g.Tests, err = deployment.Tests{Enabled: in.body.Tests.Enabled, TimeoutSeconds: in.body.Tests.TimeoutSeconds}.Checked()
	return g, err
}
