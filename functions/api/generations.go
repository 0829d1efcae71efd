package main

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// ListGenerations answers the generations of a deployment, newest first, without values.
func (h handler) ListGenerations(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.ListGenerationsParams) {
	_, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	generations, next, err := h.store.ListGenerations(r.Context(), org, d.ID, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	docs, err := h.describeGenerations(r.Context(), d, generations)
	if err == nil {
		err = h.addRuns(r.Context(), d, docs)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.GenerationList{Items: docs, NextCursor: next})
}

// describeGenerations describes generations of d, each with how its run stands.
func (h handler) describeGenerations(ctx context.Context, d deployment.Deployment, generations []deployment.Generation) ([]openapi.Generation, error) {
	ids := make([]string, 0, len(generations))
	for _, g := range generations {
		if g.RunID != "" {
			ids = append(ids, g.RunID)
		}
	}
	runs, err := h.store.FindRuns(ctx, d.Org, ids)
	if err != nil {
		return nil, fmt.Errorf("finding the runs of deployment %s: %w", d.ReleaseName, err)
	}
	docs := make([]openapi.Generation, 0, len(generations))
	for _, g := range generations {
		docs = append(docs, openapi.GenerationOf(d, g, runs[g.RunID]))
	}
	return docs, nil
}

// runsOfHistory is how many of a deployment's runs its history knows.
const runsOfHistory = 500

func (h handler) addRuns(ctx context.Context, d deployment.Deployment, docs []openapi.Generation) error {
	newest, _, err := h.store.ListRuns(ctx, d.Org, dynamo.RunFilter{DeploymentID: d.ID}, dynamo.Page{Limit: runsOfHistory})
	if err != nil {
		return fmt.Errorf("listing the runs of deployment %s: %w", d.ReleaseName, err)
	}
	openapi.AddRuns(docs, newest)
	return nil
}

// GetGeneration answers a generation with its values.
func (h handler) GetGeneration(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, number openapi.GenerationPath, params openapi.GetGenerationParams) {
	_, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	past, err := h.past(r.Context(), d, number)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.GenerationDetailsOf(past.docs[0], past.values[0], past.secret))
}

// DiffGenerations answers what another generation has instead of this one.
func (h handler) DiffGenerations(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, number openapi.GenerationPath, params openapi.DiffGenerationsParams) {
	_, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	to := params.To
	if to == 0 {
		to = d.Generation
	}
	past, err := h.past(r.Context(), d, number, to)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.GenerationDiffOf(past.docs[0], past.docs[1], past.values[0], past.values[1], past.secret))
}

// past is some generations of a deployment, as they were asked for.
type past struct {
	docs   []openapi.Generation
	values []deployment.Values
	secret mask.Paths // of all of them, and of the newest generation: what is secret now was never to be shown
}

func (h handler) past(ctx context.Context, d deployment.Deployment, numbers ...int) (past, error) {
	p := past{values: make([]deployment.Values, len(numbers))}
	generations := make([]deployment.Generation, len(numbers)+1)
	tasks, taskCtx := errgroup.WithContext(ctx)
	for i, n := range append(numbers, d.Newest) {
		tasks.Go(func() (err error) {
			if generations[i], err = h.store.FindGeneration(taskCtx, d.Org, d.ID, n); err != nil || i == len(numbers) {
				return err
			}
			return h.values.GetValues(taskCtx, d.Org, generations[i].ValuesRef, &p.values[i])
		})
	}
	if err := tasks.Wait(); err != nil {
		return p, fmt.Errorf("finding generations %v of deployment %s: %w", numbers, d.ReleaseName, err)
	}
	var paths []string
	for _, g := range generations {
		paths = append(paths, g.SecretPaths...)
	}
	var err error
	if p.secret, err = mask.Parse(paths); err != nil {
		return p, fmt.Errorf("masking generations %v of deployment %s: %w", numbers, d.ReleaseName, err)
	}
	p.docs, err = h.describeGenerations(ctx, d, generations[:len(numbers)])
	return p, err
}

// RollbackDeployment makes another generation the current one and starts the run that brings it to the group's members of now. A run that
// is under way finds the deployment at another generation than its own, and ends as superseded.
func (h handler) RollbackDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, idOrName openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.RollbackDeploymentParams) {
	body, err := openapi.Decode[openapi.RollbackRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	g, d, err := h.findDeployment(r.Context(), org, idOrName, params.Field, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, d.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	d, admitted, err := h.rollback(r.Context(), d, body.Generation)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.start(r.Context(), admitted)
	h.accepted(w, r, g, d, admitted)
}

func (h handler) rollback(ctx context.Context, d deployment.Deployment, to int) (deployment.Deployment, run.Run, error) {
	if _, err := h.store.FindGeneration(ctx, d.Org, d.ID, to); err != nil {
		return d, run.Run{}, err
	}
	if to == d.Generation && !d.Deleting {
		return d, run.Run{}, problem.Conflict("generation-current", "deployment %q is at generation %d already", d.ReleaseName, to).
			At("generation").Try("name another generation, or sync: it brings every target to this one again")
	}
	before := d.Generation
	d.Generation = to
	back := h.newRun(ctx, run.Rollback, d)
	back.Before = before
	return h.store.AdmitRun(ctx, d, back, d.Version, false)
}
