package mask

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/problem"
)

// Unmask returns the values of a request with what before has wherever the request has Text. field is where the request has the values,
// for the problem: "values", or "valueOverrides.pke-demo".
func (secret Paths) Unmask(field string, request, before map[string]any) (map[string]any, error) {
	u := unmasking{secret: secret, root: diff.Path{{Field: field}}}
	value, err := u.value(nil, request, before, before != nil)
	if err != nil || request == nil {
		return nil, err
	}
	values, _ := value.(map[string]any)
	return values, nil
}

// maxDepth bounds the work on lists in lists.
const maxDepth = 100

type unmasking struct {
	secret Paths
	root   diff.Path
}

func (u unmasking) value(at diff.Path, request, before any, had bool) (any, error) {
	switch r := request.(type) {
	case map[string]any:
		return u.object(at, r, before)
	case []any:
		b, _ := before.([]any)
		return u.list(at, r, b)
	case string:
		if r == Text {
			return u.masked(at, before, had)
		}
	}
	return request, nil
}

func (u unmasking) masked(at diff.Path, before any, had bool) (any, error) {
	if !u.secret.Has(at) {
		return nil, u.refuse(at, "%s is what stands for a secret, and this path is not one").Try("send the value itself, or mark the path in secretPaths")
	}
	if !had {
		return nil, u.refuse(at, "%s means unchanged, and there was no such value before").Try("send the value itself")
	}
	return before, nil
}

func (u unmasking) refuse(at diff.Path, format string) *problem.Problem {
	field := u.root[0].Field
	if len(at) > 0 {
		field += "." + at.String()
	}
	return problem.Invalid("mask-without-value", format, Text).At(field)
}

func (u unmasking) object(at diff.Path, request map[string]any, before any) (any, error) {
	was, _ := before.(map[string]any)
	out := make(map[string]any, len(request))
	for key, item := range request {
		below, had := was[key]
		value, err := u.value(at.Field(key), item, below, had)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}

func (u unmasking) list(at diff.Path, request, before []any) (any, error) {
	if !has(request) {
		return request, nil
	}
	if len(at) > maxDepth {
		return nil, u.refuse(at, "%s lies too deep").Try("send the value itself")
	}
	read, _ := u.secret.At(at, before).([]any)
	p := newPairing(request, read, before)
	out := make([]any, len(request))
	for i, item := range request {
		was, had := p.before(i, item)
		value, err := u.value(at.To(diff.Step{Index: i}), item, was, had)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

// In says whether Text is anywhere in values.
func In(values map[string]any) bool { return has(values) }

func has(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			if has(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, has)
	}
	return value == Text
}

// pairing finds the item that an item of a written list was read as: the one with its name, or another field that tells them apart; else
// the one that reads just the same; of several such, the one in its place, if nothing in the list changed. A password never goes to another
// user because a list was shortened or sorted.
type pairing struct {
	key     string
	items   []any
	same    bool            // the list was written as it was read
	first   map[string]int  // by id
	several map[string]bool // ids of items that read the same and are not
}

func newPairing(request, read, before []any) pairing {
	p := pairing{
		key: diff.MergeKey(request, read), items: before, same: len(request) == len(before), first: map[string]int{}, several: map[string]bool{},
	}
	for i, item := range read {
		id := p.id(item)
		p.same = p.same && id == p.id(request[i])
		if first, ok := p.first[id]; ok {
			p.several[id] = p.several[id] || !reflect.DeepEqual(before[first], before[i])
			continue
		}
		p.first[id] = i
	}
	return p
}

func (p pairing) id(item any) string {
	if object, ok := item.(map[string]any); ok && p.key != "" {
		item = object[p.key]
	}
	raw, err := json.Marshal(item)
	if err != nil { // values came as JSON
		return ""
	}
	return string(raw)
}

func (p pairing) before(i int, item any) (any, bool) {
	if p.same {
		return p.items[i], true
	}
	id := p.id(item)
	first, ok := p.first[id]
	if !ok || p.several[id] {
		return nil, false
	}
	return p.items[first], true
}
