package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// field is a field that a body may have.
type field struct {
	name     string
	kind     reflect.Type
	required bool
}

// checkValue reads one value of valid JSON and finds where it is not a t. The errors of encoding/json do not name unknown fields by their
// path, and it takes fields in any case, twice, or not at all.
func checkValue(d *json.Decoder, t reflect.Type, path string) (null bool, err error) {
	token, err := d.Token()
	if err != nil {
		return false, fmt.Errorf("reading the body at %q: %w", path, err)
	}
	if token == nil {
		return true, nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if got, want := kindOf(token), wanted(t); want != "" && got != want && (want != "a number" || got != "an integer") {
		return false, notA(want, got, path)
	}
	switch value := token.(type) {
	case json.Delim:
		if value == '{' {
			return false, checkObject(d, t, path)
		}
		return false, checkArray(d, t, path)
	case string:
		return false, checkEnum(value, t, path)
	}
	return false, nil
}

func checkObject(d *json.Decoder, t reflect.Type, path string) error {
	fields := fieldsOf(t)
	seen, given := map[string]bool{}, map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("reading the body at %q: %w", path, err)
		}
		name, _ := token.(string)
		at := join(path, name)
		if seen[name] {
			return problem.Invalid("field-twice", "%s is given twice", at).At(at).Try("give it once")
		}
		seen[name] = true
		inner, ok := innerType(t, fields, name)
		if !ok {
			return problem.Invalid("unknown-field", "there is no field %s", at).At(at).Try("%s", suggest(fields, name))
		}
		null, err := checkValue(d, inner, at)
		if err != nil {
			return err
		}
		if want := wanted(inner); null && want != "" && t.Kind() == reflect.Map {
			return notA(want, "null", at)
		}
		given[name] = !null // a field that is null is left out
	}
	_, _ = d.Token() // the closing brace, which valid JSON has
	for _, f := range fields {
		if f.required && !given[f.name] {
			at := join(path, f.name)
			return problem.Invalid("missing-field", "%s is missing", at).At(at).Try("give it: it is required")
		}
	}
	return nil
}

func checkArray(d *json.Decoder, t reflect.Type, path string) error {
	inner := reflect.TypeFor[any]()
	if t.Kind() == reflect.Slice {
		inner = t.Elem()
	}
	for i := 0; d.More(); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		null, err := checkValue(d, inner, at)
		if err != nil {
			return err
		}
		if want := wanted(inner); null && want != "" {
			return notA(want, "null", at)
		}
	}
	_, _ = d.Token() // the closing bracket
	return nil
}

func checkEnum(text string, t reflect.Type, path string) error {
	if t.Kind() != reflect.String {
		return nil
	}
	if e, ok := reflect.ValueOf(text).Convert(t).Interface().(interface{ Valid() bool }); ok && !e.Valid() {
		return problem.Invalid("invalid-value", "%s is %q, which it cannot be", path, text).At(path).
			Try("use one of: %s", strings.Join(enumerations[t.Name()], ", "))
	}
	return nil
}

func notA(want, got, path string) error {
	subject := path
	if path == "" {
		subject = "the body"
	}
	return problem.Invalid("wrong-type", "%s is %s, not %s", subject, got, want).At(path).Try("send %s", want)
}

// kindOf says what a token of JSON is.
func kindOf(token json.Token) string {
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return "a list"
		}
		return "an object"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "an integer"
		}
		return "a number"
	}
	return "null"
}

// wanted says what t is in JSON; nothing where anything will do.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	}
	return ""
}

func fieldsOf(t reflect.Type) []field {
	if t.Kind() != reflect.Struct {
		return nil
	}
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, field{name: name, kind: f.Type, required: !optional(f)})
	}
	return fields
}

// innerType is what a field of t is; false where t has no such field.
func innerType(t reflect.Type, fields []field, name string) (reflect.Type, bool) {
	switch t.Kind() {
	case reflect.Struct:
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			return nil, false
		}
		return fields[i].kind, true
	case reflect.Map:
		return t.Elem(), true
	}
	return reflect.TypeFor[any](), true
}

func suggest(fields []field, name string) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		if strings.EqualFold(f.name, name) {
			return fmt.Sprintf("write %s", f.name)
		}
		names[i] = f.name
	}
	slices.Sort(names)
	return "use only: " + strings.Join(names, ", ")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
