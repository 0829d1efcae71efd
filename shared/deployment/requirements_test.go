package deployment_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

func wantProblem(t *testing.T, err error, code, field, detail string) {
	t.Helper()
	p, ok := problem.From(err)
	switch {
	case code == "" && err != nil:
		t.Errorf("refused: %v", err)
	case code != "" && (!ok || p.Code != code || p.Field != field || !strings.Contains(p.Detail, detail) || p.Remedy == ""):
		t.Errorf("got %+v, want %s at %s: %s", p, code, field, detail)
	}
}

func TestValidateHealthChecks(t *testing.T) {
	good := deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: "status.ok"}
	with := func(change func(*deployment.HealthCheck)) []deployment.HealthCheck {
		c := good
		change(&c)
		return []deployment.HealthCheck{c}
	}
	named := good
	named.Name = "a"
	cases := map[string]struct {
		checks      []deployment.HealthCheck
		code, field string
	}{
		"none":                {},
		"one":                 {checks: []deployment.HealthCheck{good}},
		"one of all, one":     {checks: []deployment.HealthCheck{good, named}},
		"twice":               {[]deployment.HealthCheck{good, good}, "health-check-invalid", "healthChecks[1]"},
		"too many":            {make([]deployment.HealthCheck, 11), "health-check-invalid", "healthChecks"},
		"no apiVersion":       {with(func(c *deployment.HealthCheck) { c.APIVersion = "" }), "health-check-invalid", "healthChecks[0].apiVersion"},
		"strange apiVersion":  {with(func(c *deployment.HealthCheck) { c.APIVersion = "a/b/c" }), "health-check-invalid", "healthChecks[0].apiVersion"},
		"no kind":             {with(func(c *deployment.HealthCheck) { c.Kind = "" }), "health-check-invalid", "healthChecks[0].kind"},
		"namespace, no name":  {with(func(c *deployment.HealthCheck) { c.Namespace = "x" }), "health-check-invalid", "healthChecks[0].namespace"},
		"no expression":       {with(func(c *deployment.HealthCheck) { c.Current = " " }), "health-check-invalid", "healthChecks[0].current"},
		"too long expression": {with(func(c *deployment.HealthCheck) { c.Failed = strings.Repeat("x", 1001) }), "health-check-invalid", "healthChecks[0].failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantProblem(t, deployment.ValidateHealthChecks(c.checks), c.code, c.field, "") })
	}
}

func TestTests(t *testing.T) {
	cases := map[string]struct {
		in, want deployment.Tests
		code     string
	}{
		"off":          {},
		"on":           {in: deployment.Tests{Enabled: true}, want: deployment.Tests{Enabled: true, TimeoutSeconds: 300}},
		"with a time":  {in: deployment.Tests{Enabled: true, TimeoutSeconds: 60}, want: deployment.Tests{Enabled: true, TimeoutSeconds: 60}},
		"too long":     {in: deployment.Tests{Enabled: true, TimeoutSeconds: 481}, code: "tests-timeout-invalid"},
		"too short":    {in: deployment.Tests{TimeoutSeconds: 9}, code: "tests-timeout-invalid"},
		"off and time": {in: deployment.Tests{TimeoutSeconds: 60}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.in.Checked()
			wantProblem(t, err, c.code, "tests.timeoutSeconds", "")
			if err == nil && got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestDependencies(t *testing.T) {
	needs := func(name string, dependsOn ...string) deployment.Deployment {
		return deployment.Deployment{ReleaseName: name, DependsOn: dependsOn}
	}
	gone := needs("gone")
	gone.Deleting = true
	many := needs("web")
	for range 21 {
		many.DependsOn = append(many.DependsOn, "db")
	}
	group := []deployment.Deployment{needs("db"), needs("cache", "db"), needs("web", "cache"), needs("shop", "web"), gone}
	cases := map[string]struct {
		d            deployment.Deployment
		code, detail string
	}{
		"none":             {d: needs("web")},
		"two":              {d: needs("web", "db", "cache")},
		"a new one":        {d: needs("new", "shop")},
		"unknown":          {needs("web", "queue"), "depends-on-unknown", "queue"},
		"being removed":    {needs("web", "gone"), "depends-on-unknown", "gone"},
		"itself":           {needs("web", "web"), "depends-on-circle", "web → web"},
		"a circle of four": {needs("db", "shop"), "depends-on-circle", "db → shop → web → cache → db"},
		"twice":            {needs("web", "db", "db"), "depends-on-invalid", "db"},
		"too many":         {many, "depends-on-invalid", "21"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantProblem(t, c.d.ValidateDependencies(group), c.code, "dependsOn", c.detail) })
	}
	if diff := cmp.Diff([]string{"cache"}, deployment.Dependents("db", group)); diff != "" {
		t.Error(diff)
	}
}
