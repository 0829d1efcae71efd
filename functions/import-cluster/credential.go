package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// SetClusterCredential keeps another kubeconfig of a cluster, once the same cluster was reached with it.
func (h handler) SetClusterCredential(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, id openapi.ClusterPath, params openapi.SetClusterCredentialParams) {
	c, err := h.setCredential(r, org, id, params)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, c.Revision, openapi.ClusterOf(c))
}

func (h handler) setCredential(r *http.Request, org, idOrName string, params openapi.SetClusterCredentialParams) (cluster.Cluster, error) {
	ctx := r.Context()
	body, err := openapi.Decode[openapi.ClusterCredentialRequest](r, maxBody)
	if err != nil {
		return cluster.Cluster{}, err
	}
	c, err := h.find(ctx, org, idOrName, params.Field)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, c.Revision)
	}
	if err != nil {
		return c, err
	}
	cred, err := kube.ParseKubeconfig([]byte(string(body.Kubeconfig)))
	if err != nil {
		return c, err
	}
	probe, err := h.probe(ctx, cred)
	if err != nil {
		return c, err
	}
	if probe.UID != c.UID {
		return c, problem.Conflict("cluster-differs", "the kubeconfig reaches another cluster than %s", c.Name).At("kubeconfig").
			Try("give a kubeconfig of the same cluster; another one is imported under a name of its own")
	}
	c = c.With(cred.Server)
	c.CheckedAt, c.Version, c.Nodes = h.now().UTC(), probe.Version, probe.Nodes
	return c, h.replace(ctx, c, cred)
}

func (h handler) find(ctx context.Context, org, idOrName string, field openapi.FieldQuery) (cluster.Cluster, error) {
	if field == openapi.FieldName {
		return h.store.FindClusterByName(ctx, org, idOrName)
	}
	return h.store.FindCluster(ctx, org, idOrName)
}

// replace keeps the credential first: who dies before the record is changed leaves one that reaches the same cluster.
func (h handler) replace(ctx context.Context, c cluster.Cluster, cred kube.Credential) error {
	raw, err := cred.Marshal()
	if err == nil {
		err = h.secrets.Put(ctx, cluster.SecretName(c.Org, c.ID), raw)
	}
	if err == nil {
		err = h.store.SetCredential(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("replacing the credential of cluster %s: %w", c.Name, err)
	}
	return nil
}
