package provenance

import (
	"github.com/swell-sh/swell/shared/problem"
)

const globalKey = "global"

// wrapped is a chart whose values know where they come from.
type wrapped struct {
	*Chart
	place        string // shop/redis
	field        string // values.redis
	values       *node
	dependencies []Dependency
	subcharts    []*wrapped
}

func wrap(c *Chart, place, field string, layer Layer) *wrapped {
	w := &wrapped{Chart: c, place: place, field: field, values: nodeOf(c.Values, Origin{Layer: layer, Source: place}), dependencies: c.Dependencies}
	if w.values.table == nil {
		w.values.table = map[string]*node{}
	}
	for _, sub := range c.Subcharts {
		w.subcharts = append(w.subcharts, wrap(sub, place+"/"+sub.Name, field+"."+sub.Name, SubchartDefault))
	}
	return w
}

// coalesce lays dest over the defaults of the chart and its subcharts. A null takes a default away, unless merge keeps it for a later pass.
func (c *wrapped) coalesce(dest *node, merge bool) error {
	c.defaults(dest, merge)
	for _, sub := range c.subcharts {
		below, ok := dest.table[sub.Name]
		if !ok {
			below = &node{table: map[string]*node{}, origin: Origin{Layer: SubchartDefault, Source: sub.place}}
			dest.set(sub.Name, below)
		}
		if below.table == nil {
			return problem.Invalid("values-schema-violation", "these are the values of subchart %s, so they must be an object", sub.Name).At(sub.field)
		}
		globals(below, dest, sub.values.origin)
		if err := sub.coalesce(below, merge); err != nil {
			return err
		}
	}
	return nil
}

func (c *wrapped) defaults(dest *node, merge bool) {
	for key, val := range c.values.clone().table {
		have, ok := dest.table[key]
		switch {
		case !ok:
			dest.set(key, val)
		case have.null() && !merge:
			have.hide(val)
			dest.remove(key)
		case have.table != nil && val.table != nil:
			tables(have, val, merge || c.has(key))
		default:
			have.hide(val)
		}
	}
}

func (c *wrapped) has(name string) bool {
	for _, sub := range c.subcharts {
		if sub.Name == name {
			return true
		}
	}
	return false
}

// globals gives a subchart the globals of its parent, which win.
func globals(dest, src *node, origin Origin) {
	into, ok := dest.table[globalKey]
	if !ok {
		into = &node{table: map[string]*node{}, origin: origin}
	}
	from, has := src.table[globalKey]
	if into.table == nil || (has && from.table == nil) {
		return
	}
	if has {
		for key, val := range from.table {
			global(into, key, val)
		}
	}
	dest.set(globalKey, into)
}

func global(into *node, key string, val *node) {
	have, ok := into.table[key]
	switch {
	case val.table != nil && !ok:
		into.set(key, shallow(val))
	case val.table != nil && have.table != nil:
		copied := shallow(val)
		tables(copied, have, true)
		into.set(key, copied)
	case val.table == nil && (!ok || have.table == nil):
		copied := val.clone()
		if ok {
			copied.hide(have)
		}
		into.set(key, copied)
	}
}

// shallow copies a table and not what lies deeper: Helm shares that too.
func shallow(n *node) *node {
	out := *n
	out.table = make(map[string]*node, len(n.table))
	for key, child := range n.table {
		out.table[key] = child
	}
	return &out
}

// tables lays dst over src. A null takes away what src has, and stays where src has nothing.
func tables(dst, src *node, merge bool) {
	for key, val := range src.table {
		have, ok := dst.table[key]
		switch {
		case !ok:
			dst.set(key, val)
		case have.null() && !val.null():
			have.hide(val)
			if !merge {
				dst.remove(key)
			}
		case have.table != nil && val.table != nil:
			tables(have, val, merge)
		default:
			have.hide(val)
		}
	}
}
