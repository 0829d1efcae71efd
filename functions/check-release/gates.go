package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/kube"
)

// rules are what the release's generation says of the health of its objects; nil: nothing.
func (l look) rules(ctx context.Context) (kube.Rules, error) {
	if !l.entry.HealthChecks {
		return nil, nil
	}
	g, err := l.store.FindGeneration(ctx, l.ref.Org, l.release.Owner.ID, l.entry.Generation)
	if err != nil {
		return nil, fmt.Errorf("finding the health checks of release %s: %w", l.entry.Key.Name, err)
	}
	return healthcheck.Compile(g.HealthChecks, l.entry.Key.Namespace)
}

// wantsTests: not again where the release was only looked at again, nor of what a run takes back.
func (l look) wantsTests() bool { return l.entry.Tests > 0 && !l.entry.TakesBack && !l.ref.Recheck }
