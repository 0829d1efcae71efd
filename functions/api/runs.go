package main

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
)

// ListRuns answers the runs of an org, newest first.
func (h handler) ListRuns(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListRunsParams) {
	filter := dynamo.RunFilter{Type: run.Type(params.Type), Status: run.Status(params.Status), DeploymentID: params.DeploymentID, Trigger: string(params.Trigger)}
	if params.CreatedAfter != nil {
		filter.After = *params.CreatedAfter
	}
	if params.CreatedBefore != nil {
		filter.Before = *params.CreatedBefore
	}
	runs, next, err := h.store.ListRuns(r.Context(), org, filter, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	items, err := h.describeRuns(r.Context(), runs)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.RunList{Items: items, NextCursor: next})
}

// describeRuns counts the targets of each run: a query each, for they lie in partitions of their own.
func (h handler) describeRuns(ctx context.Context, runs []run.Run) ([]openapi.Run, error) {
	docs := make([]openapi.Run, len(runs))
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for i, one := range runs {
		tasks.Go(func() error {
			targets, err := h.store.ListTargets(taskCtx, one.Org, one.ID)
			if err != nil {
				return fmt.Errorf("listing the targets of run %s: %w", one.ID, err)
			}
			docs[i] = openapi.RunOf(one, targets)
			return nil
		})
	}
	return docs, tasks.Wait()
}

// GetRun answers a run with its targets and steps. If-None-Match makes watching it cheap.
func (h handler) GetRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath, params openapi.GetRunParams) {
	tag := func(one run.Run) string { return fmt.Sprintf(`"%d"`, one.Version) }
	if params.IfNoneMatch != "" {
		one, err := h.store.FindRun(r.Context(), org, runID)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if params.IfNoneMatch == tag(one) {
			w.Header().Set("ETag", tag(one))
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	one, targets, steps, err := h.store.ReadRun(r.Context(), org, runID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", tag(one))
	openapi.Write(w, http.StatusOK, openapi.RunDetailsOf(one, targets, steps))
}
