package release_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/release"
)

func TestCountRemovals(t *testing.T) {
	on := func(clusterID string, desired *release.Desired, observed *release.Observed) release.Release {
		return release.Release{Key: release.Key{ClusterID: clusterID}, Desired: desired, Observed: observed}
	}
	wanted, there, gone := &release.Desired{}, &release.Observed{}, &release.Observed{Absent: true}
	owned := []release.Release{
		on("member", wanted, there), on("left", wanted, there), on("left, never seen", wanted, nil),
		on("left, only claimed", nil, nil), on("left, gone already", wanted, gone), on("member, gone by hand", wanted, gone),
	}
	removed, held := release.CountRemovals(owned, []string{"member", "member, gone by hand"})
	if removed != 2 || held != 3 {
		t.Errorf("removed %d of %d", removed, held)
	}
}
