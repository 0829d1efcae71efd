package run_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/run"
)

func TestRedrive(t *testing.T) {
	some := []run.Target{
		{ClusterID: "a", Status: run.TargetSucceeded}, {ClusterID: "b", Status: run.TargetFailed}, {ClusterID: "c", Status: run.TargetCanceled},
		{ClusterID: "d", Status: run.TargetSuperseded},
	}
	cases := map[string]struct {
		run     run.Run
		targets []run.Target
		only    []string
		code    string // none: it is one
	}{
		"what failed and what was canceled": {run.Run{Type: run.Deploy, Status: run.Partial}, some, []string{"b", "c"}, ""},
		"a rollback":                        {run.Run{Type: run.Rollback, Status: run.Partial}, some, []string{"b", "c"}, ""},
		"a sync of some":                    {run.Run{Type: run.Sync, Status: run.Failed, Only: []string{"b"}}, some[1:2], []string{"b"}, ""},
		"a removal: what is left":           {run.Run{Type: run.Remove, Status: run.Partial}, some, nil, ""},
		"one that failed before it began":   {run.Run{Type: run.Sync, Status: run.Failed, Only: []string{"b"}}, nil, []string{"b"}, ""},
		"a group that was empty":            {run.Run{Type: run.Deploy, Status: run.Succeeded}, nil, nil, "nothing-to-redrive"},
		"nothing failed":                    {run.Run{Type: run.Deploy, Status: run.Succeeded}, some[:1], nil, "nothing-to-redrive"},
		"overtaken":                         {run.Run{Type: run.Deploy, Status: run.Superseded}, some[3:], nil, "nothing-to-redrive"},
		"a plan":                            {run.Run{Type: run.Plan, Status: run.Partial}, some, nil, "nothing-to-redrive"},
		"of clusters that left":             {run.Run{Type: run.Leave, Status: run.Partial}, some, nil, "nothing-to-redrive"},
		"under way":                         {run.Run{Type: run.Deploy, Status: run.Running}, some, nil, "run-not-done"},
		"not begun":                         {run.Run{Type: run.Deploy, Status: run.Pending}, nil, nil, "run-not-done"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.run.Org, c.run.ID, c.run.Force = "o", "r", true
			ended := c.run.About("d", "g", "web", 3)
			got, err := ended.Redrive(c.targets)
			if c.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != c.code || p.Status != 409 || p.Remedy == "" {
					t.Errorf("got %v, want %s", err, c.code)
				}
				return
			}
			want := run.Run{Org: "o", Type: ended.Type, RedriveOf: "r", Force: true, Only: c.only}.About("d", "g", "web", 3)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
