package deployment_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
)

func TestCorrects(t *testing.T) {
	correct := deployment.Deployment{Generation: 2, Mode: deployment.Correct}
	detect, deleting, newer := correct, correct, correct
	detect.Mode, deleting.Deleting, newer.Generation = deployment.Detect, true, 3
	brought := release.Release{Desired: &release.Desired{Generation: 2, RunID: "r"}}
	missed, older := brought, brought
	missed.CatchUp, older.CatchUp = &release.CatchUp{RunID: "r", Generation: 2}, &release.CatchUp{RunID: "before", Generation: 1}
	cases := map[string]struct {
		deployment deployment.Deployment
		release    release.Release
		want       bool
	}{
		"it corrects":                  {correct, brought, true},
		"it detects":                   {detect, brought, false},
		"it detects, and a run missed": {detect, missed, true},
		"it detects, and an older did": {detect, older, false},
		"it is being removed":          {deleting, missed, false},
		"a newer generation comes":     {newer, missed, false},
		"no run has reached it":        {correct, release.Release{}, false},
	}
	for name, c := range cases {
		if got := c.deployment.Corrects(c.release); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
