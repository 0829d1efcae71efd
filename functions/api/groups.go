package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// ListClusterGroups answers the groups of an org with their members.
func (h handler) ListClusterGroups(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListClusterGroupsParams) {
	groups, next, err := h.store.ListGroups(r.Context(), org, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var members []string
	for _, g := range groups {
		members = append(members, g.Members...)
	}
	slices.Sort(members)
	found, err := h.store.FindClusters(r.Context(), org, slices.Compact(members))
	if err != nil {
		h.fail(w, r, fmt.Errorf("finding the members of %d groups: %w", len(groups), err))
		return
	}
	list := openapi.ClusterGroupList{NextCursor: next}
	for _, g := range groups {
		list.Items = append(list.Items, openapi.GroupOf(g, found))
	}
	openapi.Write(w, http.StatusOK, list)
}

// GetClusterGroup answers one group with its members.
func (h handler) GetClusterGroup(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, params openapi.GetClusterGroupParams) {
	g, err := h.findGroup(r.Context(), org, idOrName, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc, err := h.describeGroup(r.Context(), g)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, g.Version, doc)
}

func (h handler) describeGroup(ctx context.Context, g group.Group) (openapi.ClusterGroup, error) {
	members, err := h.store.FindClusters(ctx, g.Org, g.Members)
	if err != nil {
		return openapi.ClusterGroup{}, fmt.Errorf("finding the members of group %s: %w", g.ID, err)
	}
	return openapi.GroupOf(g, members), nil
}

// CreateClusterGroup makes a group of clusters that are in no other.
func (h handler) CreateClusterGroup(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	body, err := openapi.Decode[openapi.ClusterGroupRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	g := group.Group{Org: org, ID: id.New(), CreatedAt: h.now(), CreatedBy: openapi.PrincipalOf(r.Context()).Name}
	if g, err = h.wanted(r.Context(), g, body); err != nil {
		h.fail(w, r, err)
		return
	}
	if g, err = h.store.CreateGroup(r.Context(), g); err != nil {
		h.fail(w, r, err)
		return
	}
	doc, err := h.describeGroup(r.Context(), g)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+g.ID)
	openapi.Write(w, http.StatusCreated, doc)
}

// wanted is the group as the request has it, with the members that it then has.
func (h handler) wanted(ctx context.Context, g group.Group, body openapi.ClusterGroupRequest) (group.Group, error) {
	g, err := body.ApplyTo(g)
	if err == nil {
		err = h.checkMembers(ctx, g)
	}
	if err != nil {
		return g, err
	}
	if g, err = h.store.ResolveMembers(ctx, g); err != nil {
		return g, err
	}
	return g, g.Fits()
}

func (h handler) checkMembers(ctx context.Context, g group.Group) error {
	if err := g.Validate(); err != nil {
		return err
	}
	found, err := h.store.FindClusters(ctx, g.Org, g.Members)
	if err != nil {
		return fmt.Errorf("finding the members of group %s: %w", g.Name, err)
	}
	for _, member := range g.Members {
		if _, ok := found[member]; !ok {
			return problem.Invalid("cluster-not-found", "there is no cluster %q", member).At("members").Try("give the id of a cluster that was imported")
		}
	}
	return nil
}

// UpdateClusterGroup replaces a group. A cluster that leaves has its releases removed by a run for each deployment; one that joins gets a deployment
// that installs on joining. Where a deployment would lose more of its targets than it allows, nothing is changed.
func (h handler) UpdateClusterGroup(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, params openapi.UpdateClusterGroupParams) {
	body, err := openapi.Decode[openapi.ClusterGroupRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	was, err := h.findGroup(r.Context(), org, idOrName, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := openapi.CheckIfMatch(params.IfMatch, was.Version); err != nil {
		h.fail(w, r, err)
		return
	}
	becomes, err := h.wanted(r.Context(), was, body)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	all, err := h.moves(r.Context(), becomes)
	if err == nil && !params.ConfirmRemovals {
		err = guard(all)
	}
	if err == nil {
		_, err = h.store.UpdateGroup(r.Context(), becomes, was.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	runs, err := h.carryOut(r.Context(), all, params.ConfirmRemovals)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.ClusterGroupAccepted{ID: was.ID, Runs: runs})
}

// DeleteClusterGroup forgets a group without deployments; with removeDeployments it first starts their removal and asks to come again.
func (h handler) DeleteClusterGroup(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, params openapi.DeleteClusterGroupParams) {
	g, err := h.findGroup(r.Context(), org, idOrName, params.Field)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, g.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	deployments, err := h.deployments(r.Context(), g)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if len(deployments) == 0 {
		if err := h.store.DeleteGroup(r.Context(), org, g.ID, g.Version); err != nil {
			h.fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if !params.RemoveDeployments {
		h.fail(w, r, problem.Conflict("group-has-deployments", "the group has %d deployments", len(deployments)).
			Try("delete them first, or ask with removeDeployments=true"))
		return
	}
	runs := []string{}
	for _, d := range deployments {
		if d.Deleting {
			last, err := h.store.FindRun(r.Context(), org, d.LastRun)
			if err != nil {
				h.fail(w, r, err)
				return
			}
			if !last.Status.Done() {
				runs = append(runs, d.LastRun)
				continue
			}
		}
		removal, err := h.remove(r.Context(), d, false)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		runs = append(runs, removal.ID)
	}
	openapi.Write(w, http.StatusAccepted, openapi.ClusterGroupAccepted{ID: g.ID, Runs: runs})
}
