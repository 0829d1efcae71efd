package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
)

const (
	maxValues = 4 << 20 // bytes of a file; the API's own limit is lower
	maxIndex  = 1 << 16 // of a list, as Helm has it
)

// readValues reads a YAML file whose document is an object. Numbers stay as they are written.
func (a *app) readValues(path string) (openapi.Values, error) {
	text, err := a.readFile(path, maxValues)
	if err != nil {
		return nil, err
	}
	values := openapi.Values{}
	err = yaml.Unmarshal(text, &values, func(d *json.Decoder) *json.Decoder {
		d.UseNumber()
		return d
	})
	if err != nil {
		return nil, fmt.Errorf("%s is no YAML object of values: %w", path, err)
	}
	if values == nil { // the document is null, or only comments
		values = openapi.Values{}
	}
	return values, nil
}

// setValues sets what a --set says: key.path=value, with commas between several; \ before a character that has a meaning; name[0] for a
// list's element; {a,b} for a list. A value is a boolean, null or an integer where it reads so, unless asText.
func setValues(values map[string]any, set string, asText bool) error {
	for _, pair := range split(set, ',') {
		parts := split(pair, '=')
		if len(parts) < 2 || parts[0] == "" {
			return fmt.Errorf("%q sets nothing; write key=value", strings.SplitN(pair, "=", 2)[0])
		}
		text := strings.Join(parts[1:], "=")
		path, err := parsePath(parts[0])
		if err != nil {
			return err
		}
		filled, err := setAt(values, path, parseValue(text, asText))
		if err != nil {
			return fmt.Errorf("setting %s: %w", parts[0], err)
		}
		if _, ok := filled.(map[string]any); !ok {
			return fmt.Errorf("setting %s: values are an object, not a list", parts[0])
		}
	}
	return nil
}

// split cuts at separators that are neither escaped nor within braces. Escapes stay for the next one who reads.
func split(s string, separator byte) []string {
	var parts []string
	start, depth := 0, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '{':
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == separator && depth == 0:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// parsePath reads a.b[0].c as "a", "b", 0, "c".
func parsePath(s string) ([]any, error) {
	var path []any
	for _, part := range split(s, '.') {
		names := split(part, '[')
		if names[0] == "" {
			return nil, fmt.Errorf("%q is no path of a value", s)
		}
		path = append(path, unescape(names[0]))
		for _, index := range names[1:] {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || n < 0 || n > maxIndex || !strings.HasSuffix(index, "]") {
				return nil, fmt.Errorf("%q has an index that is none", s)
			}
			path = append(path, n)
		}
	}
	return path, nil
}

// setAt returns what is at a path's beginning, with value at its end.
func setAt(at any, path []any, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch step := path[0].(type) {
	case int:
		list, _ := at.([]any)
		for len(list) <= step {
			list = append(list, nil)
		}
		inner, err := setAt(list[step], path[1:], value)
		list[step] = inner
		return list, err
	default:
		name, _ := step.(string)
		object, ok := at.(map[string]any)
		if !ok {
			if values, isValues := at.(openapi.Values); isValues {
				object = values
			} else {
				object = map[string]any{}
			}
		}
		inner, err := setAt(object[name], path[1:], value)
		object[name] = inner
		return object, err
	}
}

func parseValue(s string, asText bool) any {
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
		list := []any{}
		if s != "{}" {
			for _, item := range split(s[1:len(s)-1], ',') {
				list = append(list, parseValue(strings.TrimSpace(item), asText))
			}
		}
		return list
	}
	if !asText {
		switch s {
		case "true":
			return true
		case "false":
			return false
		case "null":
			return nil
		}
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && (s == "0" || s[0] != '0') { // 0123 is a text, as with Helm
			return n
		}
	}
	return unescape(s)
}

func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
