package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

// UpdateCluster keeps what describes the cluster: its labels, cloud, distribution and location, if it still has the expected revision.
func (s *Store) UpdateCluster(ctx context.Context, c cluster.Cluster, expectedRevision int64) (cluster.Cluster, error) {
	c.Revision = expectedRevision + 1
	var u expression.UpdateBuilder
	u = set(set(set(set(u, "Labels", c.Labels), "Cloud", c.Cloud), "Distribution", c.Distribution), "Location", c.Location)
	err := s.update(ctx, clusterKey(c.Org, c.ID), set(u, "Revision", c.Revision), atRevision(expectedRevision), nil)
	if !conditionFailed(err) {
		return c, err
	}
	if _, err := s.FindCluster(ctx, c.Org, c.ID); err != nil {
		return c, err
	}
	return c, clusterChanged(c.Name)
}

// atRevision is the condition that the cluster is there and still has that revision.
func atRevision(revision int64) expression.ConditionBuilder {
	unchanged := equal("Revision", revision)
	if revision == 0 { // of an item from before there were revisions
		unchanged = unchanged.Or(expression.AttributeNotExists(expression.Name("Revision")))
	}
	return exists().And(unchanged)
}

func clusterChanged(name string) *problem.Problem {
	return problem.Conflict("cluster-changed", "cluster %q was changed by somebody else meanwhile", name).Try("read it again and repeat the change")
}

// CheckSooner makes the cluster due at the given time, if it is not before.
func (s *Store) CheckSooner(ctx context.Context, org, id string, at time.Time) error {
	later := expression.Name("DueSK").GreaterThan(expression.Value(sortable(at)))
	err := s.update(ctx, clusterKey(org, id), s.due(id, at), later, nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}
