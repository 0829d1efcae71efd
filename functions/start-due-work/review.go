package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// reviewStore is what a review needs.
type reviewStore interface {
	ClaimDueGroups(ctx context.Context, now time.Time, limit int) ([]group.Group, error)
	FindGroup(ctx context.Context, org, id string) (group.Group, error)
	Reviewed(ctx context.Context, org, id string, claimed, next time.Time) error
	FindClusters(ctx context.Context, org string, ids []string) (map[string]cluster.Cluster, error)
	CheckSooner(ctx context.Context, org, id string, at time.Time) error
	ListDeployments(ctx context.Context, org, groupID string, page dynamo.Page) (deployments []deployment.Deployment, next string, err error)
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	AdmitRun(ctx context.Context, d deployment.Deployment, r run.Run, expectedVersion int64, deleting bool) (deployment.Deployment, run.Run, error)
}

// reviews looks at the groups whose clusters may have changed: those somebody changed a while ago, and every group now and then.
func (h handler) reviews(ctx context.Context) error {
	now := h.now()
	due, err := h.store.ClaimDueGroups(ctx, now, maxGroups)
	if err != nil {
		return fmt.Errorf("claiming due groups: %w", err)
	}
	var errs []error
	for _, g := range due {
		settled, err := h.review(ctx, g)
		if problem.Is(err, "group-not-found") { // deleted since it was claimed
			continue
		}
		if err == nil && settled {
			err = h.store.Reviewed(ctx, g.Org, g.ID, now, now.Add(group.ReviewEvery))
		}
		if err != nil { // the claim runs out, and it is reviewed again
			errs = append(errs, fmt.Errorf("reviewing group %s: %w", g.Name, err))
		}
	}
	return errors.Join(errs...)
}

// review starts what reconcile owes the group's deployments: removal from clusters that left, installation on those that joined. settled: nothing is
// owed and nothing under way.
func (h handler) review(ctx context.Context, g group.Group) (settled bool, err error) {
	if g, err = h.store.FindGroup(ctx, g.Org, g.ID); err != nil {
		return false, err
	}
	if err := h.hasten(ctx, g); err != nil {
		return false, err
	}
	deployments, _, err := h.store.ListDeployments(ctx, g.Org, g.ID, dynamo.Page{})
	if err != nil {
		return false, fmt.Errorf("listing its deployments: %w", err)
	}
	settled = true
	var errs []error
	for _, d := range deployments {
		owes, err := h.settle(ctx, g, d)
		if err != nil {
			errs = append(errs, fmt.Errorf("deployment %s: %w", d.ReleaseName, err))
		}
		settled = settled && !owes
	}
	return settled, errors.Join(errs...)
}

// settle starts what is owed one deployment, both kinds one after the other.
func (h handler) settle(ctx context.Context, g group.Group, d deployment.Deployment) (owes bool, err error) {
	owned, err := h.store.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return true, fmt.Errorf("listing its releases: %w", err)
	}
	join, leave := d.Moves(g.Members, release.Clusters(owned))
	if len(join)+len(leave) == 0 {
		return false, nil
	}
	if !g.Reconcile.Open(h.now()) {
		h.log.InfoContext(ctx, "held back by a window", "group", g.Name, "deployment", d.ReleaseName, "join", len(join), "leave", len(leave))
		return true, nil
	}
	last, err := h.store.FindRun(ctx, d.Org, d.LastRun)
	if err != nil && !problem.Is(err, "run-not-found") {
		return true, fmt.Errorf("finding its last run: %w", err)
	}
	guarded := d.GuardRemovals(release.CountRemovals(owned, g.Members))
	switch typ, wait := next(last, len(leave) > 0, len(join) > 0, guarded != nil, h.now()); {
	case wait:
		return true, nil
	case typ == run.Leave:
		return true, h.admit(ctx, d, run.Leave, leave)
	case typ == run.Join:
		return true, h.admit(ctx, d, run.Join, join)
	default: // only a person can confirm the removals, and the last run says so
		h.log.WarnContext(ctx, "held back by the removal guard", "group", g.Name, "deployment", d.ReleaseName, "leave", len(leave))
		return false, nil
	}
}

// next is the run to start, if any. Nothing is started beside another run, or soon after reconcile's own failed or was canceled. Removals that the guard stopped are
// not asked for twice.
func next(last run.Run, leave, join, guarded bool, now time.Time) (typ run.Type, wait bool) {
	stopped := guarded && last.Code == "removal-guard"
	switch {
	case last.ID != "" && !last.Status.Done():
		return "", true
	case last.Code != "removal-guard" && last.HoldsReconcile(now):
		return "", true
	case leave && !stopped:
		return run.Leave, false
	case join:
		return run.Join, false
	}
	return "", false
}

func (h handler) admit(ctx context.Context, d deployment.Deployment, typ run.Type, only []string) error {
	r := run.New(h.newID(), typ, d.Org, "reconcile", "reconcile", h.now()).About(d.ID, d.GroupID, d.ReleaseName, d.Generation)
	r.Only = only
	_, r, err := h.store.AdmitRun(ctx, d, r, d.Version, false)
	if problem.Is(err, "deployment-changed") || problem.Is(err, "deployment-deleting") {
		return nil // somebody was first; the next review decides again
	}
	if err != nil {
		return err
	}
	return h.machines.Start(ctx, r.Type.Machine(), r.ID, r.Ref())
}

// hasten brings looks forward that were planned when the group asked for fewer. A cluster that does not answer keeps its own time.
func (h handler) hasten(ctx context.Context, g group.Group) error {
	members, err := h.store.FindClusters(ctx, g.Org, g.Members)
	if err != nil {
		return fmt.Errorf("finding its members: %w", err)
	}
	for _, c := range members {
		soon := c.NextCheck(g.Reconcile.Interval(), true, h.now())
		if c.Status == cluster.Unknown || !c.NextCheckAt.After(soon.Add(time.Minute)) {
			continue
		}
		if err := h.store.CheckSooner(ctx, c.Org, c.ID, soon); err != nil {
			return fmt.Errorf("making cluster %s due: %w", c.Name, err)
		}
	}
	return nil
}
