package deployment_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

func TestSettings(t *testing.T) {
	before := deployment.Deployment{Mode: deployment.Detect, RemovalLimit: 20, Ignore: []deployment.Ignore{{Kind: "Secret"}}}
	yes, thirty, none := true, 30, []deployment.Ignore{}
	rules := func(rules ...deployment.Ignore) deployment.Settings { return deployment.Settings{Ignore: &rules} }
	after := func(change func(*deployment.Deployment)) deployment.Deployment {
		d := before
		change(&d)
		return d
	}
	cases := map[string]struct {
		settings deployment.Settings
		want     deployment.Deployment
		code, at string
	}{
		"nothing":         {deployment.Settings{}, before, "", ""},
		"mode":            {deployment.Settings{Mode: deployment.Correct}, after(func(d *deployment.Deployment) { d.Mode = deployment.Correct }), "", ""},
		"install on join": {deployment.Settings{InstallOnJoin: &yes}, after(func(d *deployment.Deployment) { d.InstallOnJoin = true }), "", ""},
		"removal limit":   {deployment.Settings{RemovalLimit: &thirty}, after(func(d *deployment.Deployment) { d.RemovalLimit = 30 }), "", ""},
		"no limit":        {deployment.Settings{RemovalLimit: new(int)}, before, "removal-limit-invalid", "removalLimitPercent"},
		"other rules":     {rules(deployment.Ignore{Path: "spec.replicas"}), after(func(d *deployment.Deployment) { d.Ignore = []deployment.Ignore{{Path: "spec.replicas"}} }), "", ""},
		"no rules":        {deployment.Settings{Ignore: &none}, after(func(d *deployment.Deployment) { d.Ignore = none }), "", ""},
		"an empty rule":   {rules(deployment.Ignore{Kind: "Pod"}, deployment.Ignore{}), before, "drift-ignore-invalid", "driftIgnore[1]"},
		"no path":         {rules(deployment.Ignore{Path: "spec..x"}), before, "drift-ignore-invalid", "driftIgnore[0].path"},
		"too many":        {rules(make([]deployment.Ignore, deployment.MaxIgnore+1)...), before, "drift-ignore-invalid", "driftIgnore"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := before.With(c.settings)
			if p, _ := problem.From(err); c.code != "" && (p == nil || p.Code != c.code || p.Field != c.at) {
				t.Fatalf("got %v, want %s at %s", err, c.code, c.at)
			}
			if diff := cmp.Diff(c.want, got); c.code == "" && (err != nil || diff != "") {
				t.Errorf("%v, differs (-want +got):\n%s", err, diff)
			}
		})
	}
}
