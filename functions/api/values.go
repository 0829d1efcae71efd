package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
	"github.com/swell-sh/swell/shared/release"
)

const (
	maxReuses = 20      // generations that are looked through for who set a reused value
	maxAnswer = 3 << 20 // of values; a Lambda answers 6 MB at most, quoted
)

// GetDeploymentValues answers the values that a target's templates see, or where each of them comes from.
func (h handler) GetDeploymentValues(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.GetDeploymentValuesParams) {
	g, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc, err := h.describeValues(r.Context(), g, d, params)
	if err != nil {
		h.fail(w, r, fmt.Errorf("explaining the values of deployment %s: %w", d.ReleaseName, err))
		return
	}
	openapi.Write(w, http.StatusOK, doc)
}

func (h handler) describeValues(ctx context.Context, g group.Group, d deployment.Deployment, params openapi.GetDeploymentValuesParams) (openapi.DeploymentValues, error) {
	var within diff.Pattern
	if params.Path != "" {
		var err error
		if within, err = diff.Parse(params.Path); err != nil {
			return openapi.DeploymentValues{}, problem.Invalid("invalid-parameter", "%s", err).At("path").Try("write it as in auth.password")
		}
	}
	gen, err := h.store.FindGeneration(ctx, d.Org, d.ID, d.Generation)
	if err != nil {
		return openapi.DeploymentValues{}, err
	}
	secret, err := h.secret(ctx, d, gen)
	if err != nil {
		return openapi.DeploymentValues{}, err
	}
	target, err := h.target(ctx, g, d, params.Cluster)
	if err != nil {
		return openapi.DeploymentValues{}, err
	}
	explained, err := h.explain(ctx, gen, target.Name)
	if err != nil {
		return openapi.DeploymentValues{}, err
	}
	doc := openapi.DeploymentValues{Generation: gen.Number, ChartDigest: gen.Chart.Digest, ClusterID: target.ID, ClusterName: target.Name}
	if params.Explain {
		doc.Leaves = openapi.LeavesOf(explained, within, secret)
	} else {
		doc.Values = secret.Mask(explained.Values(within))
	}
	if raw, err := json.Marshal(doc); err != nil || len(raw) > maxAnswer {
		return doc, problem.TooLarge("values-too-large", "the values are over %d MiB", maxAnswer>>20).At("path").Try("ask for a part of them by path")
	}
	return doc, nil
}

// secret are the paths that a generation masks, and those of the newest one: what is secret now was never to be shown.
func (h handler) secret(ctx context.Context, d deployment.Deployment, gen deployment.Generation) (mask.Paths, error) {
	paths := gen.SecretPaths
	if d.Newest > gen.Number {
		newest, err := h.store.FindGeneration(ctx, d.Org, d.ID, d.Newest)
		if err != nil {
			return nil, fmt.Errorf("finding generation %d: %w", d.Newest, err)
		}
		paths = slices.Concat(paths, newest.SecretPaths)
	}
	return mask.Parse(paths)
}

// target finds a target of a deployment by name or id; none was asked for: none.
func (h handler) target(ctx context.Context, g group.Group, d deployment.Deployment, nameOrID string) (cluster.Cluster, error) {
	if nameOrID == "" {
		return cluster.Cluster{}, nil
	}
	releases, err := h.store.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return cluster.Cluster{}, err
	}
	targets, err := h.targetClusters(ctx, g, releases)
	if err != nil {
		return cluster.Cluster{}, err
	}
	i := slices.IndexFunc(targets, func(c cluster.Cluster) bool { return c.Name == nameOrID || c.ID == nameOrID })
	if i < 0 {
		return cluster.Cluster{}, problem.Invalid("cluster-not-found", "no target of the deployment is %q", nameOrID).At("cluster").
			Try("name a member of the group, by name or id")
	}
	return targets[i], nil
}

func (h handler) explain(ctx context.Context, gen deployment.Generation, clusterName string) (provenance.Explained, error) {
	requests, err := intents{find: h.store.FindGeneration, read: h.values.GetValues}.requests(ctx, gen, clusterName)
	if err != nil {
		return provenance.Explained{}, err
	}
	archive, err := h.values.GetChart(ctx, gen.Org, gen.Chart.Digest)
	if err != nil {
		return provenance.Explained{}, err
	}
	defaults, err := chart.Defaults(archive)
	if err != nil {
		return provenance.Explained{}, err
	}
	return provenance.Explain(defaults, requests...)
}

// intents reads what was accepted before.
type intents struct {
	find func(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	read func(ctx context.Context, org, ref string, into any) error
}

// requests are what the requests said that a generation's values come from, the weakest first: with reuseValues there are several.
func (in intents) requests(ctx context.Context, gen deployment.Generation, clusterName string) ([]provenance.Values, error) {
	var common, overrides []provenance.Values
	newest := gen.Number
	for left := maxReuses; ; left-- {
		first := gen.Reused == 0 || gen.OwnValuesRef == "" || left == 0
		ref := gen.OwnValuesRef
		if first {
			ref = gen.ValuesRef
		}
		var said deployment.Values
		if err := in.read(ctx, gen.Org, ref, &said); err != nil {
			return nil, fmt.Errorf("reading the values of generation %d: %w", gen.Number, err)
		}
		origin := provenance.Origin{Layer: provenance.Common, Source: "values", Generation: gen.Number}
		over := provenance.Origin{Layer: provenance.Override, Source: "valueOverrides." + clusterName, Generation: gen.Number}
		if gen.Number != newest {
			origin.Layer, over.Layer = provenance.Reused, provenance.Reused
		}
		common = append(common, provenance.Values{Origin: origin, Values: said.Common})
		overrides = append(overrides, provenance.Values{Origin: over, Values: said.Overrides[clusterName]})
		if first {
			break
		}
		before, err := in.find(ctx, gen.Org, gen.DeploymentID, gen.Reused)
		if err != nil {
			return nil, fmt.Errorf("finding the generation whose values were reused: %w", err)
		}
		gen = before
	}
	slices.Reverse(common)
	slices.Reverse(overrides)
	return slices.Concat(common, overrides), nil
}
