package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// ListDeployments answers the deployments of a group, without values and targets.
func (h handler) ListDeployments(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, params openapi.ListDeploymentsParams) {
	g, err := h.findGroup(r.Context(), org, idOrName, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	filter := dynamo.IntentFilter{Chart: params.Chart, Namespace: params.Namespace}
	page := dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix}
	intents, next, err := h.store.ListIntents(r.Context(), org, g.ID, filter, page)
	if err != nil {
		h.fail(w, r, fmt.Errorf("listing the deployments of group %s: %w", g.Name, err))
		return
	}
	list := openapi.DeploymentList{NextCursor: next}
	for _, i := range intents { // one whose generation is lost is answered without its chart
		list.Items = append(list.Items, openapi.SummaryOf(i.Deployment, i.Generation))
	}
	if params.Health {
		if err := h.addHealth(r.Context(), g, intents, list.Items); err != nil {
			h.fail(w, r, fmt.Errorf("reading the health of the deployments of group %s: %w", g.Name, err))
			return
		}
	}
	openapi.Write(w, http.StatusOK, list)
}

// deployments are all of a group's.
func (h handler) deployments(ctx context.Context, g group.Group) ([]deployment.Deployment, error) {
	all, _, err := h.store.ListDeployments(ctx, g.Org, g.ID, dynamo.Page{})
	if err != nil {
		return nil, fmt.Errorf("listing the deployments of group %s: %w", g.Name, err)
	}
	return all, nil
}

// GetDeployment answers a deployment with its values and with every target, as last observed.
func (h handler) GetDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.GetDeploymentParams) {
	g, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc, err := h.describe(r.Context(), g, d)
	if err != nil {
		h.fail(w, r, fmt.Errorf("describing deployment %s: %w", d.ReleaseName, err))
		return
	}
	openapi.WriteVersion(w, http.StatusOK, d.Version, doc)
}

func (h handler) describe(ctx context.Context, g group.Group, d deployment.Deployment) (openapi.Deployment, error) {
	var (
		gen      deployment.Generation
		values   deployment.Values
		secret   mask.Paths
		releases []release.Release
		last     []run.Target
	)
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.Go(func() (err error) {
		if gen, err = h.store.FindGeneration(taskCtx, d.Org, d.ID, d.Generation); err != nil {
			return err
		}
		if secret, err = h.secret(taskCtx, d, gen); err != nil {
			return err
		}
		return h.values.GetValues(taskCtx, d.Org, gen.ValuesRef, &values)
	})
	tasks.Go(func() (err error) {
		releases, err = h.store.ListReleasesOfOwner(taskCtx, d.Org, release.OwnedByDeployment(d.ID))
		return err
	})
	tasks.Go(func() (err error) {
		last, err = h.store.ListTargets(taskCtx, d.Org, d.LastRun)
		return err
	})
	if err := tasks.Wait(); err != nil {
		return openapi.Deployment{}, err
	}
	clusters, err := h.targetClusters(ctx, g, releases)
	if err != nil {
		return openapi.Deployment{}, err
	}
	targets := openapi.TargetsOf(d, clusters, releases, last)
	releaseOn := byCluster(releases)
	for i, t := range targets {
		targets[i].HeldBack = openapi.HeldBackOf(d, releaseOn[t.ClusterID], g.Reconcile, h.now())
	}
	return openapi.DeploymentOf(d, gen, values, secret, targets), nil
}

// targetClusters are the group's members, and ex-members that still hold a release.
func (h handler) targetClusters(ctx context.Context, g group.Group, releases []release.Release) ([]cluster.Cluster, error) {
	ids := slices.Clone(g.Members)
	for _, rel := range releases {
		ids = append(ids, rel.ClusterID)
	}
	slices.Sort(ids)
	return h.clusters(ctx, g.Org, slices.Compact(ids))
}

// SyncDeployment brings every target to the current generation again, and uninstalls from clusters that are no longer members.
func (h handler) SyncDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.SyncDeploymentParams) {
	h.admit(w, r, org, idOrName, params.Field, name, run.Sync, params.IfMatch, params.ConfirmRemovals)
}

// CheckDeployment looks at every target now, and changes nothing.
func (h handler) CheckDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.CheckDeploymentParams) {
	h.admit(w, r, org, idOrName, params.Field, name, run.Check, "", false)
}

func (h handler) admit(w http.ResponseWriter, r *http.Request, org, idOrName string, field openapi.FieldQuery, name string, typ run.Type, ifMatch string, confirmed bool) {
	g, d, err := h.findDeployment(r.Context(), org, idOrName, field, name)
	if err == nil {
		err = openapi.CheckIfMatch(ifMatch, d.Version)
	}
	if err == nil && typ == run.Sync {
		err = h.idle(r.Context(), d)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	admitted := h.newRun(r.Context(), typ, d)
	admitted.ConfirmRemovals = confirmed
	d, admitted, err = h.store.AdmitRun(r.Context(), d, admitted, d.Version, false)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.start(r.Context(), admitted)
	h.accepted(w, r, g, d, admitted)
}

// idle refuses a sync while a run that changes the targets is under way: it would only repeat it.
func (h handler) idle(ctx context.Context, d deployment.Deployment) error {
	last, err := h.store.FindRun(ctx, d.Org, d.LastRun)
	if err != nil {
		return fmt.Errorf("finding the last run of deployment %s: %w", d.ReleaseName, err)
	}
	if !last.Status.Done() && last.Type != run.Check {
		return problem.Conflict("run-active", "run %s of this deployment is under way", last.ID).Try("wait for it, or cancel it")
	}
	return nil
}

// DeleteDeployment starts the removal of a deployment from all its targets. Without force it stays on record until every target is clean.
func (h handler) DeleteDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.DeleteDeploymentParams) {
	g, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, d.Version)
	}
	if err == nil && !params.Force {
		err = h.neededByNone(r.Context(), d)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	removal, err := h.remove(r.Context(), d, params.Force)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.accepted(w, r, g, d, removal)
}

func (h handler) remove(ctx context.Context, d deployment.Deployment, force bool) (run.Run, error) {
	removal := h.newRun(ctx, run.Remove, d)
	removal.Force = force
	_, removal, err := h.store.AdmitRun(ctx, d, removal, d.Version, true)
	if err != nil {
		return removal, fmt.Errorf("removing deployment %s: %w", d.ReleaseName, err)
	}
	h.start(ctx, removal)
	return removal, nil
}

// accepted answers 202 with where to watch the run.
func (h handler) accepted(w http.ResponseWriter, r *http.Request, g group.Group, d deployment.Deployment, admitted run.Run) {
	clusters, err := h.clusters(r.Context(), d.Org, g.Members)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", openapi.RunLocation(admitted))
	openapi.Write(w, http.StatusAccepted, openapi.AcceptedOf(d, admitted, clusters))
}
