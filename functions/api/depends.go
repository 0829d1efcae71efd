package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/problem"
)

// neededByNone refuses to remove what other deployments of the group depend on: they could not begin on another target.
func (h handler) neededByNone(ctx context.Context, d deployment.Deployment) error {
	group, _, err := h.store.ListDeployments(ctx, d.Org, d.GroupID, dynamo.Page{})
	if err != nil {
		return fmt.Errorf("listing the deployments of group %s: %w", d.GroupID, err)
	}
	if needing := deployment.Dependents(d.ReleaseName, group); len(needing) > 0 {
		return problem.Conflict("deployment-needed", "%s depends on %s", strings.Join(needing, ", "), d.ReleaseName).
			Try("take %s out of their dependsOn first, or remove it with force=true", d.ReleaseName)
	}
	return nil
}
