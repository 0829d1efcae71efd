package run_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/run"
)

func TestBringsAll(t *testing.T) {
	cases := map[string]struct {
		run           run.Run
		brings, rolls bool
	}{
		"a deploy":                  {run.Run{Type: run.Deploy}, true, false},
		"a rollback":                {run.Run{Type: run.Rollback}, true, true},
		"a redrive of a rollback":   {run.Run{Type: run.Rollback, RedriveOf: "r", Only: []string{"c"}}, true, false},
		"a sync":                    {run.Run{Type: run.Sync}, true, false},
		"reconcile's, of one":       {run.Run{Type: run.Sync, Only: []string{"c"}}, false, false},
		"a cluster that joined":     {run.Run{Type: run.Join, Only: []string{"c"}}, false, false},
		"a look":                    {run.Run{Type: run.Check}, false, false},
		"a plan":                    {run.Run{Type: run.Plan}, false, false},
		"a removal from ex-members": {run.Run{Type: run.Leave}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.run.BringsAll() != c.brings || c.run.IsRollback() != c.rolls {
				t.Errorf("brings %t, rolls back %t", c.run.BringsAll(), c.run.IsRollback())
			}
		})
	}
}
