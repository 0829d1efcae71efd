package deployment_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

func TestGuardRemovals(t *testing.T) {
	cases := map[string]struct {
		limit, removed, held int
		stops                bool
	}{
		"nothing":                  {0, 0, 0, false},
		"nothing of some":          {0, 0, 3, false},
		"the only one":             {0, 1, 1, true},
		"half":                     {0, 1, 2, false},
		"all":                      {0, 2, 2, true},
		"more than half":           {0, 2, 3, true},
		"within a stricter limit":  {10, 10, 100, false},
		"beyond a stricter limit":  {10, 11, 100, true},
		"a fraction beyond":        {33, 1, 3, true},
		"all, where all may go":    {100, 5, 5, false},
		"one, where one percent":   {1, 1, 100, false},
		"two, where one percent":   {1, 2, 100, true},
		"one of few, one percent":  {1, 1, 99, true},
		"500 of 1000 are the half": {50, 500, 1000, false},
	}
	for name, c := range cases {
		d := deployment.Deployment{ReleaseName: "web", RemovalLimit: c.limit}
		err := d.GuardRemovals(c.removed, c.held)
		if p, ok := problem.From(err); ok != c.stops || ok && (p.Code != "removal-guard" || p.Status != 409 || p.Remedy == "") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestValidateRemovalLimit(t *testing.T) {
	for percent, good := range map[int]bool{-1: false, 0: false, 1: true, 50: true, 100: true, 101: false} {
		if err := deployment.ValidateRemovalLimit(percent); (err == nil) != good {
			t.Errorf("%d: %v", percent, err)
		}
	}
}

func TestMoves(t *testing.T) {
	cases := map[string]struct {
		deployment    deployment.Deployment
		members, held []string
		join, leave   []string
	}{
		"as it should be":                    {deployment.Deployment{InstallOnJoin: true}, []string{"a", "b"}, []string{"b", "a"}, nil, nil},
		"joined, and waits for an update":    {deployment.Deployment{}, []string{"a", "b"}, []string{"a"}, nil, nil},
		"joined, and is installed at once":   {deployment.Deployment{InstallOnJoin: true}, []string{"a", "b"}, []string{"a"}, []string{"b"}, nil},
		"left":                               {deployment.Deployment{}, []string{"a"}, []string{"a", "b"}, nil, []string{"b"}},
		"one joined and one left":            {deployment.Deployment{InstallOnJoin: true}, []string{"a", "c"}, []string{"a", "b"}, []string{"c"}, []string{"b"}},
		"an emptied group":                   {deployment.Deployment{InstallOnJoin: true}, nil, []string{"a", "b"}, nil, []string{"a", "b"}},
		"a deployment that is being removed": {deployment.Deployment{InstallOnJoin: true, Deleting: true}, []string{"c"}, []string{"a"}, nil, nil},
	}
	for name, c := range cases {
		join, leave := c.deployment.Moves(c.members, c.held)
		if diff := cmp.Diff([][]string{c.join, c.leave}, [][]string{join, leave}); diff != "" {
			t.Errorf("%s: join, leave (-want +got):\n%s", name, diff)
		}
	}
}
