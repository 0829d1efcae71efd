package chart_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/problem"
)

func TestWriteOnly(t *testing.T) {
	t.Parallel()
	const secret = `{"type": "string", "writeOnly": true}`
	cases := map[string]struct {
		schema string
		want   []string
	}{
		"none":             {`{"properties": {"a": {"type": "string"}}}`, []string{}},
		"said no":          {`{"properties": {"a": {"writeOnly": false}}}`, []string{}},
		"nested":           {`{"properties": {"auth": {"properties": {"password": ` + secret + `}}}}`, []string{"auth.password"}},
		"an object":        {`{"properties": {"auth": {"writeOnly": true, "properties": {"a": ` + secret + `}}}}`, []string{"auth"}},
		"the whole":        {`{"writeOnly": true}`, []string{"*"}},
		"items":            {`{"properties": {"u": {"items": {"properties": {"p": ` + secret + `}}}}}`, []string{"u[*].p"}},
		"items by place":   {`{"properties": {"u": {"items": [` + secret + `], "prefixItems": [{}]}}}`, []string{"u[*]"}},
		"any field":        {`{"properties": {"env": {"additionalProperties": ` + secret + `}}}`, []string{"env.*"}},
		"by pattern":       {`{"properties": {"env": {"patternProperties": {"^X": ` + secret + `}}}}`, []string{"env.*"}},
		"in some cases":    {`{"oneOf": [{"properties": {"a": ` + secret + `}}], "if": {}, "then": {"properties": {"b": ` + secret + `}}}`, []string{"a", "b"}},
		"referred to":      {`{"$defs": {"s": ` + secret + `}, "properties": {"a": {"$ref": "#/$defs/s"}, "b": {"$ref": "#/$defs/s"}}}`, []string{"a", "b"}},
		"referring itself": {`{"properties": {"a": {"$ref": "#"}, "p": ` + secret + `}}`, []string{"a.p", "p"}},
		"escaped":          {`{"definitions": {"a/b": ` + secret + `}, "properties": {"x.y": {"$ref": "#/definitions/a~1b"}}}`, []string{`["x.y"]`}},
		"nowhere":          {`{"properties": {"a": {"$ref": "#/none/3"}, "writeOnly": {"type": "boolean"}}}`, []string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chart.WriteOnly(helmtest.Chart{"values.schema.json": c.schema}.Archive(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

// A subchart's are found under the names that the chart knows it by.
func TestWriteOnlyOfSubcharts(t *testing.T) {
	t.Parallel()
	store := helmtest.Chart{"Chart.yaml": helmtest.Meta("store", "1.0.0"), "values.schema.json": `{"properties": {"password": {"writeOnly": true}}}`}
	archive := helmtest.Chart{
		"Chart.yaml":              helmtest.Meta("shop", "1.0.0", `dependencies: [{name: store, version: "1", alias: one}, {name: store, version: "1", alias: two}]`),
		"charts/store-1.0.0.tgz":  string(store.Archive(t)),
		"charts/extra/Chart.yaml": helmtest.Meta("extra", "1.0.0"), "charts/extra/values.schema.json": `{"properties": {"token": {"writeOnly": true}}}`,
		"values.schema.json": `{"properties": {"key": {"writeOnly": true}}}`,
	}.Archive(t)
	got, err := chart.WriteOnly(archive)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"extra.token", "key", "one.password", "two.password"}, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// Schemas that multiply end, and too many secrets are refused rather than forgotten.
func TestWriteOnlyHasALimit(t *testing.T) {
	t.Parallel()
	var schema strings.Builder
	schema.WriteString(`{"$defs": {"d0": {"writeOnly": true}`)
	for i := range 20 {
		fmt.Fprintf(&schema, `, "d%d": {"properties": {"a": {"$ref": "#/$defs/d%d"}, "b": {"$ref": "#/$defs/d%d"}}}`, i+1, i, i)
	}
	schema.WriteString(`}, "$ref": "#/$defs/d20"}`)
	if _, err := chart.WriteOnly(helmtest.Chart{"values.schema.json": schema.String()}.Archive(t)); !problem.Is(err, chart.CodeSchema) {
		t.Errorf("got %v", err)
	}
}

func TestDefaultsHaveALimit(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("# nothing\n", 450_000)
	if _, err := chart.Defaults(helmtest.Chart{"values.yaml": big}.Archive(t)); !problem.Is(err, chart.CodeTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := chart.Defaults(helmtest.Chart{"values.yaml": "a: ["}.Archive(t)); !problem.Is(err, chart.CodeArchive) {
		t.Errorf("got %v", err)
	}
}
