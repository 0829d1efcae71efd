package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// ListClusterGroups answers the groups of an org with their members.
func (h handler) ListClusterGroups(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListClusterGroupsParams) {
	groups, next, err := h.store.ListGroups(r.Context(), org, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.ClusterGroupList{NextCursor: next}
	for _, g := range groups {
		doc, err := h.describeGroup(r.Context(), g)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		list.Items = append(list.Items, doc)
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
	openapi.Write(w, http.StatusOK, doc)
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
	g := group.Group{Org: org, ID: id.New(), Name: body.Name, Members: body.Members, CreatedAt: h.now(), CreatedBy: openapi.PrincipalOf(r.Context()).Name}
	slices.Sort(g.Members)
	if err := h.checkMembers(r.Context(), g); err != nil {
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

func (h handler) checkMembers(ctx context.Context, g group.Group) error {
	if err := g.Validate(); err != nil {
		return err
	}
	for _, member := range g.Members {
		if _, err := h.store.FindCluster(ctx, g.Org, member); err != nil {
			if p, ok := problem.From(err); ok && p.Status == http.StatusNotFound {
				return problem.Invalid("cluster-not-found", "there is no cluster %q", member).At("members").Try("give the id of a cluster that was imported")
			}
			return err
		}
	}
	return nil
}

// UpdateClusterGroup renames a group and replaces its members. A cluster that leaves has its releases removed by a run for each deployment; one
// that joins gets nothing until a deployment is updated.
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
	becomes := was
	becomes.Name, becomes.Members = body.Name, body.Members
	slices.Sort(becomes.Members)
	if err := h.checkMembers(r.Context(), becomes); err != nil {
		h.fail(w, r, err)
		return
	}
	join, leave := was.Change(becomes.Members)
	if becomes, err = h.store.UpdateGroup(r.Context(), becomes, was.Version, join, leave); err != nil {
		h.fail(w, r, err)
		return
	}
	runs, err := h.removeFromLeavers(r.Context(), becomes)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.ClusterGroupAccepted{ID: was.ID, Runs: runs})
}

// removeFromLeavers starts a run for each deployment that has releases on clusters that are no members any more: those that just left, and
// those that an update before this one left behind. A deployment that is being removed needs none.
func (h handler) removeFromLeavers(ctx context.Context, g group.Group) ([]string, error) {
	deployments, err := h.deployments(ctx, g)
	if err != nil {
		return nil, err
	}
	runs, errs := []string{}, []error{}
	for _, d := range deployments {
		if d.Deleting {
			continue
		}
		started, err := h.leave(ctx, g, d)
		if err != nil {
			errs = append(errs, fmt.Errorf("removing deployment %s from clusters that left: %w", d.ReleaseName, err))
		}
		if started != "" {
			runs = append(runs, started)
		}
	}
	return runs, errors.Join(errs...)
}

func (h handler) leave(ctx context.Context, g group.Group, d deployment.Deployment) (runID string, err error) {
	owned, err := h.store.ListReleasesOfOwner(ctx, d.Org, release.OwnedByDeployment(d.ID))
	if err != nil {
		return "", err
	}
	leaving := h.newRun(ctx, run.Leave, d)
	for _, rel := range owned {
		if !slices.Contains(g.Members, rel.ClusterID) {
			leaving.Only = append(leaving.Only, rel.ClusterID)
		}
	}
	if len(leaving.Only) == 0 {
		return "", nil
	}
	if _, leaving, err = h.store.AdmitRun(ctx, d, leaving, d.Version, false); err != nil {
		return "", err
	}
	h.start(ctx, leaving)
	return leaving.ID, nil
}

// DeleteClusterGroup forgets a group without deployments; with removeDeployments it first starts their removal and asks to come again.
func (h handler) DeleteClusterGroup(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, params openapi.DeleteClusterGroupParams) {
	g, err := h.findGroup(r.Context(), org, idOrName, params.Field)
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
		if err := h.store.DeleteGroup(r.Context(), org, g.ID); err != nil {
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
