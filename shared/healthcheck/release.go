package healthcheck

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
)

// Generations is where a deployment's are kept.
type Generations interface {
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
}

// RulesOf are what the generation that the release should have says of the health of its objects; none: nothing.
func RulesOf(ctx context.Context, all Generations, r release.Release) (Rules, error) {
	if r.Desired == nil || !r.Desired.HealthChecks {
		return nil, nil
	}
	g, err := all.FindGeneration(ctx, r.Org, r.Owner.ID, r.Desired.Generation)
	if err != nil {
		return nil, fmt.Errorf("finding the health checks of release %s: %w", r.Name, err)
	}
	return Compile(g.HealthChecks, r.Namespace)
}
