package schema_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/schema"
)

func TestValidate(t *testing.T) {
	const secret = "hunter2"
	tests := map[string]struct {
		schema string
		values string
		want   []schema.Violation
	}{
		"Good":          {`{"type": "object", "required": ["a"]}`, `{"a": 1}`, nil},
		"Nothing":       {`{"type": "object"}`, `null`, nil},
		"Type":          {`{"properties": {"replicaCount": {"type": "integer"}}}`, `{"replicaCount": "hunter2"}`, []schema.Violation{{"replicaCount", "must be integer, not string"}}},
		"Nested":        {`{"properties": {"image": {"properties": {"tag": {"type": ["string", "null"]}}}}}`, `{"image": {"tag": 1}}`, []schema.Violation{{"image.tag", "must be null or string, not number"}}},
		"InList":        {`{"properties": {"hosts": {"items": {"properties": {"name": {"type": "string"}}}}}}`, `{"hosts": [{"name": "a"}, {"name": 1}]}`, []schema.Violation{{"hosts[1].name", "must be string, not number"}}},
		"NumberAsKey":   {`{"additionalProperties": {"type": "string"}}`, `{"0": 1}`, []schema.Violation{{"0", "must be string, not number"}}},
		"DotInKey":      {`{"additionalProperties": {"type": "string"}}`, `{"a.b/c": 1}`, []schema.Violation{{`a\.b/c`, "must be string, not number"}}},
		"Required":      {`{"properties": {"image": {"required": ["tag", "name"]}}}`, `{"image": {}}`, []schema.Violation{{"image.name", "is required"}, {"image.tag", "is required"}}},
		"Unknown":       {`{"additionalProperties": false}`, `{"b": "hunter2", "a": "hunter2"}`, []schema.Violation{{"a", "is not known to the chart"}, {"b", "is not known to the chart"}}},
		"Enum":          {`{"properties": {"a": {"enum": ["x", 1]}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", `must be one of "x", 1`}}},
		"Const":         {`{"properties": {"a": {"const": true}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "must be true"}}},
		"Pattern":       {`{"properties": {"a": {"pattern": "^x"}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "must match the pattern ^x"}}},
		"Format":        {`{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"format": "ipv4"}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "must be in the format ipv4"}}},
		"Bounds":        {`{"properties": {"a": {"minimum": 1}, "b": {"maximum": 2.5}, "c": {"exclusiveMinimum": 3}, "d": {"exclusiveMaximum": 4}, "e": {"multipleOf": 5}}}`, `{"a": 0, "b": 3, "c": 3, "d": 4, "e": 6}`, []schema.Violation{{"a", "must be at least 1"}, {"b", "must be at most 5/2"}, {"c", "must be greater than 3"}, {"d", "must be less than 4"}, {"e", "must be a multiple of 5"}}},
		"Lengths":       {`{"properties": {"a": {"minLength": 9}, "b": {"maxLength": 1}, "c": {"minItems": 1}, "d": {"maxItems": 0}, "e": {"minProperties": 1}, "f": {"uniqueItems": true}}}`, `{"a": "hunter2", "b": "hunter2", "c": [], "d": ["hunter2"], "e": {}, "f": ["hunter2", "hunter2"]}`, []schema.Violation{{"a", "must have at least 9 characters"}, {"b", "must have at most 1 characters"}, {"c", "must have at least 1 items"}, {"d", "must have at most 0 items"}, {"e", "must have at least 1 fields"}, {"f", "has equal items at 0 and 1"}}},
		"AnyOf":         {`{"properties": {"port": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}`, `{"port": []}`, []schema.Violation{{"port", "must be integer, not array, or must be string, not array"}}},
		"AnyOfDeep":     {`{"properties": {"a": {"anyOf": [{"properties": {"b": false}}, {"type": "string"}]}}}`, `{"a": {"b": "hunter2"}}`, []schema.Violation{{"a", "has none of the allowed forms"}}},
		"OneOf":         {`{"properties": {"a": {"oneOf": [{}, {}]}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "meets more than one of the forms that exclude each other"}}},
		"AllOf":         {`{"properties": {"a": {"allOf": [{"type": "object"}, {"type": "array"}]}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "must be array, not string"}, {"a", "must be object, not string"}}},
		"Not":           {`{"properties": {"a": {"not": {}}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "does not meet the schema"}}},
		"PropertyNames": {`{"propertyNames": {"pattern": "^a"}}`, `{"b": "hunter2"}`, []schema.Violation{{"b", "has a name that is not allowed"}}},
		"Referred":      {`{"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}`, `{"a": "hunter2"}`, []schema.Violation{{"a", "must be number, not string"}}},
		"Whole":         {`{"type": "array"}`, `{"a": "hunter2"}`, []schema.Violation{{"", "must be array, not object"}}},
		"Dependent":     {`{"dependentRequired": {"a": ["b"]}}`, `{"a": "hunter2"}`, []schema.Violation{{"", "needs b where it has a"}}},
		"Content":       {`{"properties": {"a": {"contains": {"const": 1}}}}`, `{"a": ["hunter2"]}`, []schema.Violation{{"a[0]", "must be 1"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var values map[string]any
			if err := json.Unmarshal([]byte(tc.values), &values); err != nil {
				t.Fatal(err)
			}
			got, err := schema.Validate(json.RawMessage(tc.schema), values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(fmt.Sprint(got, schema.ViolationProblem("values", got)), secret) {
				t.Errorf("the value is told: %v", got)
			}
		})
	}
}

func TestValidateTakesGoTypes(t *testing.T) {
	raw := json.RawMessage(`{"properties": {"list": {"items": {"type": "string"}}, "n": {"type": "integer"}}}`)
	got, err := schema.Validate(raw, map[string]any{"list": []string{"a"}, "n": int32(1), "m": map[string]string{"a": "b"}})
	if err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestViolationProblem(t *testing.T) {
	if p := schema.ViolationProblem("values", nil); p != nil {
		t.Errorf("got %v for no violations", p)
	}
	var violations []schema.Violation
	for i := range 7 {
		violations = append(violations, schema.Violation{Path: fmt.Sprintf("a.b%d", i), Message: "is required"})
	}
	want := problem.Invalid("values-schema-violation", "the values do not meet the chart's schema: "+
		"a.b0 is required; a.b1 is required; a.b2 is required; a.b3 is required; a.b4 is required; and 2 more").At("values.a.b0")
	if diff := cmp.Diff(want, schema.ViolationProblem("values", violations)); diff != "" {
		t.Error(diff)
	}
	if p := schema.ViolationProblem("values", []schema.Violation{{Message: "must be array, not object"}}); p.Field != "values" {
		t.Errorf("got field %q", p.Field)
	}
}

// TestNothingIsFetched sends every kind of reference through the validator itself, as if Check had overlooked it.
func TestNothingIsFetched(t *testing.T) {
	var hits atomic.Int32
	canary := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		_, _ = w.Write([]byte("{}"))
	}))
	defer canary.Close()
	schemas := map[string]string{
		"Ref":         `{"$ref": "CANARY/x"}`,
		"RelativeRef": `{"$id": "CANARY/a/", "$ref": "b"}`,
		"InnerID":     `{"properties": {"x": {"$id": "CANARY/a/", "allOf": [{"$ref": "b"}]}}}`,
		"DynamicRef":  `{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicRef": "CANARY/x#y"}`,
		"Schema":      `{"$schema": "CANARY/meta"}`,
		"Vocabulary":  `{"$schema": "CANARY/meta", "$vocabulary": {"CANARY/vocab": true}}`,
		"File":        `{"$ref": "file:///etc/passwd"}`,
		"Relative":    `{"$ref": "other.json"}`,
		"URN":         `{"$ref": "urn:x:y"}`,
	}
	for name, text := range schemas {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(text, "CANARY", canary.URL)
			_, err := schema.Validate(json.RawMessage(text), map[string]any{"x": 1})
			if !problem.Is(err, chart.CodeSchemaRef) {
				t.Errorf("validating gave %v", err)
			}
			if _, err := chart.Check(helmtest.Chart{"values.schema.json": text}.Archive(t)); !problem.Is(err, chart.CodeSchemaRef) {
				t.Errorf("checking gave %v", err)
			}
		})
	}
	if hits.Load() != 0 {
		t.Errorf("the canary was asked %d times", hits.Load())
	}
}

func TestValidateRefusesSchemas(t *testing.T) {
	for name, text := range map[string]string{
		"NotJSON": `type: object`, "NotASchema": `{"type": 7}`, "MissingAnchor": `{"$ref": "#/definitions/x"}`, "List": `[]`, "Pattern": `{"pattern": "("}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := schema.Validate(json.RawMessage(text), nil); !problem.Is(err, chart.CodeSchema) {
				t.Errorf("got %v", err)
			}
		})
	}
}
