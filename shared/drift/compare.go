package drift

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/diff"
)

// Difference is one field that differs, with its true values: they may be secret.
type Difference struct {
	Path       diff.Path
	Op         Op
	Want, Live any
	Manager    string // who owns the live field; of a removed one nobody knows
	Foreign    bool   // it is not who writes the release
	At         time.Time
	Detected   Detection
}

// Compare returns the fields in which live may differ from want. The manifest's fields must all be there and be equal, but for the
// spelling that only a server knows: let it try Repaired without effect, and keep what is Confirmed. A field that only live has counts
// by its owner: see Rules. The order of items that a key tells apart is not compared.
func (r *Rules) Compare(want, live map[string]any) []Difference {
	w := walk{rules: r, object: r.identify(want), filled: isFilled(want)}
	w.fields(nil, want, live, r.classified(live))
	return w.found
}

// classified are the claims on live. Who marked it as Helm's object installed the release, whatever its name; but a person may have
// written the mark, to give the object to Helm.
func (r *Rules) classified(live map[string]any) []claim {
	claims := claimsOf(live)
	for i := range claims {
		claims[i].class = r.classify(claims[i].manager)
		if claims[i].class == unknown && claims[i].scales {
			claims[i].class = controller
		}
	}
	marker := markerOf(live, claims)
	for i := range claims {
		if claims[i].manager == marker && claims[i].class != person {
			claims[i].class = ours
		}
	}
	return claims
}

type walk struct {
	rules  *Rules
	object named
	filled bool // the object is there for others to complete
	found  []Difference
}

func (w *walk) add(at diff.Path, op Op, want, live any, c claim, by Detection) {
	w.found = append(w.found, Difference{Path: at, Op: op, Want: want, Live: live, Manager: c.manager, At: c.at, Detected: by, Foreign: c.manager != "" && c.class != ours})
}

func (w *walk) fields(at diff.Path, want, live map[string]any, claims []claim) {
	keys := make([]string, 0, len(want)+len(live))
	for k, v := range want {
		if v != nil && k != "" {
			keys = append(keys, k)
		}
	}
	for k := range live {
		if want[k] == nil && k != "" { // no path leads there
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		lv, there := live[k]
		w.pair(at.Field(k), want[k], lv, want[k] != nil, there, ofField(claims, k))
	}
}

// pair compares what want and live have at one place.
func (w *walk) pair(at diff.Path, want, live any, wanted, there bool, claims []claim) {
	switch {
	case w.rules.ignores(w.object, at, !wanted):
	case !there:
		w.removed(at, want)
	case !wanted:
		w.extra(at, live, claims)
	default:
		w.values(at, want, live, claims)
	}
}

func (w *walk) values(at diff.Path, want, live any, claims []claim) {
	switch want := want.(type) {
	case map[string]any:
		if live, ok := live.(map[string]any); ok && diff.Named(want) && diff.Named(live) {
			w.fields(at, want, live, claims)
			return
		}
	case []any:
		if live, ok := live.([]any); ok {
			w.lists(at, want, live, claims)
			return
		}
	}
	if Equal(want, live) {
		return
	}
	owner := foreign(claims)
	if owner.class != controller {
		w.add(at, Changed, want, live, owner, ByManifest)
	}
}

func (w *walk) lists(at diff.Path, want, live []any, claims []claim) {
	key := diff.MergeKey(want, live)
	switch {
	case key != "":
		w.keyed(at, key, want, live, claims)
	case isSet(claims):
		w.set(at, want, live, claims)
	default:
		for i := range max(len(want), len(live)) {
			var wv, lv any
			if i < len(want) {
				wv = want[i]
			}
			if i < len(live) {
				lv = live[i]
			}
			w.pair(at.To(diff.Step{Index: i}), wv, lv, i < len(want), i < len(live), ofItem(claims, i, lv))
		}
	}
}

func (w *walk) keyed(at diff.Path, key string, want, live []any, claims []claim) {
	for _, item := range want {
		step := stepTo(key, item)
		i := find(live, step)
		if i < 0 {
			w.pair(at.To(step), item, nil, true, false, nil)
		} else {
			w.pair(at.To(step), item, live[i], true, true, ofItem(claims, i, live[i]))
		}
	}
	for i, item := range live {
		if step := stepTo(key, item); find(want, step) < 0 {
			w.pair(at.To(step), nil, item, false, true, ofItem(claims, i, item))
		}
	}
}

// set compares lists that have no order, such as finalizers.
func (w *walk) set(at diff.Path, want, live []any, claims []claim) {
	for i, item := range want {
		if !has(live, item) {
			w.pair(at.To(diff.Step{Index: i}), item, nil, true, false, nil)
		}
	}
	for i, item := range live {
		if !has(want, item) {
			w.pair(at.To(diff.Step{Index: i}), nil, item, false, true, ofItem(claims, i, item))
		}
	}
}

// removed: where a rule ignores a part of it, the parts are looked at one by one.
func (w *walk) removed(at diff.Path, want any) {
	if fields, ok := want.(map[string]any); ok && w.rules.ignoresBeneath(w.object, at) {
		w.fields(at, fields, nil, nil)
		return
	}
	w.add(at, Removed, want, nil, claim{}, ByManifest)
}

// extra is a field that only live has. It counts whole if one who counts owns it whole; else each of its parts is asked for.
func (w *walk) extra(at diff.Path, live any, claims []claim) {
	if len(claims) == 0 {
		return
	}
	owner, whole := w.adder(at, claims)
	_, fields := live.(map[string]any)
	item := at[len(at)-1].Field == ""
	if whole && (item || !fields || !w.shared(at, claims) && !w.rules.ignoresBeneath(w.object, at)) {
		w.add(at, Added, nil, live, owner, ByManagedFields)
		return
	}
	switch live := live.(type) {
	case map[string]any:
		w.fields(at, nil, live, claims)
	case []any:
		w.lists(at, nil, live, claims)
	}
}

// adder is the owner of the whole of a field, if it counts. What the release's writer owns too is a default, or admission's work.
func (w *walk) adder(at diff.Path, claims []claim) (claim, bool) {
	var owner claim
	var counts bool
	for _, c := range claims {
		if !c.whole() {
			continue
		}
		if c.class == ours {
			return claim{}, false
		}
		if w.counts(at, c) {
			owner, counts = c, true
		}
	}
	return owner, counts
}

// shared says whether a part of the field belongs to somebody who does not count: it must stay.
func (w *walk) shared(at diff.Path, claims []claim) bool {
	return slices.ContainsFunc(claims, func(c claim) bool { return !w.counts(at, c) })
}

// foreign is the owner to name: one who does not write the release, if there is one, and of these a controller first.
func foreign(claims []claim) claim {
	var owner claim
	for _, c := range claims {
		if owner.manager == "" || owner.class == ours || c.class == controller {
			owner = c
		}
	}
	return owner
}

func stepTo(key string, item any) diff.Step {
	fields, _ := item.(map[string]any)
	return diff.Step{Key: key, Value: fmt.Sprint(fields[key])}
}

// find returns the index of the item that step leads to, or -1.
func find(list []any, step diff.Step) int {
	if step.Key == "" {
		if step.Index < len(list) {
			return step.Index
		}
		return -1
	}
	return slices.IndexFunc(list, func(item any) bool {
		fields, ok := item.(map[string]any)
		return ok && fields[step.Key] != nil && stepTo(step.Key, item) == step
	})
}

func has(list []any, item any) bool {
	return slices.ContainsFunc(list, func(other any) bool { return Equal(item, other) })
}

// Equal compares values as JSON decodes them. It takes numbers for equal that JSON and YAML read as different types.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if other, ok := b[k]; !ok || !Equal(a[k], other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case int64:
		if b, ok := b.(float64); ok {
			return float64(a) == b
		}
	case float64:
		if b, ok := b.(int64); ok {
			return a == float64(b)
		}
	}
	return reflect.DeepEqual(a, b)
}
