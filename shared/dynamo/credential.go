package dynamo

import (
	"context"

	"github.com/swell-sh/swell/shared/cluster"
)

// SetCredential records how the cluster is reached since its credential was replaced, unless somebody changed the cluster meanwhile; c has the
// revision that it then gets. It is due for a look at once.
func (s *Store) SetCredential(ctx context.Context, c cluster.Cluster) error {
	u := s.due(c.ID, c.CheckedAt)
	u = set(set(set(u, "CredentialRef", c.Access.CredentialRef), "Endpoint", c.Access.Endpoint), "Revision", c.Revision)
	err := s.update(ctx, clusterKey(c.Org, c.ID), u, atRevision(c.Revision-1), nil)
	if !conditionFailed(err) {
		return err
	}
	if _, err := s.FindCluster(ctx, c.Org, c.ID); err != nil {
		return err
	}
	return clusterChanged(c.Name)
}
