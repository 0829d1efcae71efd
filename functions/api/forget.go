package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
)

// forgetCluster forgets a dead cluster with its membership and its releases, and answers what is left behind on it. Who asks again after a death in
// the middle gets the rest done.
func (h handler) forgetCluster(w http.ResponseWriter, r *http.Request, c cluster.Cluster) {
	left, err := h.store.ListReleasesOfCluster(r.Context(), c.Org, c.ID)
	if err == nil {
		err = h.forget(r.Context(), c, left)
	}
	if err != nil {
		h.fail(w, r, fmt.Errorf("forgetting cluster %s: %w", c.Name, err))
		return
	}
	h.deleteCredential(r.Context(), c)
	openapi.Write(w, http.StatusOK, openapi.ClusterForgotten{ID: c.ID, Name: c.Name, LeftBehind: leftBehind(c, left)})
}

// leftBehind is what stays on a cluster that is forgotten, its relay last.
func leftBehind(c cluster.Cluster, releases []release.Release) []openapi.LeftBehindRelease {
	left := make([]openapi.LeftBehindRelease, 0, len(releases)+1)
	for _, rel := range releases {
		left = append(left, openapi.LeftBehindRelease{Namespace: rel.Namespace, ReleaseName: rel.Name, Deployment: rel.Owner.ID})
	}
	if c.RelaySetup.Stands() {
		left = append(left, openapi.LeftBehindRelease{Namespace: relay.Namespace, ReleaseName: relay.ReleaseName})
	}
	return left
}

// forget takes the cluster out of its group first, so that no run claims a release on it again.
func (h handler) forget(ctx context.Context, c cluster.Cluster, releases []release.Release) error {
	if c.GroupID != "" {
		g, err := h.store.FindGroup(ctx, c.Org, c.GroupID)
		if err != nil {
			return err
		}
		without := g
		without.Members = slices.DeleteFunc(slices.Clone(g.Members), func(id string) bool { return id == c.ID })
		if _, err := h.store.UpdateGroup(ctx, without, g.Version); err != nil {
			return err
		}
	}
	for _, rel := range releases {
		if err := h.store.DeleteRelease(ctx, rel.Key, rel.Owner, ""); err != nil {
			return fmt.Errorf("forgetting release %s: %w", rel.Name, err)
		}
	}
	return h.store.DeleteCluster(ctx, c.Org, c.ID, c.Revision)
}
