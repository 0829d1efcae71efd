// Package provenance says which layer set each of the values that a chart's templates see. It merges as Helm does.
package provenance

import (
	"maps"
	"slices"

	"github.com/swell-sh/swell/shared/diff"
)

// Chart is a chart as far as values go.
type Chart struct {
	Name         string // in its parent: the alias, if it has one
	Values       map[string]any
	Dependencies []Dependency // that it declares
	Subcharts    []*Chart     // that it brings; one for each alias
}

// Dependency is what a chart declares of a subchart.
type Dependency struct {
	Name      string // the alias, if it has one
	Condition string
	Tags      []string
	Imports   []Import
}

// Import copies values of a subchart into its parent's.
type Import struct{ Child, Parent string }

// Layer says what kind of thing set a value, from the weakest to the strongest.
type Layer string

// The layers. Reused: the request did not say it; it was there before, and reuseValues kept it.
const (
	ChartDefault    Layer = "chart"
	SubchartDefault Layer = "subchart"
	Reused          Layer = "reused"
	Common          Layer = "common"
	Override        Layer = "override"
)

// Origin is where a value comes from.
type Origin struct {
	Layer      Layer
	Source     string // the chart, with its parents: "web/redis"; "values" or "valueOverrides.<cluster>" of a request
	Generation int    // whose request said it; 0: a chart did
}

// Values are what one origin sets.
type Values struct {
	Origin Origin
	Values map[string]any
}

// Leaf is one value: a scalar, a list, or an empty object. Lists are replaced whole.
type Leaf struct {
	Path    diff.Path
	Value   any
	Origin  Origin
	Removed bool     // by a null: templates do not see it
	Hides   []Hidden // what weaker layers set, the strongest first
}

// Hidden is a value that does not take effect.
type Hidden struct {
	Value  any
	Origin Origin
}

// Explained are the values that a chart's templates see.
type Explained struct{ root *node }

// Explain merges requests, the weakest first, over the defaults of a chart and its subcharts.
func Explain(chart *Chart, requests ...Values) (Explained, error) {
	root := &node{table: map[string]*node{}}
	for _, r := range requests {
		root.overlay(nodeOf(r.Values, r.Origin))
	}
	c := wrap(chart, chart.Name, "values", ChartDefault)
	if err := c.enable(root, ""); err != nil {
		return Explained{}, err
	}
	if err := c.importValues(); err != nil {
		return Explained{}, err
	}
	err := c.coalesce(root, false)
	return Explained{root: root}, err
}

// Values are the values as templates see them; within leaves out what is elsewhere, nil nothing.
func (e Explained) Values(within diff.Pattern) map[string]any {
	values, _ := only(nil, e.root.plain(), within).(map[string]any)
	return values
}

// only is nil where value has nothing within.
func only(at diff.Path, value any, within diff.Pattern) any {
	if within.Matches(at) {
		return value
	}
	m, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	out := map[string]any{}
	for key, item := range m {
		if kept := only(at.Field(key), item, within); kept != nil {
			out[key] = kept
		}
	}
	if len(out) == 0 && len(at) > 0 {
		return nil
	}
	return out
}

// Leaves are all values, in the order of their paths, and what a null removed; within leaves out what is elsewhere, nil nothing.
func (e Explained) Leaves(within diff.Pattern) []Leaf {
	return slices.DeleteFunc(e.root.leaves(nil, nil), func(l Leaf) bool { return !within.Matches(l.Path) })
}

// node is a value on its way: a table, or a leaf.
type node struct {
	origin  Origin
	table   map[string]*node // nil: a leaf
	value   any
	removed map[string]*node // keys of table that a null took away
	hides   []Hidden
}

func nodeOf(value any, origin Origin) *node {
	m, ok := value.(map[string]any)
	if !ok {
		return &node{value: value, origin: origin}
	}
	n := &node{table: make(map[string]*node, len(m)), origin: origin}
	for key, item := range m {
		n.table[key] = nodeOf(item, origin)
	}
	return n
}

func (n *node) null() bool { return n.table == nil && n.value == nil }

func (n *node) set(key string, child *node) {
	n.table[key] = child
	delete(n.removed, key)
}

func (n *node) remove(key string) {
	if n.removed == nil {
		n.removed = map[string]*node{}
	}
	n.removed[key] = n.table[key]
	delete(n.table, key)
}

func (n *node) clone() *node {
	out := *n
	out.hides = slices.Clone(n.hides)
	out.table, out.removed = cloneAll(n.table), cloneAll(n.removed)
	return &out
}

func cloneAll(nodes map[string]*node) map[string]*node {
	if nodes == nil {
		return nil
	}
	out := make(map[string]*node, len(nodes))
	for key, n := range nodes {
		out[key] = n.clone()
	}
	return out
}

// hide records that weaker does not take effect here.
func (n *node) hide(weaker *node) {
	for _, h := range append([]Hidden{{Value: weaker.plain(), Origin: weaker.origin}}, weaker.hides...) {
		known := h.Origin == n.origin || slices.ContainsFunc(n.hides, func(k Hidden) bool { return k.Origin == h.Origin })
		if !known {
			n.hides = append(n.hides, h)
		}
	}
}

// overlay lays the values of a later request over n, as deployment.Merge does.
func (n *node) overlay(over *node) {
	for key, above := range over.table {
		below, ok := n.table[key]
		switch {
		case ok && below.table != nil && above.table != nil:
			below.origin = above.origin
			below.overlay(above)
			continue
		case ok:
			above.hide(below)
		}
		n.set(key, above)
	}
}

func (n *node) plain() any {
	if n == nil { // of values that could not be explained
		return nil
	}
	if n.table == nil {
		return n.value
	}
	out := make(map[string]any, len(n.table))
	for key, child := range n.table {
		out[key] = child.plain()
	}
	return out
}

func (n *node) leaves(at diff.Path, found []Leaf) []Leaf {
	if n == nil {
		return found
	}
	if n.table == nil || (len(n.table) == 0 && len(n.removed) == 0) {
		if len(at) == 0 {
			return found
		}
		return append(found, Leaf{Path: at, Value: n.plain(), Origin: n.origin, Hides: n.hides})
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(n.table)), maps.Keys(n.removed))
	slices.Sort(keys)
	for _, key := range keys {
		if gone, ok := n.removed[key]; ok {
			found = append(found, Leaf{Path: at.Field(key), Origin: gone.origin, Hides: gone.hides, Removed: true})
			continue
		}
		found = n.table[key].leaves(at.Field(key), found)
	}
	return found
}
