package healthcheck_test

import (
	"context"
	"errors"
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/release"
)

type generations func(org, deploymentID string, n int) (deployment.Generation, error)

func (g generations) FindGeneration(_ context.Context, org, deploymentID string, n int) (deployment.Generation, error) {
	return g(org, deploymentID, n)
}

func TestRulesOf(t *testing.T) {
	own := release.Release{Key: release.Key{Org: "o", Namespace: "shop", Name: "web"}, Owner: release.OwnedByDeployment("d"), Desired: &release.Desired{Generation: 3, HealthChecks: true}}
	without, unreached := own, own
	without.Desired, unreached.Desired = &release.Desired{Generation: 3}, nil
	kept := generations(func(org, id string, n int) (deployment.Generation, error) {
		if org != "o" || id != "d" || n != 3 {
			return deployment.Generation{}, errors.New("another one is asked for")
		}
		return deployment.Generation{HealthChecks: []deployment.HealthCheck{widget("true")}}, nil
	})
	lost := generations(func(string, string, int) (deployment.Generation, error) {
		return deployment.Generation{}, errors.New("no answer")
	})
	cases := map[string]struct {
		all     generations
		release release.Release
		rules   int
		fails   bool
	}{
		"its generation has one":  {kept, own, 1, false},
		"its generation has none": {lost, without, 0, false}, // which nobody reads
		"no run has reached it":   {lost, unreached, 0, false},
		"it cannot be read":       {lost, own, 0, true},
	}
	for name, c := range cases {
		rules, err := healthcheck.RulesOf(t.Context(), c.all, c.release)
		if len(rules) != c.rules || (err != nil) != c.fails {
			t.Errorf("%s: %d rules, %v", name, len(rules), err)
		}
	}
}
