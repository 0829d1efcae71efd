package main

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

// neighbours are the other deployments of a group, and an org's receivers.
type neighbours struct {
	store
	group []deployment.Deployment
	kind  receiver.Kind // of the one receiver, ci
}

func (n neighbours) ListDeployments(context.Context, string, string, dynamo.Page) ([]deployment.Deployment, string, error) {
	return n.group, "", nil
}

func (n neighbours) FindReceiver(_ context.Context, _, name string) (receiver.Receiver, error) {
	if name != "ci" {
		return receiver.Receiver{}, problem.NotFound("receiver-not-found", "there is no receiver %s", name)
	}
	return receiver.Receiver{Name: name, Kind: n.kind}, nil
}

// What a request leaves out stays, what it gives replaces, and what makes no sense is refused where the request has it.
func TestWhatARequestSaysOfRequirementsAndGates(t *testing.T) {
	check := deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: "status.ok"}
	was := &deployment.Generation{HealthChecks: []deployment.HealthCheck{check}, Tests: deployment.Tests{Enabled: true, TimeoutSeconds: 60}}
	group := []deployment.Deployment{{ReleaseName: "db"}, {ReleaseName: "api", DependsOn: []string{"web"}}}
	gate := func(name string) *openapi.Rollout {
		return &openapi.Rollout{Waves: []openapi.Wave{{Name: "canary", Gate: &openapi.WaveGate{Receiver: name}}}}
	}
	cases := map[string]struct {
		body        openapi.DeploymentRequest
		kind        receiver.Kind
		checks      []deployment.HealthCheck
		tests       deployment.Tests
		dependsOn   []string
		code, field string
	}{
		"nothing":             {checks: was.HealthChecks, tests: was.Tests, dependsOn: []string{"db"}},
		"none of all":         {body: openapi.DeploymentRequest{HealthChecks: &[]openapi.HealthCheck{}, Tests: &openapi.ChartTests{}, DependsOn: &[]string{}}, dependsOn: []string{}},
		"others":              {body: openapi.DeploymentRequest{Tests: &openapi.ChartTests{Enabled: true}, DependsOn: &[]string{"db"}}, checks: was.HealthChecks, tests: deployment.Tests{Enabled: true, TimeoutSeconds: 300}, dependsOn: []string{"db"}},
		"half a check":        {body: openapi.DeploymentRequest{HealthChecks: &[]openapi.HealthCheck{{APIVersion: "v1", Kind: "Service"}}}, code: "health-check-invalid", field: "healthChecks[0].current"},
		"too long tests":      {body: openapi.DeploymentRequest{Tests: &openapi.ChartTests{Enabled: true, TimeoutSeconds: 481}}, code: "tests-timeout-invalid", field: "tests.timeoutSeconds"},
		"a stranger":          {body: openapi.DeploymentRequest{DependsOn: &[]string{"queue"}}, code: "depends-on-unknown", field: "dependsOn"},
		"a circle":            {body: openapi.DeploymentRequest{DependsOn: &[]string{"api"}}, code: "depends-on-circle", field: "dependsOn"},
		"a gate":              {body: openapi.DeploymentRequest{Rollout: gate("ci")}, kind: receiver.Webhook, checks: was.HealthChecks, tests: was.Tests, dependsOn: []string{"db"}},
		"a gate of nobody":    {body: openapi.DeploymentRequest{Rollout: gate("nobody")}, code: "receiver-unknown", field: "rollout.waves[0].gate.receiver"},
		"a gate of a channel": {body: openapi.DeploymentRequest{Rollout: gate("ci")}, kind: receiver.Slack, code: "receiver-unknown", field: "rollout.waves[0].gate.receiver"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := intake{handler: handler{store: neighbours{group: group, kind: c.kind}}, org: "o", body: c.body}
			d, err := in.dependsOn(t.Context(), deployment.Deployment{ReleaseName: "web", DependsOn: []string{"db"}})
			var g deployment.Generation
			if err == nil {
				err = in.judges(t.Context())
			}
			if err == nil {
				g, err = in.requirements(was)
			}
			if c.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != c.code || p.Field != c.field {
					t.Errorf("got %v, want %s at %s", err, c.code, c.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.checks, g.HealthChecks) + cmp.Diff(c.tests, g.Tests) + cmp.Diff(c.dependsOn, d.DependsOn); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
