package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// moves is what a change of members means for one deployment of the group.
type moves struct {
	deployment  deployment.Deployment
	join, leave []string // clusters to install on, and to remove from
	guard       error    // the removals are more than the deployment allows
}

// moves finds them for every deployment, those that an update before this one left behind included.
func (h handler) moves(ctx context.Context, g group.Group) ([]moves, error) {
	deployments, err := h.deployments(ctx, g)
	if err != nil {
		return nil, err
	}
	all := make([]moves, 0, len(deployments))
	for _, d := range deployments {
		owned, err := h.store.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
		if err != nil {
			return nil, fmt.Errorf("listing the releases of deployment %s: %w", d.ReleaseName, err)
		}
		m := moves{deployment: d}
		m.join, m.leave = d.Moves(g.Members, release.Clusters(owned))
		m.guard = d.GuardRemovals(release.CountRemovals(owned, g.Members))
		all = append(all, m)
	}
	return all, nil
}

// guard names every deployment that would lose more of its targets than it allows.
func guard(all []moves) error {
	var details []string
	var first *problem.Problem
	for _, m := range all {
		if p, ok := problem.From(m.guard); ok && !m.deployment.Deleting {
			details = append(details, p.Detail)
			first = p
		}
	}
	if first == nil {
		return nil
	}
	return problem.Conflict(first.Code, "%s", strings.Join(details, "; ")).Try("%s", first.Remedy)
}

// carryOut starts a run for each deployment that has something to remove, and for each that has something to install.
func (h handler) carryOut(ctx context.Context, all []moves, confirmed bool) ([]string, error) {
	runs, errs := []string{}, []error{}
	for _, m := range all {
		d := m.deployment
		for _, step := range []struct {
			typ  run.Type
			only []string
		}{{run.Leave, m.leave}, {run.Join, m.join}} {
			if len(step.only) == 0 {
				continue
			}
			admitted := h.newRun(ctx, step.typ, d)
			admitted.Only, admitted.ConfirmRemovals = step.only, confirmed
			next, admitted, err := h.store.AdmitRun(ctx, d, admitted, d.Version, false)
			if problem.Is(err, "deployment-changed") || problem.Is(err, "deployment-deleting") {
				break // the group is changed: the review that it asked for decides again
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("starting a %s run of deployment %s: %w", step.typ, d.ReleaseName, err))
				break
			}
			d = next
			h.start(ctx, admitted)
			runs = append(runs, admitted.ID)
		}
	}
	return runs, errors.Join(errs...)
}

// relabeled starts what one cluster's new labels mean for the groups that choose by them. Where it left one, that is reconcile's, unless the
// caller confirmed it: what a script does to many is then judged as a whole.
func (h handler) relabeled(ctx context.Context, clusterID string, joined, left []group.Group, confirmed bool) error {
	groups := joined
	if confirmed {
		groups = slices.Concat(joined, left)
	}
	for _, g := range groups {
		g, err := h.store.ResolveMembers(ctx, g)
		if err != nil {
			return err
		}
		all, err := h.moves(ctx, g)
		if err != nil {
			return err
		}
		others := func(id string) bool { return id != clusterID }
		for i, m := range all {
			all[i].join = slices.DeleteFunc(m.join, others)
			all[i].leave = slices.DeleteFunc(m.leave, others)
		}
		if _, err := h.carryOut(ctx, all, confirmed); err != nil {
			return err
		}
	}
	return nil
}
