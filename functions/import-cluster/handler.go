package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	maxBody   = 256 << 10
	probeTime = 15 * time.Second
)

type store interface {
	CreateCluster(ctx context.Context, c cluster.Cluster) error
	KeptGroups(ctx context.Context, org string) ([]group.Group, error)
	RequestReview(ctx context.Context, org, groupID string, at time.Time) error
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	SetCredential(ctx context.Context, c cluster.Cluster) error
	OrderRelay(ctx context.Context, org, id string, wanted bool, status cluster.RelayStatus, at time.Time) error
	SetRelaySetup(ctx context.Context, org, id string, r cluster.RelaySetup) error
	FindClusterByName(ctx context.Context, org, name string) (cluster.Cluster, error)
}

type credentials interface {
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
}

type handler struct {
	store   store
	secrets credentials
	orders  orders
	relays  bool // whether a cluster gets a relay where its request does not say
	policy  netguard.Policy
	log     *slog.Logger
	now     func() time.Time
}

// ImportCluster takes a cluster once its kubeconfig was checked and the cluster was reached with it.
func (h handler) ImportCluster(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	c, err := h.importCluster(r, org)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+c.ID)
	openapi.Write(w, http.StatusCreated, openapi.ClusterOf(c))
}

func (h handler) importCluster(r *http.Request, org string) (cluster.Cluster, error) {
	ctx := r.Context()
	body, err := openapi.Decode[openapi.ImportClusterRequest](r, maxBody)
	if err != nil {
		return cluster.Cluster{}, err
	}
	now := h.now().UTC()
	c := cluster.Cluster{
		Org: org, ID: id.New(), Name: body.Name, Cloud: body.Cloud, Distribution: body.Distribution, Location: body.Location, Labels: body.Labels,
		Runner: cluster.RunnerLambda, Status: cluster.Running, StatusSince: now, CheckedAt: now, CreatedAt: now, CreatedBy: openapi.PrincipalOf(ctx).Name,
	}
	if err := c.Validate(); err != nil {
		return c, err
	}
	cred, err := kube.ParseKubeconfig([]byte(string(body.Kubeconfig)))
	if err != nil {
		return c, err
	}
	if _, err := h.store.FindClusterByName(ctx, org, c.Name); err == nil {
		return c, problem.Conflict("cluster-name-taken", "a cluster named %s was imported before", c.Name).At("name").Try("choose another name")
	}
	probe, err := h.probe(ctx, cred)
	if err != nil {
		return c, err
	}
	c.UID, c.Version, c.Nodes = probe.UID, probe.Version, probe.Nodes
	c.Access = cluster.Access{Mode: cluster.AccessPublic, Endpoint: cred.Server, CredentialRef: cluster.SecretName(org, c.ID)}
	c.NextCheckAt = c.NextCheck(cluster.CheckEvery, true, now)
	if !h.wantsRelay(body.Relay) {
		return c, h.keep(ctx, c, cred)
	}
	c.RelaySetup = wish(c.RelaySetup, workflow.RelayInstall, now)
	if err := h.keep(ctx, c, cred); err != nil {
		return c, err
	}
	return h.orderFirst(ctx, c), nil
}

// probe reaches the cluster once: a cluster that does not answer is not accepted.
func (h handler) probe(ctx context.Context, cred kube.Credential) (kube.Probe, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	client, err := kube.New(cred, h.policy)
	if err != nil {
		return kube.Probe{}, unreachable(err)
	}
	defer client.Close()
	probe, err := client.Probe(ctx)
	if err != nil {
		return probe, unreachable(err)
	}
	return probe, nil
}

func unreachable(err error) error {
	if p, ok := problem.From(err); ok {
		if p = p.At("kubeconfig"); p.Remedy == "" {
			p = p.Try("give a server that Swell may reach: the installation's parameter AllowedNetworks names the private networks that it may")
		}
		return p
	}
	cause := err.Error()
	if _, denied := errors.AsType[*kube.UnauthorizedError](err); denied {
		return problem.Invalid("cluster-unauthorized", "the cluster does not accept the kubeconfig's credential: %s", cause).At("kubeconfig").
			Try("use a credential that may read nodes, namespaces and secrets")
	}
	p := problem.Invalid("cluster-unreachable", "the cluster does not answer: %s", cause).At("kubeconfig")
	if netguard.Refused(err) {
		return p.Try("the address is in a private network: the installation's parameter AllowedNetworks must name it")
	}
	return p.Try("check the server's address and its certificate, and that it can be reached from Swell")
}

// keep writes the credential first: a record without one would be of no use, a credential without a record is deleted.
func (h handler) keep(ctx context.Context, c cluster.Cluster, cred kube.Credential) error {
	raw, err := cred.Marshal()
	if err != nil {
		return fmt.Errorf("keeping the credential of cluster %s: %w", c.Name, err)
	}
	if err := h.secrets.Put(ctx, c.Access.CredentialRef, raw); err != nil {
		return fmt.Errorf("keeping the credential of cluster %s: %w", c.Name, err)
	}
	if err := h.joins(ctx, c); err != nil {
		return err
	}
	if err := h.store.CreateCluster(ctx, c); err != nil {
		if _, refused := problem.From(err); !refused {
			return err // it may have been written all the same
		}
		if deleteErr := h.secrets.Delete(context.WithoutCancel(ctx), c.Access.CredentialRef); deleteErr != nil {
			h.log.ErrorContext(ctx, "deleting the credential of a cluster that was not accepted", "cluster", c.ID, "error", deleteErr.Error())
		}
		return err
	}
	return nil
}

// joins asks for the review of the groups whose selector chooses the cluster: reconcile then installs on it what installs on joining.
func (h handler) joins(ctx context.Context, c cluster.Cluster) error {
	groups, err := h.store.KeptGroups(ctx, c.Org)
	if err != nil {
		return fmt.Errorf("finding the groups of cluster %s: %w", c.Name, err)
	}
	for _, g := range groups {
		if g.Selector == nil || !g.Has(c) {
			continue
		}
		if err := h.store.RequestReview(ctx, g.Org, g.ID, h.now().Add(group.QuietFor)); err != nil {
			return fmt.Errorf("asking for the review of group %s: %w", g.Name, err)
		}
	}
	return nil
}
