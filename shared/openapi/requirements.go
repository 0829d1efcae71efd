package openapi

import "github.com/swell-sh/swell/shared/deployment"

// HealthChecksIn are the rules of a request.
func HealthChecksIn(rules []HealthCheck) []deployment.HealthCheck {
	var checks []deployment.HealthCheck
	for _, r := range rules {
		checks = append(checks, deployment.HealthCheck{
			APIVersion: r.APIVersion, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Current: r.Current, Failed: r.Failed, InProgress: r.InProgress,
		})
	}
	return checks
}

func healthChecksOf(checks []deployment.HealthCheck) []HealthCheck {
	var rules []HealthCheck
	for _, c := range checks {
		rules = append(rules, HealthCheck{
			APIVersion: c.APIVersion, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name, Current: c.Current, Failed: c.Failed, InProgress: c.InProgress,
		})
	}
	return rules
}

func testsOf(t deployment.Tests) *ChartTests {
	if !t.Enabled {
		return nil
	}
	return &ChartTests{Enabled: true, TimeoutSeconds: t.TimeoutSeconds}
}
