package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/kube"
)

// rules are what the release's generation says of the health of its objects; nil: nothing.
func (l *look) rules(ctx context.Context) (kube.Rules, error) {
	rel := l.release
	if rel.Desired == nil || !rel.Desired.HealthChecks {
		return nil, nil
	}
	g, err := l.store.FindGeneration(ctx, rel.Org, rel.Owner.ID, rel.Desired.Generation)
	if err != nil {
		return nil, fmt.Errorf("finding the health checks of release %s: %w", rel.Name, err)
	}
	return healthcheck.Compile(g.HealthChecks, rel.Namespace)
}
