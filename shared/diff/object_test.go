package diff_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/diff"
)

// What is kept is what is read again.
func TestObjectsAsJSON(t *testing.T) {
	objects := []diff.Object{
		{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "web", Name: "web", Action: diff.Update, Destructive: []string{"immutable: spec.selector"},
			Changes: []diff.Change{
				{Path: diff.Path{{Field: "spec"}, {Field: "replicas"}}, Op: diff.Changed, Before: 0.0, After: 3.0},
				{Path: diff.Path{{Field: "metadata"}, {Field: "annotations"}, {Field: "example.com/a"}}, Op: diff.Added, After: ""},
				{Path: diff.Path{{Field: "env"}, {Key: "name", Value: `a "b]`}, {Field: "args"}, {Index: 2}}, Op: diff.Removed, Before: map[string]any{"a": []any{"x", false}}},
			}},
		{Kind: "Job", Name: "migrate", Action: diff.Hook, Note: "pre-upgrade"},
	}
	raw, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"apiVersion":"apps/v1","kind":"Deployment","namespace":"web","name":"web","action":"update","destructive":["immutable: spec.selector"],` +
		`"changes":[{"path":"spec.replicas","op":"changed","before":0,"after":3},{"path":"metadata.annotations[\"example.com/a\"]","op":"added","after":""},` +
		`{"path":"env[name=\"a \\\"b]\"].args[2]","op":"removed","before":{"a":["x",false]}}]},{"kind":"Job","name":"migrate","action":"hook","note":"pre-upgrade"}]`
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
	var again []diff.Object
	if err := json.Unmarshal(raw, &again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(objects, again); d != "" {
		t.Errorf("differs (-kept +read):\n%s", d)
	}
	if err := json.Unmarshal([]byte(`[{"changes":[{"path":"a..b"}]}]`), &again); err == nil {
		t.Error("a path that is none was read")
	}
}
