package mask_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
)

func TestObjects(t *testing.T) {
	secret, err := mask.Parse([]string{"auth", "users[*].pin"})
	if err != nil {
		t.Fatal(err)
	}
	literals := secret.Literals(map[string]any{
		"auth": map[string]any{"password": "hunter22", "short": "abc"}, "users": []any{map[string]any{"pin": 123456.0, "name": "bob"}},
	})
	at := func(fields ...string) diff.Path {
		var path diff.Path
		for _, f := range fields {
			path = path.Field(f)
		}
		return path
	}
	cases := map[string]struct {
		kind         string
		change, want diff.Change
	}{
		"a Secret's data": {"Secret", diff.Change{Path: at("data", "a"), Op: diff.Changed, Before: "b2xk", After: "bmV3"},
			diff.Change{Path: at("data", "a"), Op: diff.Changed, Before: mask.Text, After: mask.Text}},
		"a Secret's data as a whole": {"Secret", diff.Change{Path: at("stringData"), Op: diff.Added, After: map[string]any{"a": "x", "b": []any{1.0}}},
			diff.Change{Path: at("stringData"), Op: diff.Added, After: map[string]any{"a": mask.Text, "b": []any{mask.Text}}}},
		"a Secret's type": {"Secret", diff.Change{Path: at("type"), Op: diff.Changed, Before: "Opaque", After: "x"},
			diff.Change{Path: at("type"), Op: diff.Changed, Before: "Opaque", After: "x"}},
		"a ConfigMap's data": {"ConfigMap", diff.Change{Path: at("data", "url"), Op: diff.Added, After: "postgres://bob:hunter22@db"},
			diff.Change{Path: at("data", "url"), Op: diff.Added, After: "postgres://bob:" + mask.Text + "@db"}},
		"base64":             {"ConfigMap", diff.Change{Path: at("data", "x"), After: "aHVudGVyMjI="}, diff.Change{Path: at("data", "x"), After: mask.Text}},
		"deep in an object":  {"Pod", diff.Change{Path: at("spec"), After: map[string]any{"env": []any{map[string]any{"value": "hunter22"}}}}, diff.Change{Path: at("spec"), After: map[string]any{"env": []any{map[string]any{"value": mask.Text}}}}},
		"a number":           {"Pod", diff.Change{Path: at("pin"), After: int64(123456)}, diff.Change{Path: at("pin"), After: mask.Text}},
		"a short one, whole": {"Pod", diff.Change{Path: at("x"), Before: "abc", After: "abcd"}, diff.Change{Path: at("x"), Before: mask.Text, After: "abcd"}},
		"in the path":        {"Pod", diff.Change{Path: diff.Path{{Key: "name", Value: "hunter22"}}}, diff.Change{Path: diff.Path{{Key: "name", Value: mask.Text}}}},
		"nothing secret":     {"Pod", diff.Change{Path: at("x"), Before: nil, After: true}, diff.Change{Path: at("x"), Before: nil, After: true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			given := []diff.Object{{Kind: c.kind, Changes: []diff.Change{c.change}, Note: "said hunter22", Destructive: []string{"refused: hunter22"}}}
			got := mask.Objects(given, literals)
			want := []diff.Object{{Kind: c.kind, Changes: []diff.Change{c.want}, Note: "said " + mask.Text, Destructive: []string{"refused: " + mask.Text}}}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.change, given[0].Changes[0]); d != "" {
				t.Errorf("what was given has changed:\n%s", d)
			}
		})
	}
}
