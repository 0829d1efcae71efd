package main

import (
	"context"
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// holding is the store of a deployment that has releases on these clusters.
type holding struct {
	store
	clusters []string
}

func (h holding) ListReleasesOfOwner(_ context.Context, org string, owner release.Owner) ([]release.Release, error) {
	var releases []release.Release
	for _, id := range h.clusters {
		releases = append(releases, release.Release{Key: release.Key{Org: org, ClusterID: id}, Owner: owner, Desired: &release.Desired{}})
	}
	return releases, nil
}

// A run is judged by all that its deployment has to lose: a run for one cluster must not do what one for all may not.
func TestGuard(t *testing.T) {
	cases := map[string]struct {
		targets, held, members []string
		confirmed              bool
		stops                  bool
	}{
		"members alone":                {targets: []string{"a"}, held: []string{"a", "x", "y"}, members: []string{"a"}},
		"one of two goes":              {targets: []string{"a", "b"}, held: []string{"a", "b"}, members: []string{"a"}},
		"one of many that have to go":  {targets: []string{"b"}, held: []string{"a", "b", "c", "d"}, members: []string{"a"}, stops: true},
		"all of an emptied group":      {targets: []string{"a", "b"}, held: []string{"a", "b"}, stops: true},
		"the same, confirmed":          {targets: []string{"a", "b"}, held: []string{"a", "b"}, confirmed: true},
		"who has no release may leave": {targets: []string{"b"}, held: []string{"a"}, members: []string{"a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := plan{handler: handler{store: holding{clusters: c.held}}, deployment: deployment.Deployment{ReleaseName: "web"},
				run: run.Run{ConfirmRemovals: c.confirmed}, members: map[string]bool{}}
			for _, id := range c.members {
				p.members[id] = true
			}
			var targets []run.Target
			for _, id := range c.targets {
				targets = append(targets, run.Target{ClusterID: id, Status: run.TargetWaiting})
			}
			if err := p.guard(t.Context(), targets); problem.Is(err, "removal-guard") != c.stops || (err != nil) != c.stops {
				t.Errorf("got %v", err)
			}
		})
	}
}
