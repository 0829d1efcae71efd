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
	wants := func(setup cluster.RelaySetup) {
		t.Helper()
		c.RelaySetup = setup
		got, err := s.FindCluster(t.Context(), orgA, c.ID)
		must(t, err)
		wantEqual(t, got, c)
	}
	must(t, s.OrderRelay(t.Context(), orgA, c.ID, true, cluster.RelayInstalling, at))
	wants(cluster.RelaySetup{Wanted: true, Status: cluster.RelayInstalling, ChangedAt: at})
	made := cluster.RelaySetup{
		Wanted: true, Status: cluster.RelayFailed, ChartVersion: "1.0.0", Error: "no rights", ChangedAt: at, KeyRotatedAt: at.Add(-time.Hour), Rotating: true,
	}
	must(t, s.SetRelaySetup(t.Context(), orgA, c.ID, made))
	wants(made)

	// what is wanted is written by who orders alone, and of the rest no more than it says
	ordered := made
	ordered.Wanted, ordered.Status, ordered.Error, ordered.ChangedAt = false, cluster.RelayRemoving, "", at.Add(time.Minute)
	must(t, s.OrderRelay(t.Context(), orgA, c.ID, false, cluster.RelayRemoving, ordered.ChangedAt))
	wants(ordered)
	made.Status, made.Error = cluster.RelayInstalled, ""
	must(t, s.SetRelaySetup(t.Context(), orgA, c.ID, made)) // of an install that began before
	wants(ordered)
	must(t, s.SetRelaySetup(t.Context(), orgA, c.ID, cluster.RelaySetup{ChangedAt: at}))
	wants(cluster.RelaySetup{ChangedAt: at})

	wantProblem(t, s.SetRelaySetup(t.Context(), orgB, c.ID, made), "cluster-not-found", 404)
	wantProblem(t, s.OrderRelay(t.Context(), orgB, c.ID, true, cluster.RelayInstalling, at), "cluster-not-found", 404)
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
