// Package schemas_test is a consumer of Swell's events who has their schemas and nothing else of Swell's.
package schemas_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

type schema struct {
	Title      string
	Type       string
	Format     string
	Const      any
	Required   []string
	Properties map[string]schema
	Items      *schema
	Examples   []json.RawMessage
}

// Each example is decoded, strictly, into a Go type that is made of its schema alone, and says what it is.
func TestEventsAreDecodedFromTheirSchemasAlone(t *testing.T) {
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d schemas: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s schema
			if err := json.Unmarshal(raw, &s); err != nil || len(s.Examples) == 0 {
				t.Fatalf("%v, %d examples", err, len(s.Examples))
			}
			compiled, err := jsonschema.NewCompiler().Compile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, example := range s.Examples {
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(example))
				if err == nil {
					err = compiled.Validate(v)
				}
				if err != nil {
					t.Fatal(err)
				}
				e := reflect.New(s.goType())
				decoder := json.NewDecoder(bytes.NewReader(example))
				decoder.DisallowUnknownFields()
				if err := decoder.Decode(e.Interface()); err != nil {
					t.Fatal(err)
				}
				typ, at := e.Elem().FieldByName("X_type").String(), e.Elem().FieldByName("X_time").Interface().(time.Time)
				if typ+".json" != file || typ != s.Title || at.IsZero() || e.Elem().FieldByName("X_id").IsZero() || e.Elem().FieldByName("X_org").IsZero() {
					t.Errorf("it is a %s of %s", typ, at)
				}
				if f := e.Elem().FieldByName("X_outcome"); f.IsValid() && f.FieldByName("X_targets").Int() != f.FieldByName("X_succeeded").Int()+f.FieldByName("X_failed").Int() {
					t.Errorf("its targets do not add up: %+v", f)
				}
			}
		})
	}
}

func (s schema) goType() reflect.Type {
	switch {
	case s.Format == "date-time":
		return reflect.TypeFor[time.Time]()
	case s.Type == "object":
		var fields []reflect.StructField
		for name, property := range s.Properties {
			fields = append(fields, reflect.StructField{Name: "X_" + name, Type: property.goType(), Tag: reflect.StructTag(`json:"` + name + `"`)})
		}
		return reflect.StructOf(fields)
	case s.Type == "array":
		return reflect.SliceOf(s.Items.goType())
	case s.Type == "integer":
		return reflect.TypeFor[int64]()
	case s.Type == "boolean":
		return reflect.TypeFor[bool]()
	}
	return reflect.TypeFor[string]()
}

// A consumer that looks at what was not promised finds nothing there.
func TestWhatIsNotPromisedIsRefused(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile("run.failed.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": `{}`, "another type": `{"id": "x", "type": "run.done", "org": "a", "time": "2026-11-21T12:00:00Z", "schemaVersion": 1}`,
		"a later version": `{"id": "x", "type": "run.failed", "org": "a", "time": "2026-11-21T12:00:00Z", "schemaVersion": 2}`,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if compiled.Validate(v) == nil {
			t.Errorf("%s is taken for a run that failed", name)
		}
	}
}
