package main

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/problem"
)

// remembered is how many generations are looked at for what a version was.
const remembered = 50

// unmoved refuses a version whose archive is another than it was in the newest generation that had it: somebody published other bytes under its
// name. The caller may take them once; from then on they are what the version is.
func (in intake) unmoved(ctx context.Context, ref catalog.Ref, resolved deployment.Chart, was *deployment.Generation) error {
	if was == nil || ref.Digest != "" || in.body.AcceptMovedChart {
		return nil
	}
	generations, _, err := in.store.ListGenerations(ctx, in.org, was.DeploymentID, dynamo.Page{Limit: remembered})
	if err != nil {
		return fmt.Errorf("listing the generations of deployment %s: %w", was.DeploymentID, err)
	}
	for _, g := range generations {
		before, err := catalog.ParseRef(g.Chart.Ref)
		if err != nil || !before.SameChart(ref) || g.Chart.Version != resolved.Version {
			continue
		}
		if g.Chart.Digest == resolved.Digest {
			return nil
		}
		return problem.Conflict("chart-version-moved", "version %s of chart %s has digest %s now; generation %d has it with digest %s",
			resolved.Version, ref, resolved.Digest, g.Number, g.Chart.Digest).At("version").
			Try("find out who published it anew; acceptMovedChart: true takes it as it is now, and leaving name and version out keeps what is deployed")
	}
	return nil
}
