package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

// RedriveRun starts a run of the same type for the targets of an ended run that failed or were canceled.
func (h handler) RedriveRun(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, runID openapi.RunPath) {
	again, err := h.redrive(r.Context(), org, runID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.start(r.Context(), again)
	w.Header().Set("Location", openapi.RunLocation(again))
	openapi.Write(w, http.StatusAccepted, openapi.RunOf(again, nil))
}

func (h handler) redrive(ctx context.Context, org, runID string) (run.Run, error) {
	ended, err := h.store.FindRun(ctx, org, runID)
	if err != nil {
		return ended, err
	}
	targets, err := h.store.ListTargets(ctx, org, runID)
	if err != nil {
		return ended, fmt.Errorf("listing the targets of run %s: %w", runID, err)
	}
	again, err := ended.Redrive(targets)
	if err != nil {
		return again, err
	}
	d, err := h.store.FindDeployment(ctx, org, ended.DeploymentID)
	if err != nil {
		return again, err
	}
	if _, stop := again.StoppedBy(d.Generation, false); stop {
		return again, problem.Conflict("run-superseded", "the run brought generation %d, and the deployment is at generation %d", ended.Generation, d.Generation).
			Try("sync the deployment: it brings every target to generation %d", d.Generation)
	}
	if again.Type != run.Check {
		if err := h.idle(ctx, d); err != nil {
			return again, err
		}
	}
	fresh := h.newRun(ctx, again.Type, d)
	again.ID, again.Trigger, again.Actor, again.CreatedAt = fresh.ID, fresh.Trigger, fresh.Actor, fresh.CreatedAt
	_, again, err = h.store.AdmitRun(ctx, d, again, d.Version, d.Deleting && again.Type == run.Remove)
	return again, err
}
