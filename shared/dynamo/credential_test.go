//go:build stack

package dynamo_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/cluster"
)

// A cluster gets another credential only as it was read, and is then due for a look.
func TestSetCredential(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	c := filled[cluster.Cluster](t)
	c.GroupID = ""
	must(t, s.CreateCluster(ctx, c))
	next := c.With("https://new.example")
	next.CheckedAt = noon
	must(t, s.SetCredential(ctx, next))
	got, err := s.FindCluster(ctx, c.Org, c.ID)
	must(t, err)
	if got.Access != next.Access || got.Revision != c.Revision+1 || !got.NextCheckAt.Equal(noon) {
		t.Errorf("it is %+v", got)
	}
	wantProblem(t, s.SetCredential(ctx, next), "cluster-changed", 409)
	next.ID = "nobody"
	wantProblem(t, s.SetCredential(ctx, next), "cluster-not-found", 404)
}
