package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/relay"
)

// ListClusters answers the clusters of an org, as last seen.
func (h handler) ListClusters(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListClustersParams) {
	labels, err := openapi.ParseLabels(params.LabelSelector)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	filter := dynamo.ClusterFilter{Labels: labels, Status: cluster.Status(params.Status), Cloud: params.Cloud}
	page := dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix}
	clusters, next, err := h.store.ListClusters(r.Context(), org, filter, page)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.ClusterList{NextCursor: next, Items: make([]openapi.Cluster, 0, len(clusters))}
	for _, c := range clusters {
		list.Items = append(list.Items, openapi.ClusterOf(c))
	}
	openapi.Write(w, http.StatusOK, list)
}

// GetCluster answers one cluster, as last seen.
func (h handler) GetCluster(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.GetClusterParams) {
	c, err := h.findCluster(r.Context(), org, id, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, c.Revision, openapi.ClusterOf(c))
}

// DeleteCluster forgets a cluster and its credential; the cluster itself stays as it is.
func (h handler) DeleteCluster(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.DeleteClusterParams) {
	c, err := h.findCluster(r.Context(), org, id, params.Field)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, c.Revision)
	}
	if err == nil && params.Force {
		h.forgetCluster(w, r, c)
		return
	}
	if err == nil {
		err = h.bare(r.Context(), c)
	}
	if err == nil {
		err = h.store.DeleteCluster(r.Context(), org, c.ID, c.Revision)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.deleteCredential(r.Context(), c)
	w.WriteHeader(http.StatusNoContent)
}

func (h handler) deleteCredential(ctx context.Context, c cluster.Cluster) {
	if err := h.secrets.Delete(ctx, cluster.SecretName(c.Org, c.ID)); err != nil {
		h.log.ErrorContext(ctx, "deleting the credential of a deleted cluster", "cluster", c.ID, "error", err)
	}
	if c.RelaySetup == (cluster.RelaySetup{}) {
		return
	}
	if err := h.secrets.Delete(ctx, relay.KeysName(c.Org, c.ID)); err != nil { // a relay that was left there is refused from now on
		h.log.ErrorContext(ctx, "deleting the keys of a deleted cluster's relay", "cluster", c.ID, "error", err)
	}
}

// bare refuses to forget a cluster that still has releases, the relay's among them: nobody could remove them any more.
func (h handler) bare(ctx context.Context, c cluster.Cluster) error {
	if c.GroupID != "" {
		return nil // it is refused as a member
	}
	if c.RelaySetup.Stands() {
		return problem.Conflict("cluster-has-relay", "the cluster still has its relay, which would report for ever to a cluster that is gone").
			Try("remove it first: swell cluster relay remove %s; force=true leaves it on a cluster that is dead", c.Name)
	}
	releases, err := h.store.ListReleasesOfCluster(ctx, c.Org, c.ID)
	if err != nil {
		return fmt.Errorf("listing the releases of cluster %s: %w", c.Name, err)
	}
	if len(releases) > 0 {
		return problem.Conflict("cluster-has-releases", "the cluster still has %d releases that Swell made", len(releases)).
			Try("wait for the run that removes them, or delete their deployments; force=true forgets them with a cluster that is dead")
	}
	return nil
}
