package kube

import (
	"context"
	"fmt"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/taskerr"
)

// Opener makes clients for clusters whose credential is kept.
type Opener struct {
	Credentials interface {
		Get(ctx context.Context, name string) (secrets.Secret, error)
	}
	Policy netguard.Policy
}

// Credential returns the cluster's kept credential. That it cannot be read may pass, so the machines try again; but it is the cluster's own
// fault, and the others go on.
func (o Opener) Credential(ctx context.Context, c cluster.Cluster) (Credential, error) {
	raw, err := o.Credentials.Get(ctx, c.Access.CredentialRef)
	if err != nil {
		err = fmt.Errorf("reading the credential of cluster %s: %w", c.Name, err)
		return Credential{}, taskerr.New(taskerr.Internal, "credential-unreadable", err)
	}
	return UnmarshalCredential(raw.Reveal())
}

// Open returns a client of the cluster; the caller closes it. No request is made yet.
func (o Opener) Open(ctx context.Context, c cluster.Cluster) (*Client, error) {
	cred, err := o.Credential(ctx, c)
	if err != nil {
		return nil, err
	}
	return New(cred, o.Policy)
}
