package drift

import (
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/diff"
)

// In looks the finding up: there says that live still differs so, same that it has the value that was found.
func (f Finding) In(want, live map[string]any) (d Difference, there, same bool) {
	pattern, err := diff.Parse(f.Path)
	if err != nil {
		return Difference{}, false, false
	}
	d = Difference{Path: diff.Path(pattern), Op: f.Op}
	var wanted, lives bool
	d.Want, wanted = get(want, d.Path)
	d.Live, lives = get(live, d.Path)
	switch f.Op {
	case Added:
		there = lives && !wanted
	case Removed:
		there = wanted && !lives
	case Changed:
		there = wanted && lives && !Equal(d.Want, d.Live)
	}
	return d, there, Equal(Of(want, d).Live, f.Live)
}

// Repaired returns a copy of live in which the differences are put right and nothing else is changed.
func Repaired(want, live map[string]any, differences []Difference) map[string]any {
	object := clone(live)
	for _, d := range differences {
		if d.Op != Added {
			object = put(object, want, d.Path, clone(d.Want))
		}
	}
	for _, d := range slices.Backward(differences) { // so that no index moves before it was used
		if d.Op == Added {
			object = take(object, d.Path)
		}
	}
	repaired, _ := object.(map[string]any)
	return repaired
}

// Confirmed returns those differences that are no more in after: what the server makes of Repaired.
func Confirmed(differences []Difference, live, after map[string]any) []Difference {
	var real []Difference
	for _, d := range differences {
		was, had := get(live, d.Path)
		is, has := get(after, d.Path)
		if had != has || !Equal(was, is) {
			real = append(real, d)
		}
	}
	return real
}

// WithoutAdded returns the differences but those that were added at or beneath one of the fields, as a server names them: spec.ports[0].
func WithoutAdded(differences []Difference, fields []string) []Difference {
	var rest []Difference
	for _, d := range differences {
		beneath := func(field string) bool {
			plain, _, _ := strings.Cut(field, "[")
			p, err := diff.Parse(plain)
			return err == nil && p.Matches(d.Path)
		}
		if d.Op != Added || !slices.ContainsFunc(fields, beneath) {
			rest = append(rest, d)
		}
	}
	return rest
}

// MergePatch is the JSON merge patch (RFC 7386) that makes to of from.
func MergePatch(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for k, v := range to {
		was, had := from[k]
		before, isObject := was.(map[string]any)
		after, toObject := v.(map[string]any)
		switch {
		case isObject && toObject:
			if deeper := MergePatch(before, after); len(deeper) > 0 {
				patch[k] = deeper
			}
		case !had || !Equal(was, v):
			patch[k] = v
		}
	}
	for k := range from {
		if _, stays := to[k]; !stays {
			patch[k] = nil
		}
	}
	return patch
}

func get(v any, path diff.Path) (any, bool) {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			inner, ok := at[step.Field]
			if step.Field == "" || !ok {
				return nil, false
			}
			v = inner
		case []any:
			i := find(at, step)
			if step.Field != "" || i < 0 {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// put returns v with value at path. Want is the manifest's counterpart of v: an item comes to where the manifest has it.
func put(v, want any, path diff.Path, value any) any {
	if len(path) == 0 {
		return value
	}
	step := path[0]
	if step.Field != "" {
		fields, ok := v.(map[string]any)
		if !ok {
			fields = map[string]any{}
		}
		wanted, _ := want.(map[string]any)
		fields[step.Field] = put(fields[step.Field], wanted[step.Field], path[1:], value)
		return fields
	}
	list, _ := v.([]any)
	wanted, _ := want.([]any)
	var inner any
	if i := find(wanted, step); i >= 0 {
		inner = wanted[i]
	}
	if i := find(list, step); i >= 0 {
		list[i] = put(list[i], inner, path[1:], value)
		return list
	}
	var item any
	if step.Key != "" {
		item = map[string]any{step.Key: at(map[string]any{"item": inner}, "item", step.Key)}
	}
	return slices.Insert(list, place(list, wanted, step), put(item, inner, path[1:], value))
}

// place is where a missing item belongs: behind the nearest of those before it in the manifest.
func place(list, wanted []any, step diff.Step) int {
	if step.Key == "" {
		return len(list)
	}
	for i := find(wanted, step) - 1; i >= 0; i-- {
		if before := find(list, stepTo(step.Key, wanted[i])); before >= 0 {
			return before + 1
		}
	}
	return 0
}

// take returns v without what is at path.
func take(v any, path diff.Path) any {
	step, last := path[0], len(path) == 1
	switch at := v.(type) {
	case map[string]any:
		inner, ok := at[step.Field]
		switch {
		case !ok:
		case last:
			delete(at, step.Field)
		default:
			at[step.Field] = take(inner, path[1:])
		}
	case []any:
		i := find(at, step)
		switch {
		case i < 0:
		case last:
			return slices.Delete(at, i, i+1)
		default:
			at[i] = take(at[i], path[1:])
		}
	}
	return v
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for k, item := range v {
			copied[k] = clone(item)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			copied[i] = clone(item)
		}
		return copied
	}
	return v
}

// Proven returns those differences that need no server to tell: another than the release's writer owns the live field.
func Proven(differences []Difference) []Difference {
	var proven []Difference
	for _, d := range differences {
		if d.Foreign {
			proven = append(proven, d)
		}
	}
	return proven
}
