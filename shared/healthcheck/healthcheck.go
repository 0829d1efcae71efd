// Package healthcheck evaluates what a user says in CEL of the health of a release's objects.
package healthcheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

// What one expression may take. CEL ends by itself, but not soon: a nested comprehension over a long list is a bomb. The cost is
// CEL's own count of steps; a step may be a long one, so that there is a time, too.
const (
	maxCost  = 100_000
	maxTime  = 100 * time.Millisecond
	maxDepth = 50 // of the syntax tree
	atStep   = 100
)

// Rules are a deployment's health checks, compiled.
type Rules []rule

type rule struct {
	check      deployment.HealthCheck
	namespace  string // of the release
	inProgress cel.Program
	failed     cel.Program
	current    cel.Program
}

// variables are the fields of an object that an expression sees; one that the object does not have is an empty map.
var variables = []string{"metadata", "spec", "status", "data"}

func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("apiVersion", cel.StringType), cel.Variable("kind", cel.StringType),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(deployment.MaxExpression), cel.DefaultUTCTimeZone(true),
	}
	for _, name := range variables {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	return cel.NewEnv(options...)
}

// Compile compiles the checks of a deployment whose releases lie in namespace, and refuses what is not CEL or no yes or no.
func Compile(checks []deployment.HealthCheck, namespace string) (Rules, error) {
	if len(checks) == 0 {
		return nil, nil
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("making CEL's environment: %w", err)
	}
	rules := make(Rules, 0, len(checks))
	for i, c := range checks {
		r := rule{check: c, namespace: namespace}
		for _, part := range []struct {
			field, expression string
			into              *cel.Program
		}{{"inProgress", c.InProgress, &r.inProgress}, {"failed", c.Failed, &r.failed}, {"current", c.Current, &r.current}} {
			if strings.TrimSpace(part.expression) == "" {
				continue
			}
			if *part.into, err = compile(env, part.expression); err != nil {
				return nil, problem.Invalid("health-check-invalid", "%s", firstLine(err)).At(fmt.Sprintf("healthChecks[%d].%s", i, part.field)).
					Try("write a CEL expression over metadata, spec, status and data that is true or false")
			}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func compile(env *cel.Env, expression string) (cel.Program, error) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it is of type %s, not true or false", t)
	}
	return env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(atStep))
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(line, "ERROR: <input>:")
}

// Covers says whether a rule is about objects of this kind and name.
func (rs Rules) Covers(gvk schema.GroupVersionKind, namespace, name string) bool {
	return rs.of(gvk.GroupVersion().String(), gvk.Kind, namespace, name) != nil
}

// of is the rule about an object: one that names it goes before one about its kind.
func (rs Rules) of(apiVersion, kind, namespace, name string) *rule {
	var ofKind *rule
	for i, r := range rs {
		c := r.check
		if c.APIVersion != apiVersion || c.Kind != kind {
			continue
		}
		in := c.Namespace
		if in == "" {
			in = r.namespace
		}
		switch {
		case c.Name == name && (in == namespace || namespace == ""):
			return &rs[i]
		case c.Name == "":
			ofKind = &rs[i]
		}
	}
	return ofKind
}

// Unmatched names the checks that are about none of the objects.
func (rs Rules) Unmatched(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, r := range rs {
		one := Rules{r}
		if slices.ContainsFunc(objects, func(u *unstructured.Unstructured) bool {
			return one.Covers(u.GroupVersionKind(), u.GetNamespace(), u.GetName())
		}) {
			continue
		}
		names = append(names, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.check.APIVersion, r.check.Kind, r.check.Name)))
	}
	return names
}

// Judge asks inProgress, then failed, then current, as Flux does.
func (rs Rules) Judge(ctx context.Context, live map[string]any) (status.Status, string) {
	u := unstructured.Unstructured{Object: live}
	r := rs.of(u.GetAPIVersion(), u.GetKind(), u.GetNamespace(), u.GetName())
	if r == nil {
		return status.UnknownStatus, "no health check is about it"
	}
	if seen, ok, err := unstructured.NestedInt64(live, "status", "observedGeneration"); ok && err == nil && seen < u.GetGeneration() {
		return status.InProgressStatus, "its controller has not seen its latest generation"
	}
	object := activation(live)
	for _, part := range []struct {
		field, expression string
		program           cel.Program
		means             status.Status
	}{
		{"inProgress", r.check.InProgress, r.inProgress, status.InProgressStatus},
		{"failed", r.check.Failed, r.failed, status.FailedStatus},
		{"current", r.check.Current, r.current, status.CurrentStatus},
	} {
		if part.program == nil {
			continue
		}
		yes, err := evaluate(ctx, part.program, object)
		if err != nil {
			return status.InProgressStatus, fmt.Sprintf("its health check's %s cannot be evaluated: %s", part.field, firstLine(err))
		}
		if yes {
			return part.means, fmt.Sprintf("its health check's %s is true: %s", part.field, part.expression)
		}
	}
	return status.InProgressStatus, "its health check is not true yet: " + r.check.Current
}

func activation(live map[string]any) map[string]any {
	object := map[string]any{"apiVersion": "", "kind": ""}
	for _, name := range variables {
		object[name] = map[string]any{}
	}
	for name := range object {
		if value, ok := live[name]; ok && value != nil {
			object[name] = value
		}
	}
	return object
}

func evaluate(ctx context.Context, program cel.Program, object map[string]any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	out, _, err := program.ContextEval(ctx, object)
	if err != nil {
		return false, err
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it is a %s, not true or false", out.Type().TypeName())
	}
	return yes, nil
}
