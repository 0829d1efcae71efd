// Package diff compares Kubernetes objects field by field.
package diff

import (
	"fmt"
	"reflect"
	"slices"
)

// Op says what happened to a field.
type Op string

// The operations.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
)

// Change is one field that differs. An added or removed object or list is one change at its root.
type Change struct {
	Path   Path `json:"path"`
	Op     Op   `json:"op"`
	Before any  `json:"before,omitempty"` // nil: was not there
	After  any  `json:"after,omitempty"`  // nil: is no more
}

// Compare returns the fields in which after is not before, in the order of their paths. Lists whose items all have a name, or
// another key that Kubernetes merges by, are compared by it; others by position, but for what both end with.
func Compare(before, after map[string]any) []Change {
	var c comparer
	c.objects(nil, before, after)
	return c.changes
}

// Named says whether all fields have names. Where one has none, no path leads to it, and the object is compared as a whole.
func Named(object map[string]any) bool {
	_, nameless := object[""]
	return !nameless
}

type comparer struct{ changes []Change }

func (c *comparer) add(p Path, op Op, before, after any) {
	c.changes = append(c.changes, Change{Path: p, Op: op, Before: before, After: after})
}

func (c *comparer) objects(at Path, before, after map[string]any) {
	keys := make([]string, 0, len(before)+len(after))
	for k := range before {
		keys = append(keys, k)
	}
	for k := range after {
		if _, both := before[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		b, had := before[k]
		a, has := after[k]
		p := at.Field(k)
		switch {
		case !had:
			c.add(p, Added, nil, a)
		case !has:
			c.add(p, Removed, b, nil)
		default:
			c.values(p, b, a)
		}
	}
}

func (c *comparer) values(at Path, before, after any) {
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok && Named(b) && Named(a) {
			c.objects(at, b, a)
			return
		}
	case []any:
		if a, ok := after.([]any); ok {
			c.lists(at, b, a)
			return
		}
	}
	if !equal(before, after) {
		c.add(at, Changed, before, after)
	}
}

func (c *comparer) lists(at Path, before, after []any) {
	if key := MergeKey(before, after); key != "" {
		c.keyed(at, key, before, after)
		return
	}
	end := tail(before, after)
	before, after = before[:len(before)-end], after[:len(after)-end]
	for i := range max(len(before), len(after)) {
		p := at.To(Step{Index: i})
		switch {
		case i >= len(before):
			c.add(p, Added, nil, after[i])
		case i >= len(after):
			c.add(p, Removed, before[i], nil)
		default:
			c.values(p, before[i], after[i])
		}
	}
}

// tail counts the items at the end of both lists that are the same, so that one that comes between is not taken for a change of all that
// follow. Lists of one length have none: there each position is its own.
func tail(before, after []any) (n int) {
	if len(before) == len(after) {
		return 0
	}
	same := 0
	for same < min(len(before), len(after)) && equal(before[same], after[same]) {
		same++
	}
	for n < min(len(before), len(after))-same && equal(before[len(before)-1-n], after[len(after)-1-n]) {
		n++
	}
	return n
}

func (c *comparer) keyed(at Path, key string, before, after []any) {
	had, has := byKey(key, before), byKey(key, after)
	for _, item := range before {
		id := keyOf(key, item)
		p := at.To(Step{Key: key, Value: id})
		if now, stays := has[id]; stays {
			c.values(p, item, now)
		} else {
			c.add(p, Removed, item, nil)
		}
	}
	for _, item := range after {
		if id := keyOf(key, item); had[id] == nil {
			c.add(at.To(Step{Key: key, Value: id}), Added, nil, item)
		}
	}
}

// mergeKeys are the fields that Kubernetes' own lists are merged by, the most telling first.
var mergeKeys = []string{"name", "mountPath", "devicePath", "containerPort", "port", "type", "key", "ip", "topologyKey", "path", "uid"}

// MergeKey is the field that tells the items of both lists apart; none, if no field does: then items go by position.
func MergeKey(lists ...[]any) string {
	for _, key := range mergeKeys {
		if tells(key, lists) {
			return key
		}
	}
	return ""
}

func tells(key string, lists [][]any) bool {
	items := 0
	for _, list := range lists {
		seen := map[string]bool{}
		for _, item := range list {
			object, ok := item.(map[string]any)
			if !ok {
				return false
			}
			switch object[key].(type) {
			case string, int64, float64:
			default:
				return false
			}
			id := keyOf(key, item)
			if seen[id] {
				return false
			}
			seen[id] = true
			items++
		}
	}
	return items > 0
}

func keyOf(key string, item any) string {
	return fmt.Sprint(item.(map[string]any)[key])
}

func byKey(key string, list []any) map[string]any {
	items := make(map[string]any, len(list))
	for _, item := range list {
		items[keyOf(key, item)] = item
	}
	return items
}

// equal takes numbers for equal that JSON and YAML read as different types.
func equal(a, b any) bool {
	x, xNumber := number(a)
	y, yNumber := number(b)
	if xNumber && yNumber {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
