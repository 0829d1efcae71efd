package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/run"
)

// handler serves every read and every small write of the API. Each operation is in the file of its noun.
type handler struct {
	store         *dynamo.Store
	values        *bucket.Store
	secrets       secretKeeper
	sourceSecrets sourceSecrets
	machines      starter
	waiters       waiters
	log           *slog.Logger
	now           func() time.Time
	version       openapi.Version
}

type secretKeeper interface {
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
}

type starter interface {
	Start(ctx context.Context, machine, name string, input any) error
}

// fail answers err as a problem, and logs what is not the caller's fault.
func (h handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	openapi.Fail(w, r, h.log, err)
}

// clusters finds clusters by id, in that order; one that is gone is left out.
func (h handler) clusters(ctx context.Context, org string, ids []string) ([]cluster.Cluster, error) {
	found, err := h.store.FindClusters(ctx, org, ids)
	if err != nil {
		return nil, fmt.Errorf("finding %d clusters: %w", len(ids), err)
	}
	clusters := make([]cluster.Cluster, 0, len(ids))
	for _, id := range ids {
		if c, ok := found[id]; ok {
			clusters = append(clusters, c)
		}
	}
	return clusters, nil
}

func (h handler) findCluster(ctx context.Context, org, idOrName string, field openapi.FieldQuery) (cluster.Cluster, error) {
	if field == openapi.FieldName {
		return h.store.FindClusterByName(ctx, org, idOrName)
	}
	return h.store.FindCluster(ctx, org, idOrName)
}

func (h handler) findGroup(ctx context.Context, org, idOrName string, field openapi.FieldQuery) (group.Group, error) {
	if field == openapi.FieldName {
		return h.store.FindGroupByName(ctx, org, idOrName)
	}
	return h.store.FindGroup(ctx, org, idOrName)
}

func (h handler) findDeployment(ctx context.Context, org, groupIDOrName string, field openapi.FieldQuery, releaseName string) (group.Group, deployment.Deployment, error) {
	g, err := h.findGroup(ctx, org, groupIDOrName, field)
	if err != nil {
		return g, deployment.Deployment{}, err
	}
	d, err := h.store.FindDeploymentByName(ctx, org, g.ID, releaseName)
	return g, d, err
}

func (h handler) newRun(ctx context.Context, typ run.Type, d deployment.Deployment) run.Run {
	return run.New(id.New(), typ, d.Org, "api", openapi.PrincipalOf(ctx).Name, h.now()).About(d.ID, d.GroupID, d.ReleaseName, d.Generation)
}

// start starts a run's machine. A start that fails is not the caller's concern: the sweeper starts the run under the same name.
func (h handler) start(ctx context.Context, r run.Run) {
	if err := h.machines.Start(ctx, r.Type.Machine(), r.ID, r.Ref()); err != nil {
		h.log.ErrorContext(ctx, "starting a run; the sweeper will", "run", r.ID, "error", err)
	}
}

// GetVersion answers what is installed.
func (h handler) GetVersion(w http.ResponseWriter, _ *http.Request) {
	openapi.Write(w, http.StatusOK, h.version)
}

// GetOpenAPI answers the contract.
func (h handler) GetOpenAPI(w http.ResponseWriter, r *http.Request) { openapi.ServeDocument(w, r) }
