package provenance

import (
	"slices"
	"strings"
)

// enable leaves out the subcharts that conditions and tags switch off. As in Helm, a subchart's own dependencies are looked up in the values
// of the whole: the path of a condition begins with the subchart's name, tags are those of the root.
func (c *wrapped) enable(values *node, path string) error {
	if c.dependencies == nil {
		return nil
	}
	merged := values.clone()
	if err := c.coalesce(merged, false); err != nil {
		return err
	}
	off := map[string]bool{}
	for _, d := range c.dependencies {
		off[d.Name] = !d.enabled(merged, path)
	}
	c.subcharts = slices.DeleteFunc(c.subcharts, func(sub *wrapped) bool { return off[sub.Name] })
	c.dependencies = slices.DeleteFunc(slices.Clone(c.dependencies), func(d Dependency) bool { return off[d.Name] })
	for _, sub := range c.subcharts {
		if err := sub.enable(merged, path+sub.Name+"."); err != nil {
			return err
		}
	}
	return nil
}

// enabled: the first condition that is there decides; else the tags, of which one that is true suffices.
func (d Dependency) enabled(values *node, path string) bool {
	for condition := range strings.SplitSeq(strings.TrimSpace(d.Condition), ",") {
		if condition == "" {
			continue
		}
		if n := values.find(path + condition); n != nil {
			if on, ok := n.value.(bool); ok {
				return on
			}
		}
	}
	tags := values.find("tags")
	if tags == nil || tags.table == nil {
		return true
	}
	on, off := false, false
	for _, tag := range d.Tags {
		if n := tags.table[tag]; n != nil {
			set, ok := n.value.(bool)
			on, off = on || (ok && set), off || (ok && !set)
		}
	}
	return on || !off
}

// find follows a path such as redis.enabled.
func (n *node) find(path string) *node {
	for key := range strings.SplitSeq(path, ".") {
		if n = n.table[key]; n == nil {
			return nil
		}
	}
	return n
}

// importValues lays what the chart's subcharts export under its own defaults.
func (c *wrapped) importValues() error {
	for _, sub := range c.subcharts {
		if err := sub.importValues(); err != nil {
			return err
		}
	}
	if c.dependencies == nil {
		return nil
	}
	merged := &node{table: map[string]*node{}}
	if err := c.coalesce(merged, true); err != nil {
		return err
	}
	imported := &node{table: map[string]*node{}}
	for _, d := range c.dependencies {
		for _, i := range d.Imports {
			if from := merged.find(d.Name + "." + i.Child); from != nil && from.table != nil {
				tables(imported, under(i.Parent, from.clone()), true)
			}
		}
	}
	tables(merged, imported, true)
	c.values = merged
	return nil
}

// under is n at a path such as redis.auth; "." is the root.
func under(path string, n *node) *node {
	if path == "." {
		return n
	}
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		n = &node{table: map[string]*node{key: n}, origin: n.origin}
	}
	return n
}
