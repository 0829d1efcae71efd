package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/repository"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/source"
)

const (
	maxBody    = 2 << 20 // of a deployment; values have a limit of their own
	maxArchive = 4 << 20
)

type store interface {
	FindGroup(ctx context.Context, org, id string) (group.Group, error)
	FindGroupByName(ctx context.Context, org, name string) (group.Group, error)
	FindClusters(ctx context.Context, org string, ids []string) (map[string]cluster.Cluster, error)
	FindDeploymentByName(ctx context.Context, org, groupID, releaseName string) (deployment.Deployment, error)
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error)
	ListDeployments(ctx context.Context, org, groupID string, page dynamo.Page) ([]deployment.Deployment, string, error)
	ListGenerations(ctx context.Context, org, deploymentID string, page dynamo.Page) ([]deployment.Generation, string, error)
	FindReleases(ctx context.Context, keys []release.Key) (map[release.Key]release.Release, error)
	FindRepository(ctx context.Context, org, name string) (repository.Repository, error)
	FindSource(ctx context.Context, org, name string) (source.Source, error)
	AdmitDeployment(ctx context.Context, a dynamo.Admission) (deployment.Deployment, run.Run, error)
	AdmitPlan(ctx context.Context, d deployment.Draft, r run.Run) (run.Run, error)
}

type objects interface {
	GetChart(ctx context.Context, org, digest string) ([]byte, error)
	PutChart(ctx context.Context, org, digest string, archive []byte) error
	GetValues(ctx context.Context, org, ref string, into any) error
	GetFindings(ctx context.Context, org, ref string) ([]drift.Finding, error)
	PutValues(ctx context.Context, org string, v any) (ref, digest string, err error)
}

type charts interface {
	Resolve(ctx context.Context, ref catalog.Ref, version string, source catalog.Source) (catalog.Resolved, error)
	Fetch(ctx context.Context, r catalog.Resolved, source catalog.Source) ([]byte, error)
}

type credentials interface {
	OfRepository(ctx context.Context, r repository.Repository) (repository.Credential, error)
}

type machines interface {
	Start(ctx context.Context, machine, name string, input any) error
}

type handler struct {
	store    store
	objects  objects
	charts   charts
	machines machines
	log      *slog.Logger
	now      func() time.Time

	credentials credentials
}

// CreateDeployment accepts a new deployment and starts the run that brings it to the group's members.
func (h handler) CreateDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, groupID openapi.GroupPath, params openapi.CreateDeploymentParams) {
	h.admit(w, r, org, groupID, params.Field, "")
}

// UpdateDeployment accepts a new generation of a deployment and starts the run that brings it to the group's members of now.
func (h handler) UpdateDeployment(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, groupID openapi.GroupPath, name openapi.ReleaseNamePath, params openapi.UpdateDeploymentParams) {
	h.admit(w, r, org, groupID, params.Field, name)
}

// admit accepts an intent: releaseName names the deployment that is updated; none creates one.
func (h handler) admit(w http.ResponseWriter, r *http.Request, org, groupID string, field openapi.FieldQuery, releaseName string) {
	body, err := openapi.Decode[openapi.DeploymentRequest](r, maxBody)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	in := intake{handler: h, org: org, actor: openapi.PrincipalOf(r.Context()).Name, body: body, ifMatch: r.Header.Get("If-Match"), role: openapi.PrincipalOf(r.Context()).Role}
	accepted, err := in.admit(r.Context(), groupID, field, releaseName)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	admitted := accepted.run
	h.start(r.Context(), admitted)
	w.Header().Set("Location", openapi.RunLocation(admitted))
	openapi.Write(w, http.StatusAccepted, openapi.AcceptedOf(accepted.deployment, admitted, accepted.members))
}

// start starts a run's machine. A start that fails is not the caller's concern: the sweeper starts the run under the same name.
func (h handler) start(ctx context.Context, admitted run.Run) {
	if err := h.machines.Start(ctx, admitted.Type.Machine(), admitted.ID, admitted.Ref()); err != nil {
		h.log.ErrorContext(ctx, "starting a run; the sweeper will", "run", admitted.ID, "error", err.Error())
	}
}

// PushChart keeps a chart archive, by its digest.
func (h handler) PushChart(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	archive, err := openapi.ReadBody(r, "application/gzip", maxArchive)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	meta, digest, err := h.keepChart(r.Context(), org, archive)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	openapi.Write(w, http.StatusCreated, openapi.Chart{Name: meta.Name, Version: meta.Version, Digest: digest, Ref: digest})
}

func (h handler) keepChart(ctx context.Context, org string, archive []byte) (chart.Meta, string, error) {
	meta, err := chart.Check(archive)
	if err != nil {
		return meta, "", err
	}
	digest := chart.Digest(archive)
	if err := h.objects.PutChart(ctx, org, digest, archive); err != nil {
		return meta, "", fmt.Errorf("keeping chart %s: %w", meta.Name, err)
	}
	return meta, digest, nil
}

// notBuilt refuses fields that Pipeline took and that do nothing here yet: they would be dropped in silence.
func notBuilt(body openapi.DeploymentRequest) error {
	for field, set := range map[string]bool{
		"rollingMode": body.RollingMode, "package": body.Package != "",
	} {
		if set {
			return problem.Invalid("not-built-yet", "%s is not built yet", field).At(field).Try("leave it out")
		}
	}
	return nil
}
