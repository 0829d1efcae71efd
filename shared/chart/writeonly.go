package chart

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/problem"
)

// maxWriteOnly bounds the secret paths of an archive.
const maxWriteOnly = 200

// WriteOnly returns the paths of values that the schemas of a checked archive call writeOnly, subcharts' under the names that the chart
// knows them by: auth.password, redis.users[*].password. What a schema says only in some cases (oneOf, if) counts.
func WriteOnly(archive []byte) ([]string, error) {
	root, err := tree(archive)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	if err := root.writeOnly(nil, found); err != nil {
		return nil, err
	}
	if len(found) > maxWriteOnly {
		return nil, problem.Invalid(CodeSchema, "the chart's schemas have more than %d writeOnly values", maxWriteOnly).At("chart")
	}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

func (n *node) writeOnly(at diff.Path, found map[string]bool) error {
	if schema := withoutMark(n.part.schema); bytes.Contains(schema, []byte(`writeOnly`)) {
		w := writeOnly{refs: map[string][]diff.Path{}}
		if err := json.Unmarshal(schema, &w.root); err != nil {
			return problem.Invalid(CodeSchema, "the values.schema.json of chart %s is not JSON", n.name).At("chart")
		}
		for _, p := range w.paths(w.root, 0) {
			if p = slices.Concat(at, p); len(p) == 0 {
				p = diff.Path{{Field: diff.AnyField}}
			}
			found[p.String()] = true
			if len(found) > maxWriteOnly {
				return nil
			}
		}
	}
	for _, sub := range n.subcharts {
		if err := sub.writeOnly(at.Field(sub.name), found); err != nil {
			return err
		}
	}
	return nil
}

// writeOnly walks one schema. Each reference is walked once, so that a schema that refers to itself ends.
type writeOnly struct {
	root any
	refs map[string][]diff.Path
}

// paths are relative to the schema's place.
func (w *writeOnly) paths(schema any, depth int) []diff.Path {
	s, ok := schema.(map[string]any)
	if !ok || depth > maxSchemaDepth {
		return nil
	}
	if s["writeOnly"] == true {
		return []diff.Path{{}}
	}
	var all []diff.Path
	add := func(step diff.Step, below any) {
		for _, p := range w.paths(below, depth+1) {
			all = append(all, slices.Concat(diff.Path{step}, p))
		}
	}
	for name, below := range object(s["properties"]) {
		add(diff.Step{Field: name}, below)
	}
	for _, below := range object(s["patternProperties"]) {
		add(diff.Step{Field: diff.AnyField}, below)
	}
	add(diff.Step{Field: diff.AnyField}, s["additionalProperties"])
	add(diff.Step{Index: diff.AnyItem}, s["items"])
	add(diff.Step{Index: diff.AnyItem}, s["additionalItems"])
	for _, key := range []string{"items", "prefixItems"} {
		for _, below := range list(s[key]) {
			add(diff.Step{Index: diff.AnyItem}, below)
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for _, same := range list(s[key]) {
			all = append(all, w.paths(same, depth+1)...)
		}
	}
	for _, key := range []string{"if", "then", "else"} {
		all = append(all, w.paths(s[key], depth+1)...)
	}
	if ref, ok := s["$ref"].(string); ok {
		all = append(all, w.referred(ref, depth)...)
	}
	return distinct(all)
}

func (w *writeOnly) referred(ref string, depth int) []diff.Path {
	if known, ok := w.refs[ref]; ok {
		return known
	}
	w.refs[ref] = nil // while it is walked
	w.refs[ref] = w.paths(w.at(ref), depth+1)
	return w.refs[ref]
}

// at follows a JSON pointer within the document: #/$defs/auth.
func (w *writeOnly) at(ref string) any {
	pointer, err := url.PathUnescape(strings.TrimPrefix(ref, "#"))
	if err != nil || pointer == "" {
		return w.root
	}
	here := w.root
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		switch at := here.(type) {
		case map[string]any:
			here = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			here = at[i]
		default:
			return nil
		}
	}
	return here
}

// distinct bounds what schemas that multiply could make.
func distinct(paths []diff.Path) []diff.Path {
	seen := map[string]bool{}
	paths = slices.DeleteFunc(paths, func(p diff.Path) bool {
		key := p.String()
		was := seen[key]
		seen[key] = true
		return was
	})
	return paths[:min(len(paths), maxWriteOnly+1)]
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func list(v any) []any { l, _ := v.([]any); return l }
