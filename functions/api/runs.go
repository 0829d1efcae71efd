package main

import (
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
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
	list := openapi.RunList{NextCursor: next}
	for _, one := range runs {
		targets, err := h.store.ListTargets(r.Context(), org, one.ID)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		list.Items = append(list.Items, openapi.RunOf(one, targets))
	}
	openapi.Write(w, http.StatusOK, list)
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

// CancelRun asks a run to touch no further target; what is being written on a cluster is ended first.
func (h handler) CancelRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath) {
	one, err := h.store.FindRun(r.Context(), org, runID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if one.Status.Done() {
		h.fail(w, r, problem.Conflict("run-ended", "the run has ended: %s", one.Status).Try("what it did is undone by an update, or by a removal"))
		return
	}
	if one, err = h.store.RequestCancel(r.Context(), org, runID); err != nil {
		h.fail(w, r, err)
		return
	}
	targets, err := h.store.ListTargets(r.Context(), org, one.ID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.RunOf(one, targets))
}
