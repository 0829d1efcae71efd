package diff_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/diff"
)

type object = map[string]any

func TestCompare(t *testing.T) {
	container := func(name, image string, env ...any) object { return object{"name": name, "image": image, "env": env} }
	cases := map[string]struct {
		before, after object
		want          []string
	}{
		"nothing":                 {object{"a": int64(1)}, object{"a": 1.0}, nil},
		"added":                   {object{}, object{"a": "x"}, []string{"added a"}},
		"removed":                 {object{"a": "x"}, object{}, []string{"removed a"}},
		"deep":                    {object{"a": object{"b": "x"}}, object{"a": object{"b": "y"}}, []string{"changed a.b"}},
		"another type":            {object{"a": object{"b": "x"}}, object{"a": "y"}, []string{"changed a"}},
		"quoted":                  {object{"a": object{"b.c/d": "x"}}, object{"a": object{"b.c/d": "y"}}, []string{`changed a["b.c/d"]`}},
		"by name, not position":   {object{"c": []any{container("a", "1"), container("b", "1")}}, object{"c": []any{container("b", "1"), container("a", "1")}}, nil},
		"an item by name changed": {object{"c": []any{container("a", "1")}}, object{"c": []any{container("a", "2")}}, []string{"changed c[name=a].image"}},
		"an env var added": {object{"c": []any{container("a", "1")}}, object{"c": []any{container("a", "1", object{"name": "X", "value": "1"})}},
			[]string{"added c[name=a].env[name=X]"}},
		"by position":       {object{"args": []any{"a", "b"}}, object{"args": []any{"a", "c", "d"}}, []string{"changed args[1]", "added args[2]"}},
		"one comes between": {object{"args": []any{"a", "b", "c"}}, object{"args": []any{"a", "x", "b", "c"}}, []string{"added args[1]"}},
		"one less":          {object{"args": []any{"a", "b", "c"}}, object{"args": []any{"a", "c"}}, []string{"removed args[1]"}},
		"one twice":         {object{"args": []any{"a"}}, object{"args": []any{"a", "a"}}, []string{"added args[1]"}},
		"names that repeat go by position": {object{"l": []any{object{"name": "a"}, object{"name": "a"}}}, object{"l": []any{object{"name": "a"}}},
			[]string{"removed l[1]"}},
		"a field without a name": {object{"a": object{"": "x"}}, object{"a": object{"": "y"}}, []string{"changed a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, change := range diff.Compare(c.before, c.after) {
				got = append(got, string(change.Op)+" "+change.Path.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
}

func TestPatternMatches(t *testing.T) {
	path := diff.Path{{Field: "spec"}, {Field: "containers"}, {Key: "name", Value: "a.b"}, {Field: "args"}, {Index: 1}}
	if got, want := path.String(), `spec.containers[name="a.b"].args[1]`; got != want {
		t.Fatalf("the path prints as %s, want %s", got, want)
	}
	cases := map[string]bool{
		path.String():                  true,
		"spec":                         true,
		"spec.containers[*]":           true,
		"spec.*[*].args":               true,
		`["spec"].containers[*].args`:  true,
		"spec.containers[*].args[0]":   false,
		"spec.containers[*].env":       false,
		"spec.containers[name=b].args": false,
		path.String() + ".x":           false,
	}
	for pattern, want := range cases {
		t.Run(pattern, func(t *testing.T) {
			p, err := diff.Parse(pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Matches(path); got != want {
				t.Errorf("matches: %v, want %v", got, want)
			}
		})
	}
	for _, bad := range []string{"", "a..b", "a[", "a[x", `a["x]`, "[a=]", "a b"} {
		if p, err := diff.Parse(bad); err == nil {
			t.Errorf("%q was read as %v", bad, p)
		}
	}
}
