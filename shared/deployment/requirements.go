package deployment

import (
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// HealthCheck says when an object of a release is healthy, in CEL over the live object: its metadata, spec, status and data. Namespace
// and Name are empty where it is about every object of the kind.
type HealthCheck struct {
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
	Current    string // it does its work
	Failed     string // it does not get well without a change
	InProgress string // it is on its way, whatever Current says
}

// Tests are the chart's own, which Helm runs as hooks.
type Tests struct {
	Enabled        bool
	TimeoutSeconds int // of all of them
}

// Limits on what a target must pass.
const (
	maxHealthChecks    = 10
	MaxExpression      = 1000 // characters of one
	maxDependencies    = 20
	minTestTimeout     = 10
	maxTestTimeout     = 480 // a function's time, less what it needs around the tests
	defaultTestTimeout = 300
)

// ValidateHealthChecks refuses checks that are not complete, or of which two are about the same. Whether the expressions are CEL is
// found before anything is written to a cluster.
func ValidateHealthChecks(checks []HealthCheck) error {
	invalid := func(at, format string, args ...any) *problem.Problem {
		return problem.Invalid("health-check-invalid", format, args...).At(at)
	}
	if len(checks) > maxHealthChecks {
		return invalid("healthChecks", "there are %d health checks", len(checks)).Try("use at most %d; one without a name is about every object of its kind", maxHealthChecks)
	}
	seen := map[HealthCheck]bool{}
	for i, c := range checks {
		at := fmt.Sprintf("healthChecks[%d]", i)
		about := HealthCheck{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}
		switch {
		case strings.Count(c.APIVersion, "/") > 1 || c.APIVersion == "" || strings.ContainsAny(c.APIVersion, " \t\n"):
			return invalid(at+".apiVersion", "%q is no apiVersion", c.APIVersion).Try("write it as the manifest does, such as cert-manager.io/v1")
		case c.Kind == "":
			return invalid(at+".kind", "it names no kind").Try("name the kind, such as Certificate")
		case c.Namespace != "" && c.Name == "":
			return invalid(at+".namespace", "it names a namespace and no object").Try("name the object, too, or leave namespace out")
		case strings.TrimSpace(c.Current) == "":
			return invalid(at+".current", "it does not say when the object is healthy").Try("write a CEL expression, such as status.phase == 'Ready'")
		case seen[about]:
			return invalid(at, "an earlier check is about the same objects").Try("join the two expressions with &&")
		}
		for field, expression := range map[string]string{"current": c.Current, "failed": c.Failed, "inProgress": c.InProgress} {
			if len(expression) > MaxExpression {
				return invalid(at+"."+field, "the expression has %d characters", len(expression)).Try("use at most %d", MaxExpression)
			}
		}
		seen[about] = true
	}
	return nil
}

// Checked returns the tests with their timeout, and refuses one that no function has.
func (t Tests) Checked() (Tests, error) {
	if t.TimeoutSeconds == 0 {
		t.TimeoutSeconds = defaultTestTimeout
	}
	if t.TimeoutSeconds < minTestTimeout || t.TimeoutSeconds > maxTestTimeout {
		return t, problem.Invalid("tests-timeout-invalid", "tests.timeoutSeconds is %d", t.TimeoutSeconds).At("tests.timeoutSeconds").
			Try("use %d to %d seconds", minTestTimeout, maxTestTimeout)
	}
	if !t.Enabled {
		return Tests{}, nil
	}
	return t, nil
}

// ValidateDependencies refuses what d cannot wait for: itself, what the group does not have, and a circle. group are the group's
// deployments, with or without d itself.
func (d Deployment) ValidateDependencies(group []Deployment) error {
	if len(d.DependsOn) > maxDependencies {
		return problem.Invalid("depends-on-invalid", "it depends on %d deployments", len(d.DependsOn)).At("dependsOn").Try("use at most %d", maxDependencies)
	}
	needs := map[string][]string{}
	for _, other := range group {
		if !other.Deleting {
			needs[other.ReleaseName] = other.DependsOn
		}
	}
	needs[d.ReleaseName] = d.DependsOn
	seen := map[string]bool{}
	for _, name := range d.DependsOn {
		if _, ok := needs[name]; !ok {
			return problem.Invalid("depends-on-unknown", "the group has no deployment named %s", name).At("dependsOn").Try("create it first, or leave it out")
		}
		if seen[name] {
			return problem.Invalid("depends-on-invalid", "%s is named twice", name).At("dependsOn").Try("name it once")
		}
		seen[name] = true
	}
	if circle := circleFrom(d.ReleaseName, d.ReleaseName, needs, map[string]bool{}); circle != nil {
		return problem.Invalid("depends-on-circle", "none could ever begin: %s", strings.Join(append([]string{d.ReleaseName}, circle...), " → ")).At("dependsOn").Try("leave one of them out")
	}
	return nil
}

// circleFrom is the way from name back to start; nil: there is none.
func circleFrom(name, start string, needs map[string][]string, seen map[string]bool) []string {
	for _, next := range needs[name] {
		if next == start {
			return []string{next}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if way := circleFrom(next, start, needs, seen); way != nil {
			return append([]string{next}, way...)
		}
	}
	return nil
}

// Dependents are the deployments of the group that wait for the named one.
func Dependents(name string, group []Deployment) []string {
	var all []string
	for _, other := range group {
		for _, needed := range other.DependsOn {
			if needed == name && !other.Deleting {
				all = append(all, other.ReleaseName)
			}
		}
	}
	return all
}
