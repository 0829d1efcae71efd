package run_test

import (
	"testing"

	"github.com/swell-sh/swell/shared/run"
)

func TestForgotten(t *testing.T) {
	target := func(name string, status run.TargetStatus) run.Target {
		return run.Target{ClusterName: name, Status: status}
	}
	cases := map[string]struct {
		targets []run.Target
		status  run.Status
		cause   string
	}{
		"all were removed": {[]run.Target{target("a", run.TargetSucceeded)}, run.Succeeded, ""},
		"none is there":    {nil, run.Succeeded, ""},
		"one is left":      {[]run.Target{target("a", run.TargetSucceeded), target("b", run.TargetFailed)}, run.Partial, "the deployment is forgotten, and its release is left on b"},
		"all are left":     {[]run.Target{target("a", run.TargetUnreachable), target("b", run.TargetFailed)}, run.Partial, "the deployment is forgotten, and its release is left on a, b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if status, code, cause := run.Forgotten(c.targets); status != c.status || cause != c.cause || (code == "") != (cause == "") {
				t.Errorf("got %s %q %q", status, code, cause)
			}
		})
	}
}
