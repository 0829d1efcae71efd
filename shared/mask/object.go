package mask

import (
	"encoding/json"
	"slices"

	"github.com/swell-sh/swell/shared/diff"
)

// Objects masks what differs between objects of a cluster: all data of a Secret, and the literals in every other text. That a masked field
// differs stays to be seen.
func Objects(objects []diff.Object, literals []string) []diff.Object {
	masked := make([]diff.Object, len(objects))
	for i, o := range objects {
		masked[i] = object(o, literals)
	}
	return masked
}

func object(o diff.Object, literals []string) diff.Object {
	o.Note = Hide(o.Note, literals)
	o.Destructive = slices.Clone(o.Destructive)
	for i, why := range o.Destructive {
		o.Destructive[i] = Hide(why, literals)
	}
	o.Changes = slices.Clone(o.Changes)
	for i, c := range o.Changes {
		hide := func(v any) any { return rendered(v, literals) }
		if o.Kind == "Secret" && len(c.Path) > 0 && (c.Path[0].Field == "data" || c.Path[0].Field == "stringData") {
			hide = all
		}
		c.Before, c.After, c.Path = hide(c.Before), hide(c.After), steps(c.Path, literals)
		o.Changes[i] = c
	}
	return o
}

// steps hides a literal by which the item of a list is known.
func steps(path diff.Path, literals []string) diff.Path {
	path = slices.Clone(path)
	for i := range path {
		path[i].Value = Hide(path[i].Value, literals)
	}
	return path
}

// all is a value without any of its texts and numbers.
func all(value any) any {
	return walk(value, func(any) any { return Text })
}

// rendered is a value without the literals.
func rendered(value any, literals []string) any {
	return walk(value, func(leaf any) any {
		if text, ok := leaf.(string); ok {
			return Hide(text, literals)
		}
		if raw, err := json.Marshal(leaf); err == nil && slices.Contains(literals, string(raw)) {
			return Text // a password of digits
		}
		return leaf
	})
}

// walk returns a copy with every leaf but null replaced.
func walk(value any, leaf func(any) any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = walk(item, leaf)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = walk(item, leaf)
		}
		return out
	}
	return leaf(value)
}
