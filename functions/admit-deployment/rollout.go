package main

import (
	"context"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/rollout"
)

// rollout is how the generation goes to its targets. One that the request gives must fit the members of now; one that is kept is not held against it:
// a wave may have lost its clusters since, and then is empty.
func (in intake) rollout(was *deployment.Generation, members []cluster.Cluster) (rollout.Rollout, error) {
	kept := rollout.Rollout{}
	if was != nil {
		kept = was.Rollout
	}
	waves, err := in.body.RolloutOr(kept)
	if err != nil || in.body.Rollout == nil {
		return waves, err
	}
	return waves, waves.Validate(members)
}

// rules are how a generation is rolled out and judged: what the request says, else what the generation before had. Nothing else of it is set.
func (in intake) rules(ctx context.Context, was *deployment.Generation, members []cluster.Cluster) (deployment.Generation, error) {
	g, err := in.gates(ctx, was)
	if err != nil {
		return g, err
	}
	remedies, err := in.remedies(was)
	if err != nil {
		return g, err
	}
	g.Remediation, g.Atomic = remedies.Remediation, remedies.Atomic
	g.Rollout, err = in.rollout(was, members)
	return g, err
}
