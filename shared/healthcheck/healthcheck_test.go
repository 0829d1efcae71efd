package healthcheck_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/problem"
)

func widget(current string) deployment.HealthCheck {
	return deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: current}
}

func object(t interface {
	Helper()
	Fatal(...any)
}, text string,
) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: shop, generation: 2}\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured // numbers are as a cluster's
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u.Object
}

func TestJudge(t *testing.T) {
	const ready = "status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')"
	cases := map[string]struct {
		check         deployment.HealthCheck
		object        string
		want, message string
	}{
		"true":                  {widget(ready), "status: {conditions: [{type: Ready, status: 'True'}]}", "Current", ""},
		"not true yet":          {widget(ready), "status: {conditions: [{type: Ready, status: 'False'}]}", "InProgress", "not true yet"},
		"nothing there":         {widget("has(status.phase) && status.phase == 'ok'"), "", "InProgress", "not true yet"},
		"cannot be evaluated":   {widget(ready), "", "InProgress", "no such key: conditions"},
		"no yes or no":          {widget("status.phase"), "status: {phase: ok}", "InProgress", "not true or false"},
		"failed":                {deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: "true", Failed: "status.phase == 'broken'"}, "status: {phase: broken}", "Failed", "failed is true"},
		"on its way":            {deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: "true", InProgress: "status.phase == 'new'"}, "status: {phase: new}", "InProgress", "inProgress is true"},
		"failed, not evaluable": {deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: "true", Failed: "status.x.y"}, "", "InProgress", "failed cannot be evaluated"},
		"an old generation":     {widget("true"), "status: {observedGeneration: 1}", "InProgress", "latest generation"},
		"numbers":               {widget("status.ready == spec.want && data.a == '1'"), "spec: {want: 3}\nstatus: {ready: 3}\ndata: {a: '1'}", "Current", ""},
		"own namespace":         {deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", Current: "true"}, "", "Current", ""},
		"of another":            {deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Name: "v", Current: "true"}, "", "Unknown", "no health check"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rules, err := healthcheck.Compile([]deployment.HealthCheck{c.check}, "shop")
			if err != nil {
				t.Fatal(err)
			}
			got, message := rules.Judge(t.Context(), object(t, c.object))
			if got.String() != c.want || !strings.Contains(message, c.message) {
				t.Errorf("%s: %s", got, message)
			}
		})
	}
}

func TestANamedObjectGoesFirst(t *testing.T) {
	named := widget("true")
	named.Name = "w"
	rules, err := healthcheck.Compile([]deployment.HealthCheck{named, widget("false")}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got, message := rules.Judge(t.Context(), object(t, "")); got != "Current" {
		t.Errorf("%s: %s", got, message)
	}
}

func TestCompileRefuses(t *testing.T) {
	for expression, detail := range map[string]string{
		"status.phase ==":                "Syntax error",
		"nothing.phase == 'x'":           "undeclared reference",
		"'a text'":                       "not true or false",
		"1 + 1":                          "not true or false",
		strings.Repeat("(", 60) + "true": "",
	} {
		check := widget("true")
		check.Failed = expression
		_, err := healthcheck.Compile([]deployment.HealthCheck{widget("true"), check}, "shop")
		p, ok := problem.From(err)
		if !ok || p.Code != "health-check-invalid" || p.Field != "healthChecks[1].failed" || !strings.Contains(p.Detail, detail) {
			t.Errorf("%.20s: %v", expression, err)
		}
	}
}

// TestCostBombs: whatever is nested over whatever list ends by its cost or its time, and counts as not ready.
func TestCostBombs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := make([]any, rapid.IntRange(0, 400).Draw(t, "length"))
		for i := range list {
			list[i] = strings.Repeat("a", rapid.IntRange(0, 50).Draw(t, "text"))
		}
		expression := rapid.SampledFrom([]string{"size(v0) >= 0", "v0.matches('(a*)*b')", "(v0+v0+v0+v0).contains(v0)"}).Draw(t, "inner")
		for i := range rapid.IntRange(1, 7).Draw(t, "depth") {
			expression = fmt.Sprintf("status.list.%s(v%d, %s)", rapid.SampledFrom([]string{"all", "exists", "exists_one"}).Draw(t, "macro"), i, expression)
		}
		check := deployment.HealthCheck{APIVersion: "example.com/v1", Kind: "Widget", Current: expression}
		rules, err := healthcheck.Compile([]deployment.HealthCheck{check}, "shop")
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		obj := object(t, "")
		obj["status"] = map[string]any{"list": list}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		got, message := rules.Judge(ctx, obj)
		if ctx.Err() != nil {
			t.Fatalf("%s over %d did not end", expression, len(list))
		}
		if got != "Current" && got != "InProgress" {
			t.Errorf("%s: %s", got, message)
		}
	})
}

func FuzzCompile(f *testing.F) {
	f.Add("status.conditions.exists(c, c.type == 'Ready')")
	f.Add("[1].map(x, [x].map(y, y))")
	f.Fuzz(func(t *testing.T, expression string) {
		rules, err := healthcheck.Compile([]deployment.HealthCheck{widget(expression)}, "shop")
		if err == nil {
			rules.Judge(t.Context(), object(t, "status: {conditions: [{type: Ready}]}"))
		}
	})
}
