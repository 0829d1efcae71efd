package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
)

// UpdateCluster changes a cluster's labels and description, and starts what that means for the groups that choose by labels.
func (h handler) UpdateCluster(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.UpdateClusterParams) {
	body, err := openapi.Decode[openapi.UpdateClusterRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	was, err := h.findCluster(r.Context(), org, id, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	becomes := described(was, body)
	err = openapi.CheckIfMatch(params.IfMatch, was.Revision)
	if err == nil {
		err = becomes.Validate()
	}
	if err == nil {
		err = h.relabel(r.Context(), was, &becomes, params.ConfirmRemovals)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, becomes.Revision, openapi.ClusterOf(becomes))
}

func described(c cluster.Cluster, body openapi.UpdateClusterRequest) cluster.Cluster {
	for field, value := range map[*string]*string{&c.Cloud: body.Cloud, &c.Distribution: body.Distribution, &c.Location: body.Location} {
		if value != nil {
			*field = *value
		}
	}
	labels := maps.Clone(c.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for key, value := range body.Labels {
		if value == nil {
			delete(labels, key)
		} else {
			labels[key] = *value
		}
	}
	c.Labels = labels
	return c
}

// relabel asks for the review of the groups that the cluster joins or leaves before it changes the cluster: whoever dies in between leaves a review
// that finds what was done.
func (h handler) relabel(ctx context.Context, was cluster.Cluster, becomes *cluster.Cluster, confirmed bool) error {
	groups, err := h.store.KeptGroups(ctx, was.Org)
	if err != nil {
		return fmt.Errorf("listing the groups that choose by labels: %w", err)
	}
	var joined, left []group.Group
	for _, g := range groups {
		had, has := g.Has(was), g.Has(*becomes)
		if had == has {
			continue
		}
		if has {
			joined = append(joined, g)
		} else {
			left = append(left, g)
		}
		if err := h.store.RequestReview(ctx, g.Org, g.ID, h.now().Add(group.QuietFor)); err != nil {
			return fmt.Errorf("asking for the review of group %s: %w", g.Name, err)
		}
	}
	if *becomes, err = h.store.UpdateCluster(ctx, *becomes, was.Revision); err != nil {
		return err
	}
	return h.relabeled(ctx, was.ID, joined, left, confirmed)
}
