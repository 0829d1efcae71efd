package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
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
	var change regrouping
	if err == nil {
		change, err = h.regroup(r.Context(), was, becomes)
	}
	if err == nil && !params.DryRun {
		err = h.relabel(r.Context(), was, &becomes, change, params.ConfirmRemovals)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc := openapi.ClusterOf(becomes)
	doc.Moves = change.moves
	openapi.WriteVersion(w, http.StatusOK, becomes.Revision, doc)
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

// regrouping is what other labels mean for a cluster.
type regrouping struct {
	joined, left []group.Group
	moves        []openapi.ReleaseMove
}

// regroup finds which groups the cluster joins and leaves by its labels, and which releases that brings and takes.
func (h handler) regroup(ctx context.Context, was, becomes cluster.Cluster) (regrouping, error) {
	var change regrouping
	groups, err := h.store.KeptGroups(ctx, was.Org)
	if err != nil {
		return change, fmt.Errorf("listing the groups that choose by labels: %w", err)
	}
	for _, g := range groups {
		switch had, has := g.Has(was), g.Has(becomes); {
		case has && !had:
			change.joined = append(change.joined, g)
		case had && !has:
			change.left = append(change.left, g)
		}
	}
	if len(change.joined)+len(change.left) == 0 {
		return change, nil
	}
	releases, err := h.store.ListReleasesOfCluster(ctx, was.Org, was.ID)
	if err != nil {
		return change, fmt.Errorf("listing the releases of cluster %s: %w", was.Name, err)
	}
	for _, g := range change.joined {
		if err := h.movesOn(ctx, g, []string{was.ID}, releases, &change.moves); err != nil {
			return change, err
		}
	}
	for _, g := range change.left {
		if err := h.movesOn(ctx, g, nil, releases, &change.moves); err != nil {
			return change, err
		}
	}
	return change, nil
}

// movesOn adds what comes and goes of the group's deployments on one cluster, of which members says whether it is one.
func (h handler) movesOn(ctx context.Context, g group.Group, members []string, releases []release.Release, moves *[]openapi.ReleaseMove) error {
	deployments, err := h.deployments(ctx, g)
	if err != nil {
		return err
	}
	for _, d := range deployments {
		owned := slices.DeleteFunc(slices.Clone(releases), func(rel release.Release) bool { return rel.Owner != release.OwnedByDeployment(d.ID) })
		join, leave := d.Moves(members, release.Clusters(owned))
		move := openapi.ReleaseMove{ClusterGroup: g.Name, ReleaseName: d.ReleaseName, Namespace: d.Namespace}
		if len(join) > 0 {
			move.Move = openapi.ReleaseMoveMoveInstall
		}
		if len(leave) > 0 {
			move.Move = openapi.ReleaseMoveMoveRemove
		}
		if move.Move != "" {
			*moves = append(*moves, move)
		}
	}
	return nil
}

// relabel asks for the review of the groups that the cluster joins or leaves before it changes the cluster: whoever dies in between leaves a review
// that finds what was done.
func (h handler) relabel(ctx context.Context, was cluster.Cluster, becomes *cluster.Cluster, change regrouping, confirmed bool) error {
	for _, g := range slices.Concat(change.joined, change.left) {
		if err := h.store.RequestReview(ctx, g.Org, g.ID, h.now().Add(group.QuietFor)); err != nil {
			return fmt.Errorf("asking for the review of group %s: %w", g.Name, err)
		}
	}
	var err error
	if *becomes, err = h.store.UpdateCluster(ctx, *becomes, was.Revision); err != nil {
		return err
	}
	return h.relabeled(ctx, was.ID, change.joined, change.left, confirmed)
}
