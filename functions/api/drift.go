package main

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

// readsAtOnce is how many reads a request has under way: of targets' findings, or of runs' targets.
const readsAtOnce = 16

// GetDrift answers in what the live objects of a deployment's targets differ, as last seen.
func (h handler) GetDrift(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.GetDriftParams) {
	g, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	report, err := h.drift(r.Context(), g, d, params.Cluster)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, report)
}

// drift is that of every target, or of the named one.
func (h handler) drift(ctx context.Context, g group.Group, d deployment.Deployment, only string) (openapi.DriftReport, error) {
	var report openapi.DriftReport
	releases, err := h.store.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return report, fmt.Errorf("listing the releases of deployment %s: %w", d.ReleaseName, err)
	}
	clusters, err := h.targetClusters(ctx, g, releases)
	if err != nil {
		return report, err
	}
	if only != "" {
		clusters = slices.DeleteFunc(clusters, func(c cluster.Cluster) bool { return c.Name != only && c.ID != only })
		if len(clusters) == 0 {
			return report, problem.Invalid("cluster-not-found", "no target of the deployment is %q", only).At("cluster").
				Try("name a member of the group, by name or id")
		}
	}
	releaseOn := byCluster(releases)
	found, err := h.findings(ctx, d, clusters, releaseOn)
	if err != nil {
		return report, fmt.Errorf("reading the drift of deployment %s: %w", d.ReleaseName, err)
	}
	for i, c := range clusters {
		target := openapi.TargetDriftOf(d, c, releaseOn[c.ID], found[i])
		target.HeldBack = openapi.HeldBackOf(d, releaseOn[c.ID], g.Reconcile, h.now())
		report.Targets = append(report.Targets, target)
	}
	return report, nil
}

func byCluster(releases []release.Release) map[string]release.Release {
	releaseOn := make(map[string]release.Release, len(releases))
	for _, rel := range releases {
		releaseOn[rel.ClusterID] = rel
	}
	return releaseOn
}

// findings are those of each cluster, with what the deployment calls secret masked.
func (h handler) findings(ctx context.Context, d deployment.Deployment, clusters []cluster.Cluster, releaseOn map[string]release.Release) ([][]drift.Finding, error) {
	found := make([][]drift.Finding, len(clusters))
	if !slices.ContainsFunc(clusters, func(c cluster.Cluster) bool { return releaseOn[c.ID].DriftedObjects() > 0 }) {
		return found, nil
	}
	past, err := h.past(ctx, d, d.Generation)
	if err != nil {
		return nil, err
	}
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for i, c := range clusters {
		rel := releaseOn[c.ID]
		if rel.DriftedObjects() == 0 {
			continue
		}
		tasks.Go(func() error {
			findings, err := h.values.GetFindings(taskCtx, d.Org, rel.Drift.Ref)
			found[i] = mask.Findings(findings, past.secret.Literals(past.values[0].For(c.Name)))
			return err
		})
	}
	return found, tasks.Wait()
}

// SetDeployment changes how a deployment is treated; what its targets should have stays.
func (h handler) SetDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.SetDeploymentParams) {
	body, err := openapi.Decode[openapi.DeploymentSettings](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	_, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, d.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc, version, err := h.set(r.Context(), d, openapi.SettingsOf(body))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, version, doc)
}

func (h handler) set(ctx context.Context, d deployment.Deployment, settings deployment.Settings) (openapi.DeploymentSummary, int64, error) {
	generation, err := h.store.FindGeneration(ctx, d.Org, d.ID, d.Generation)
	if err != nil {
		return openapi.DeploymentSummary{}, 0, fmt.Errorf("finding generation %d of deployment %s: %w", d.Generation, d.ReleaseName, err)
	}
	changed, err := d.With(settings)
	if err == nil && !reflect.DeepEqual(d, changed) {
		changed, err = h.store.SetDeployment(ctx, changed, d.Version)
	}
	if err != nil {
		return openapi.DeploymentSummary{}, 0, err
	}
	return openapi.SummaryOf(changed, generation), changed.Version, nil
}
