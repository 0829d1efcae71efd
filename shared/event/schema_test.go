package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/openapi"
)

var update = flag.Bool("update", false, "write events/schemas anew")

const schemas = "../../events/schemas"

// The published schemas are made of the types: a field that is added is in none until they are written anew, and then in the diff that is reviewed.
func TestSchemasAreThoseOfTheTypes(t *testing.T) {
	published, err := filepath.Glob(filepath.Join(schemas, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(published) != len(event.Kinds) && !*update {
		t.Errorf("%d schemas of %d types", len(published), len(event.Kinds))
	}
	for _, kind := range event.Kinds {
		t.Run(string(kind.Type), func(t *testing.T) {
			want := indented(t, schemaOf(kind, sample(t, kind.Type)))
			path := filepath.Join(schemas, string(kind.Type)+".json")
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("it is not what the types say; go test ./shared/event -update writes it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryEventIsAsItsSchemaSays(t *testing.T) {
	for _, kind := range event.Kinds {
		t.Run(string(kind.Type), func(t *testing.T) {
			schema := compile(t, kind.Type)
			for _, e := range every(t)[kind.Type] {
				if err := schema.Validate(generic(t, e)); err != nil {
					t.Errorf("%v\n%s", err, indented(t, e))
				}
			}
			open := generic(t, sample(t, kind.Type)).(map[string]any)
			open["forgotten"] = true
			if schema.Validate(open) == nil {
				t.Error("it is open to fields that it does not have")
			}
			for _, part := range kind.Parts {
				inside := generic(t, sample(t, kind.Type)).(map[string]any)
				of, there := inside[strings.TrimSuffix(part, "?")].(map[string]any)
				if !there {
					t.Errorf("the sample has no %s", part)
					continue
				}
				of["forgotten"] = true
				if schema.Validate(inside) == nil {
					t.Errorf("its %s is open to fields that it does not have", part)
				}
			}
		})
	}
}

func TestEveryTypeIsDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range event.Kinds {
		if !strings.Contains(string(guide), "| `"+string(kind.Type)+"` | "+kind.About) {
			t.Errorf("docs/events.md does not say of %s: %s", kind.Type, kind.About)
		}
	}
}

// A schema says what may have started a run in the words of the API.
func TestEveryTriggerIsDocumented(t *testing.T) {
	field, _ := reflect.TypeFor[event.Run]().FieldByName("Trigger")
	for _, trigger := range []openapi.RunTrigger{openapi.RunTriggerAPI, openapi.RunTriggerReconcile, openapi.RunTriggerSource} {
		if doc := field.Tag.Get("doc"); !strings.Contains(doc, string(trigger)) {
			t.Errorf("%s is not in %q", trigger, doc)
		}
	}
}

func compile(t *testing.T, typ event.Type) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(schemas, string(typ)+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// generic is v as a consumer gets it.
func generic(t *testing.T, v any) any {
	t.Helper()
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(indented(t, v)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type object struct {
	Schema      string            `json:"$schema,omitempty"`
	ID          string            `json:"$id,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        string            `json:"type,omitempty"`
	Const       any               `json:"const,omitempty"`
	Format      string            `json:"format,omitempty"`
	Items       *object           `json:"items,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Properties  map[string]object `json:"properties,omitempty"`
	Closed      *bool             `json:"additionalProperties,omitempty"`
	Examples    []any             `json:"examples,omitempty"`
}

func schemaOf(kind event.Kind, example event.Event) object {
	var head = []string{"id", "type", "org", "time", "schemaVersion"}
	out := objectOf(reflect.TypeFor[event.Event](), func(name string) (has, required bool) {
		return slices.Contains(head, name) || slices.Contains(kind.Parts, name) || slices.Contains(kind.Parts, name+"?"),
			!slices.Contains(kind.Parts, name+"?")
	})
	out.Schema = "https://json-schema.org/draft/2020-12/schema"
	out.ID = "https://github.com/swell-sh/swell/events/schemas/" + string(kind.Type) + ".json"
	out.Title, out.Description = string(kind.Type), kind.About
	typ, version := out.Properties["type"], out.Properties["schemaVersion"]
	typ.Const, version.Const = kind.Type, event.SchemaVersion
	out.Properties["type"], out.Properties["schemaVersion"] = typ, version
	out.Examples = []any{example}
	return out
}

func objectOf(t reflect.Type, keep func(name string) (has, required bool)) object {
	closed := false
	out := object{Type: "object", Properties: map[string]object{}, Closed: &closed}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		has, required := true, options == ""
		if keep != nil {
			has, required = keep(name)
		}
		if !has {
			continue
		}
		property := valueOf(field.Type)
		property.Description = field.Tag.Get("doc")
		out.Properties[name] = property
		if required {
			out.Required = append(out.Required, name)
		}
	}
	return out
}

func valueOf(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{Type: "string", Format: "date-time"}
	case t.Kind() == reflect.Pointer:
		return valueOf(t.Elem())
	case t.Kind() == reflect.Struct:
		return objectOf(t, nil)
	case t.Kind() == reflect.Slice:
		items := valueOf(t.Elem())
		return object{Type: "array", Items: &items}
	case t.Kind() == reflect.Bool:
		return object{Type: "boolean"}
	case t.Kind() == reflect.String:
		return object{Type: "string"}
	}
	return object{Type: "integer"}
}
