package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
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
	if err := in.judges(ctx); err != nil {
		return deployment.Generation{}, err
	}
	g, err := in.requirements(was)
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

// judges refuses a gate between waves that nobody could answer.
func (in intake) judges(ctx context.Context) error {
	if in.body.Rollout == nil {
		return nil
	}
	for i, w := range in.body.Rollout.Waves {
		if w.Gate == nil || w.Gate.Receiver == "" {
			continue
		}
		who, err := in.store.FindReceiver(ctx, in.org, w.Gate.Receiver)
		if err != nil && !problem.Is(err, "receiver-not-found") {
			return fmt.Errorf("finding receiver %s: %w", w.Gate.Receiver, err)
		}
		if err != nil || who.Kind != receiver.Webhook {
			return problem.Invalid("receiver-unknown", "there is no receiver of the kind webhook named %q", w.Gate.Receiver).
				At(fmt.Sprintf("rollout.waves[%d].gate.receiver", i)).Try("create it first: swell receiver create")
		}
	}
	return nil
}
