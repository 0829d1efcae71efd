package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// turnBack moves the desired state of a release that is taken back, once the cluster shows that it may be.
func (v verb) turnBack(ctx context.Context, planHash string, rel release.Release, history []record.Meta) error {
	if !v.entry.TakesBack {
		return nil
	}
	if err := v.mayTakeBack(ctx, rel, history); err != nil {
		return err
	}
	return v.want(ctx, planHash)
}

// mayTakeBack refuses a way back that leads to or across what it must not, as the cluster has it. What a person made by hand and goes with it is
// said on the target.
func (v verb) mayTakeBack(ctx context.Context, rel release.Release, history []record.Meta) error {
	across, refused := v.entry.MayTakeBack(record.Revisions(history), rel.Owner, v.run.ID)
	if refused.Action == release.Refuse {
		return errors.Join(taskerr.Failed(refused.Code, "%s", refused.Reason), v.observe(ctx, rel, history))
	}
	if across == "" || v.target.Remedy == nil {
		return nil
	}
	v.target.Remedy.Cause = "it went across " + across
	if err := v.store.UpdateTarget(ctx, v.entry.Key.Org, v.run.ID, v.target); err != nil {
		return fmt.Errorf("recording what goes with the remedy on cluster %s: %w", v.entry.ClusterName, err)
	}
	return nil
}
