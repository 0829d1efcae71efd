package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// shown is a plan with what the run that made it found.
type shown struct {
	deployment.Plan
	run     run.Run
	targets []run.Target
	entries []release.PlanEntry
}

func (h handler) findPlan(ctx context.Context, org, hash string) (shown, error) {
	p, err := h.store.FindPlan(ctx, org, hash)
	if err != nil {
		return shown{}, err
	}
	s := shown{Plan: p}
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.Go(func() (err error) {
		s.run, err = h.store.FindRun(taskCtx, org, p.RunID)
		return err
	})
	tasks.Go(func() (err error) {
		s.targets, err = h.store.ListTargets(taskCtx, org, p.RunID)
		return err
	})
	tasks.Go(func() (err error) {
		s.entries, err = h.store.ListPlan(taskCtx, org, hash)
		return err
	})
	if err := tasks.Wait(); err != nil {
		return s, fmt.Errorf("reading plan %s: %w", hash, err)
	}
	return s, nil
}

// GetPlan answers what a dry run found, in counts.
func (h handler) GetPlan(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, hash openapi.PlanHashPath) {
	p, err := h.findPlan(r.Context(), org, hash)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.PlanOf(p.Plan, p.run, p.targets, p.entries, h.now()))
}

// GetPlanTarget answers a page of the objects of a target, with the fields that would change.
func (h handler) GetPlanTarget(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, hash openapi.PlanHashPath, idOrName openapi.ClusterPath, params openapi.GetPlanTargetParams) {
	p, err := h.findPlan(r.Context(), org, hash)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	target, err := p.target(idOrName, params.Field)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	objects, err := h.plannedObjects(r.Context(), p, target)
	if err != nil {
		h.fail(w, r, fmt.Errorf("reading what plan %s changes on cluster %s: %w", hash, target.ClusterName, err))
		return
	}
	if params.Changed {
		objects = slices.DeleteFunc(objects, func(o diff.Object) bool { return o.Action == diff.Unchanged })
	}
	page, next, err := pageOf(objects, params.Limit, params.Cursor)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusOK, openapi.PlanTargetDetailsOf(openapi.PlanTargetOf(target, p.entry(target.ClusterID)), page, next))
}

func (s shown) target(idOrName string, field openapi.FieldQuery) (run.Target, error) {
	for _, t := range s.targets {
		if field == openapi.FieldName && t.ClusterName == idOrName || field != openapi.FieldName && t.ClusterID == idOrName {
			return t, nil
		}
	}
	return run.Target{}, problem.NotFound("target-not-found", "cluster %q is no target of the plan", idOrName).Try("name one of the plan's targets; the path takes an id, or a name with field=name")
}

func (s shown) entry(clusterID string) release.PlanEntry {
	for _, e := range s.entries {
		if e.ClusterID == clusterID {
			return e
		}
	}
	return release.PlanEntry{}
}

// plannedObjects reads a target's objects; none where it was not compared.
func (h handler) plannedObjects(ctx context.Context, p shown, t run.Target) ([]diff.Object, error) {
	if t.Diff == nil || t.Diff.Ref == "" {
		return nil, nil
	}
	raw, err := h.values.GetManifest(ctx, p.Draft.Deployment.Org, t.Diff.Ref)
	if err != nil {
		return nil, err
	}
	var objects []diff.Object
	if err := json.Unmarshal(raw, &objects); err != nil {
		return nil, err
	}
	literals, err := h.secretNow(ctx, p, t)
	return mask.Objects(objects, literals), err
}

const defaultPage = 100 // objects, as the contract has it

// maxPage keeps an answer well below API Gateway's 6 MB, of which base64 may take a third.
const maxPage = 4 << 20

// pageOf describes the objects from the cursor on: up to limit of them, and less where they are large.
func pageOf(objects []diff.Object, limit int, cursor string) (page []openapi.PlannedObject, next string, err error) {
	start, limit := 0, cmp.Or(limit, defaultPage)
	if cursor != "" {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil {
			start, err = strconv.Atoi(string(raw))
		}
		if err != nil || start < 1 || start >= len(objects) {
			return nil, "", problem.Malformed("cursor-invalid", "the cursor was not made by this list").At("cursor").Try("use the cursor of the page before, unchanged, or none")
		}
	}
	size := 0
	for i, o := range objects[start:] {
		doc := openapi.PlannedObjectOf(o)
		raw, err := json.Marshal(doc)
		if err != nil {
			return nil, "", fmt.Errorf("describing %s %s: %w", o.Kind, o.Name, err)
		}
		size += len(raw)
		if len(page) > 0 && (len(page) >= limit || size > maxPage) {
			return page, base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(start + i))), nil
		}
		page = append(page, doc)
	}
	return page, "", nil
}
