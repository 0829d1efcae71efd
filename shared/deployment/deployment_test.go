package deployment_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
)

type object = map[string]any

func TestMerge(t *testing.T) {
	cases := map[string]struct{ base, over, want object }{
		"nothing":               {nil, nil, object{}},
		"base only":             {object{"a": 1.0}, nil, object{"a": 1.0}},
		"over only":             {nil, object{"a": 1.0}, object{"a": 1.0}},
		"scalar wins":           {object{"a": 1.0, "b": 1.0}, object{"a": 2.0}, object{"a": 2.0, "b": 1.0}},
		"deep":                  {object{"a": object{"x": 1.0, "y": 1.0}}, object{"a": object{"x": 2.0}}, object{"a": object{"x": 2.0, "y": 1.0}}},
		"a list is replaced":    {object{"a": []any{1.0, 2.0}}, object{"a": []any{3.0}}, object{"a": []any{3.0}}},
		"a null is kept":        {object{"a": object{"x": 1.0}}, object{"a": nil}, object{"a": nil}},
		"a map over a scalar":   {object{"a": 1.0}, object{"a": object{"x": 1.0}}, object{"a": object{"x": 1.0}}},
		"a scalar over a map":   {object{"a": object{"x": 1.0}}, object{"a": 1.0}, object{"a": 1.0}},
		"an empty map over one": {object{"a": object{"x": 1.0}}, object{"a": object{}}, object{"a": object{"x": 1.0}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, deployment.Merge(c.base, c.over)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

// anyObject makes values as JSON gives them.
func anyObject() *rapid.Generator[object] {
	keys := rapid.SampledFrom([]string{"a", "b", "c"})
	value := func(inner *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.OneOf(
			rapid.Just(any(nil)),
			rapid.Map(rapid.IntRange(0, 3), func(i int) any { return float64(i) }),
			rapid.Map(rapid.SliceOfN(rapid.Just(any("x")), 0, 2), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(keys, inner, 0, 3), func(m object) any { return m }),
		)
	}
	depth := rapid.Just(any("leaf"))
	for range 3 {
		depth = value(depth)
	}
	return rapid.MapOfN(keys, depth, 0, 3)
}

func TestMergeProperties(t *testing.T) {
	merge := deployment.Merge
	t.Run("over wins wherever it has a value", rapid.MakeCheck(func(t *rapid.T) {
		base, over := anyObject().Draw(t, "base"), anyObject().Draw(t, "over")
		mustHold(t, over, merge(base, over))
	}))
	t.Run("what over does not name stays", rapid.MakeCheck(func(t *rapid.T) {
		base, over := anyObject().Draw(t, "base"), anyObject().Draw(t, "over")
		got := merge(base, over)
		for k, v := range base {
			if _, named := over[k]; !named && !cmp.Equal(v, got[k]) {
				t.Fatalf("%s became %v", k, got[k])
			}
		}
	}))
	t.Run("again changes nothing", rapid.MakeCheck(func(t *rapid.T) {
		base, over := anyObject().Draw(t, "base"), anyObject().Draw(t, "over")
		once := merge(base, over)
		if diff := cmp.Diff(once, merge(once, over)); diff != "" {
			t.Fatal(diff)
		}
	}))
	t.Run("nothing is neutral", rapid.MakeCheck(func(t *rapid.T) {
		values := anyObject().Draw(t, "values")
		if !cmp.Equal(values, merge(values, object{})) || !cmp.Equal(values, merge(nil, values)) {
			t.Fatalf("%v and %v", merge(values, object{}), merge(nil, values))
		}
	}))
	t.Run("arguments do not change", rapid.MakeCheck(func(t *rapid.T) {
		base, over := anyObject().Draw(t, "base"), anyObject().Draw(t, "over")
		before := asJSON(t, base) + asJSON(t, over)
		merge(base, over)
		if before != asJSON(t, base)+asJSON(t, over) {
			t.Fatalf("now %v and %v", base, over)
		}
	}))
}

// mustHold: got has whatever over has.
func mustHold(t *rapid.T, over, got object) {
	for k, v := range over {
		inner, isMap := v.(object)
		gotInner, gotMap := got[k].(object)
		switch {
		case isMap && gotMap:
			mustHold(t, inner, gotInner)
		case !cmp.Equal(v, got[k]):
			t.Fatalf("%s is %v, want %v", k, got[k], v)
		}
	}
}

func asJSON(t *rapid.T, v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestReuse(t *testing.T) {
	before := deployment.Values{Common: object{"a": 1.0, "b": 1.0},
		Overrides: map[string]map[string]any{"one": {"x": 1.0, "y": 1.0}, "two": {"x": 1.0}}}
	got := before.Reuse(deployment.Values{Common: object{"a": 2.0}, Overrides: map[string]map[string]any{"one": {"x": 2.0}, "three": {"x": 3.0}}})
	want := deployment.Values{Common: object{"a": 2.0, "b": 1.0},
		Overrides: map[string]map[string]any{"one": {"x": 2.0, "y": 1.0}, "two": {"x": 1.0}, "three": {"x": 3.0}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	for name, want := range map[string]object{
		"one":  {"a": 2.0, "b": 1.0, "x": 2.0, "y": 1.0},
		"none": {"a": 2.0, "b": 1.0},
	} {
		if diff := cmp.Diff(want, got.For(name)); diff != "" {
			t.Errorf("for %s differs (-want +got):\n%s", name, diff)
		}
	}
}

func TestDifferingPaths(t *testing.T) {
	want := object{"a": object{"x": 1.0, "y": "secret"}, "list": []any{1.0}, "same": true, "gone": nil}
	has := object{"a": object{"x": 2.0, "y": "secret"}, "list": []any{2.0}, "same": true, "new": "secret"}
	if diff := cmp.Diff([]string{"values.a.x", "values.list", "values.new"}, deployment.DifferingPaths(want, has)); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	if got := deployment.DifferingPaths(want, want); len(got) > 0 {
		t.Errorf("equal values differ in %v", got)
	}
}

func TestValidation(t *testing.T) {
	name, namespace := deployment.ValidateReleaseName, deployment.ValidateNamespace
	timeout := func(n int) func(string) error { return func(string) error { return deployment.ValidateTimeout(n) } }
	overrides := func(members ...string) func(string) error {
		return func(target string) error {
			return deployment.ValidateOverrides(map[string]map[string]any{target: {}}, members)
		}
	}
	cases := map[string]struct {
		check       func(string) error
		input       string
		code, field string // none: acceptable
	}{
		"release name":              {name, "web-2", "", ""},
		"longest release name":      {name, strings.Repeat("a", 53), "", ""},
		"release name too long":     {name, strings.Repeat("a", 54), "release-name-invalid", "releaseName"},
		"release name, upper case":  {name, "Web", "release-name-invalid", "releaseName"},
		"release name with a dot":   {name, "web.a", "release-name-invalid", "releaseName"},
		"release name ends in dash": {name, "web-", "release-name-invalid", "releaseName"},
		"release name, line break":  {name, "web\n", "release-name-invalid", "releaseName"},
		"no release name":           {name, "", "release-name-invalid", "releaseName"},
		"namespace":                 {namespace, "team-a", "", ""},
		"namespace too long":        {namespace, strings.Repeat("a", 64), "namespace-invalid", "namespace"},
		"namespace with a slash":    {namespace, "a/b", "namespace-invalid", "namespace"},
		"shortest timeout":          {timeout(10), "", "", ""},
		"timeout too short":         {timeout(9), "", "timeout-invalid", "timeoutSeconds"},
		"timeout too long":          {timeout(3601), "", "timeout-invalid", "timeoutSeconds"},
		"override of a member":      {overrides("one", "two"), "two", "", ""},
		"override of no member":     {overrides("one", "two"), "three", "override-unknown", "valueOverrides.three"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.check(c.input)
			if c.code == "" {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			p, ok := problem.From(err)
			if !ok || p.Code != c.code || p.Field != c.field || p.Status != 422 || p.Remedy == "" {
				t.Errorf("got %#v, want %s at %s with a remedy", err, c.code, c.field)
			}
		})
	}
}

func TestRandomNameIsAReleaseName(t *testing.T) {
	for range 1000 {
		if name := deployment.RandomName(); deployment.ValidateReleaseName(name) != nil {
			t.Fatalf("%q is none", name)
		}
	}
}
