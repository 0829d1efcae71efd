package drift

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/diff"
)

// MaxCandidates is how many values are tried to adopt a difference: each costs a render.
const MaxCandidates = 20

// Adoptable says whether a chart value can make the difference: a field that is there on both sides, with a scalar that is shown whole.
func (f Finding) Adoptable() bool {
	return f.Op == Changed && scalar(f.Want) && scalar(f.Live) && max(len(diff.Plain(f.Want)), len(diff.Plain(f.Live))) <= maxShown
}

// Candidates are the values that may make the field: those that equal what the manifest says, the likeliest first.
func (f Finding) Candidates(values map[string]any) []diff.Path {
	var found []diff.Path
	leaves(nil, values, func(at diff.Path, value any) {
		if scalar(value) && diff.Plain(value) == diff.Plain(f.Want) {
			found = append(found, at)
		}
	})
	likeness := func(p diff.Path) int { return common(words(p.String()), words(f.Path)) }
	slices.SortFunc(found, func(a, b diff.Path) int {
		return cmp.Or(cmp.Compare(likeness(b), likeness(a)), cmp.Compare(len(a), len(b)), strings.Compare(a.String(), b.String()))
	})
	return found
}

// Override is what to lay over values so that the one at path is the live one. A list is replaced whole, so it is repeated.
func (f Finding) Override(values map[string]any, path diff.Path) map[string]any {
	override, _ := with(values, path, f.Live).(map[string]any)
	return override
}

// with is the least of v that has value at path: of a map the one field, of a list all of it.
func with(v any, path diff.Path, value any) any {
	if len(path) == 0 {
		return like(v, value)
	}
	switch v := v.(type) {
	case map[string]any:
		return map[string]any{path[0].Field: with(v[path[0].Field], path[1:], value)}
	case []any:
		whole := slices.Clone(v)
		whole[path[0].Index] = over(v[path[0].Index], path[1:], value)
		return whole
	}
	return value
}

// over is all of v, with value at path.
func over(v any, path diff.Path, value any) any {
	m, ok := v.(map[string]any)
	if !ok || len(path) == 0 {
		return with(v, path, value)
	}
	whole := maps.Clone(m)
	whole[path[0].Field] = over(m[path[0].Field], path[1:], value)
	return whole
}

// like is value as the type that was there: an environment variable's "8080" comes from the number.
func like(was, value any) any {
	text, ok := value.(string)
	if _, text := was.(string); !ok || text {
		return value
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil || !scalar(v) || diff.Plain(v) != text {
		return value
	}
	return v
}

// MadeBy says whether rendering before and after differ in this field alone, which after has as it is live. A checksum of something that
// changed may follow: it only restarts pods.
func (f Finding) MadeBy(before, after []map[string]any) bool {
	was, is := byID(before), byID(after)
	if len(was) != len(is) {
		return false
	}
	made := false
	for id, object := range was {
		now, ok := is[id]
		if !ok {
			return false
		}
		for _, c := range diff.Compare(object, now) {
			path := c.Path.String()
			switch {
			case f.in(id) && path == f.Path && c.Op == diff.Changed && diff.Plain(c.After) == diff.Plain(f.Live):
				made = true
			case strings.Contains(path, `annotations["checksum/`):
			default:
				return false
			}
		}
	}
	return made
}

type objectID struct{ apiVersion, kind, namespace, name string }

// in: a manifest may leave the namespace to the release's.
func (f Finding) in(id objectID) bool {
	return f.APIVersion == id.apiVersion && f.Kind == id.kind && f.Name == id.name && (id.namespace == "" || id.namespace == f.Namespace)
}

func byID(objects []map[string]any) map[objectID]map[string]any {
	by := make(map[objectID]map[string]any, len(objects))
	for _, o := range objects {
		meta, _ := o["metadata"].(map[string]any)
		text := func(v any) string { s, _ := v.(string); return s }
		by[objectID{text(o["apiVersion"]), text(o["kind"]), text(meta["namespace"]), text(meta["name"])}] = o
	}
	return by
}

func leaves(at diff.Path, value any, found func(diff.Path, any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			leaves(at.Field(key), item, found)
		}
	case []any:
		for i, item := range v {
			leaves(at.To(diff.Step{Index: i}), item, found)
		}
	default:
		found(at, v)
	}
}

func scalar(v any) bool {
	switch v.(type) {
	case nil, map[string]any, []any:
		return false
	}
	return true
}

// words are what a path says, in lower case: service.targetPort says service, target and port.
func words(path string) []string {
	var b strings.Builder
	for _, r := range path {
		switch {
		case r >= 'A' && r <= 'Z':
			b.WriteByte(' ')
			b.WriteRune(r + 'a' - 'A')
		case r >= 'a' && r <= 'z':
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// common counts the words of a that begin or are begun by one of b: replica and replicas.
func common(a, b []string) int {
	n := 0
	for _, word := range a {
		if slices.ContainsFunc(b, func(other string) bool {
			return min(len(word), len(other)) > 2 && (strings.HasPrefix(other, word) || strings.HasPrefix(word, other))
		}) {
			n++
		}
	}
	return n
}
