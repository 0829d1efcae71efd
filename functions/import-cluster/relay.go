package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/workflow"
)

// orders is the queue of what is to be done with relays.
type orders interface {
	Send(ctx context.Context, body any) error
}

// InstallRelay asks for the relay of a cluster, in the version of this installation.
func (h handler) InstallRelay(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.InstallRelayParams) {
	h.order(w, r, org, id, params.Field, "", workflow.RelayInstall)
}

// RemoveRelay asks for the relay to be uninstalled.
func (h handler) RemoveRelay(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.RemoveRelayParams) {
	h.order(w, r, org, id, params.Field, params.IfMatch, workflow.RelayRemove)
}

// RotateRelayKey asks for a new key.
func (h handler) RotateRelayKey(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.RotateRelayKeyParams) {
	h.order(w, r, org, id, params.Field, "", workflow.RelayRotate)
}

func (h handler) order(w http.ResponseWriter, r *http.Request, org, id string, field openapi.FieldQuery, ifMatch string, do workflow.RelayVerb) {
	ctx := r.Context()
	c, err := h.find(ctx, org, id, field)
	if err == nil {
		err = openapi.CheckIfMatch(ifMatch, c.Revision)
	}
	if err == nil && do == workflow.RelayRotate && !c.RelaySetup.Wanted {
		err = problem.Conflict("relay-not-wanted", "cluster %s has no relay of Swell's", c.Name).Try("install it first: swell cluster relay install %s", c.Name)
	}
	if err == nil {
		c, err = h.ask(ctx, c, do)
	}
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	openapi.Write(w, http.StatusAccepted, openapi.ClusterOf(c))
}

// ask records what is wanted, and then sends the order: one that is lost between the two is asked for again by whoever waits for it.
func (h handler) ask(ctx context.Context, c cluster.Cluster, do workflow.RelayVerb) (cluster.Cluster, error) {
	c.RelaySetup = wish(c.RelaySetup, do, h.now())
	if err := h.store.OrderRelay(ctx, c.Org, c.ID, c.RelaySetup.Wanted, c.RelaySetup.Status, c.RelaySetup.ChangedAt); err != nil {
		return c, fmt.Errorf("recording what is wanted of the relay of cluster %s: %w", c.Name, err)
	}
	if err := h.orders.Send(ctx, workflow.RelayOrder{Org: c.Org, Cluster: c.ID, Do: do}); err != nil {
		return c, fmt.Errorf("ordering the relay of cluster %s: %w", c.Name, err)
	}
	return c, nil
}

func wish(r cluster.RelaySetup, do workflow.RelayVerb, now time.Time) cluster.RelaySetup {
	r.Wanted, r.Status, r.Error, r.ChangedAt = true, cluster.RelayInstalling, "", now.UTC()
	if do == workflow.RelayRemove {
		r.Wanted, r.Status = false, cluster.RelayRemoving
	}
	return r
}

// wantsRelay says whether a cluster that is imported gets a relay.
func (h handler) wantsRelay(request *openapi.RelayRequest) bool {
	if request == nil {
		return h.relays
	}
	return request.Enabled
}

// orderFirst asks for the relay of a new cluster. The cluster is imported, whatever becomes of it.
func (h handler) orderFirst(ctx context.Context, c cluster.Cluster) cluster.Cluster {
	if err := h.orders.Send(ctx, workflow.RelayOrder{Org: c.Org, Cluster: c.ID, Do: workflow.RelayInstall}); err != nil {
		h.log.ErrorContext(ctx, "ordering the relay of a new cluster", "cluster", c.ID, "error", err.Error())
		c.RelaySetup.Status, c.RelaySetup.Error = cluster.RelayFailed, "it could not be asked for; swell cluster relay install asks again"
		if err := h.store.SetRelaySetup(context.WithoutCancel(ctx), c.Org, c.ID, c.RelaySetup); err != nil {
			h.log.ErrorContext(ctx, "recording that a relay was not ordered", "cluster", c.ID, "error", err.Error())
		}
	}
	return c
}
