//go:build stack

package dynamo_test

import (
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
)

func TestRelaySetupIsKept(t *testing.T) {
	s := newStore(t)
	c := newCluster(orgA, "edge")
	must(t, s.CreateCluster(t.Context(), c))
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c.RelaySetup = cluster.RelaySetup{
		Wanted: true, Status: cluster.RelayFailed, ChartVersion: "1.0.0", Error: "no rights", ChangedAt: at, KeyRotatedAt: at.Add(-time.Hour), Rotating: true,
	}
	must(t, s.SetRelaySetup(t.Context(), orgA, c.ID, c.RelaySetup))
	got, err := s.FindCluster(t.Context(), orgA, c.ID)
	must(t, err)
	wantEqual(t, got, c)
	wantProblem(t, s.SetRelaySetup(t.Context(), orgB, c.ID, c.RelaySetup), "cluster-not-found", 404)
}

// One at a time writes a cluster's relay; who died is replaced when its time is over.
func TestLeaseOfARelay(t *testing.T) {
	s := newStore(t)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	lease := func(holder string, at time.Time, want bool) {
		t.Helper()
		ours, err := s.LeaseRelay(t.Context(), orgA, "c", holder, at, at.Add(time.Minute))
		must(t, err)
		wantEqual(t, ours, want)
	}
	lease("a", now, true)
	lease("a", now, true) // the call whose answer was lost, sent again
	lease("b", now.Add(59*time.Second), false)
	lease("b", now.Add(time.Minute), true)
	must(t, s.FreeRelay(t.Context(), orgA, "c", "a")) // it is not a's any more
	lease("c", now.Add(61*time.Second), false)
	must(t, s.FreeRelay(t.Context(), orgA, "c", "b"))
	must(t, s.FreeRelay(t.Context(), orgA, "c", "b"))
	lease("c", now.Add(61*time.Second), true)
}
