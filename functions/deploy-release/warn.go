package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/excerpt"
)

const maxWarning = 2000 // bytes of what a target is warned of

// warn says on the target what the verb left on the cluster: Helm counts an object that it was not let delete as no failure, and names it once. The
// next verb would not try again.
func (v verb) warn(ctx context.Context, warnings []string) error {
	if len(warnings) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	t, err := v.store.FindTarget(ctx, v.entry.Key.Org, v.run.ID, v.entry.ClusterID)
	if err == nil {
		t.LeftBehind, t.Warning = true, excerpt.Of(strings.Join(warnings, "; "), maxWarning)
		err = v.store.UpdateTarget(ctx, v.entry.Key.Org, v.run.ID, t)
	}
	if err != nil {
		return fmt.Errorf("recording what was left on cluster %s: %w", v.entry.ClusterName, err)
	}
	return nil
}
