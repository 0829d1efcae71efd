package task_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
)

func TestStopped(t *testing.T) {
	turned := run.Run{Type: run.Deploy, Generation: 2, Phase: run.Reverting}
	canceled := turned
	canceled.CancelRequested = true
	cases := map[string]struct {
		run        run.Run
		generation int
		back       bool
		code       string
	}{
		"it goes on":                     {run.Run{Type: run.Deploy, Generation: 2}, 2, false, ""},
		"canceled":                       {run.Run{Type: run.Deploy, Generation: 2, CancelRequested: true}, 2, false, "canceled"},
		"a newer generation":             {run.Run{Type: run.Deploy, Generation: 2}, 3, false, "superseded"},
		"turned around":                  {turned, 2, false, "reverted"},
		"turned around, on the way back": {turned, 2, true, ""},
		"canceled on the way back":       {canceled, 2, true, "canceled"},
		"a newer one, on the way back":   {turned, 3, true, "superseded"},
	}
	for name, c := range cases {
		err := task.Stopped(c.run, deployment.Deployment{Generation: c.generation}, c.back)
		if (err == nil) != (c.code == "") || err != nil && taskerr.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
