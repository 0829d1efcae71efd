package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
)

// maxValues bounds all values.yaml of an archive together: parsed, they are many times as large.
const maxValues = 4 << 20

// node is a chart of an archive with its subcharts, under the names that its values know them by.
type node struct {
	name         string // the alias, if it has one
	version      string
	part         *part
	declared     bool // it has a list of dependencies, be it empty
	dependencies []dependency
	subcharts    []*node
}

// dependency is an entry of a chart's list of them.
type dependency struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Alias     string   `json:"alias"`
	Condition string   `json:"condition"`
	Tags      []string `json:"tags"`
	Imports   []any    `json:"import-values"`
}

// Defaults reads the default values of a checked archive, and of its subcharts at any depth.
func Defaults(archive []byte) (*provenance.Chart, error) {
	root, err := tree(archive)
	if err != nil {
		return nil, err
	}
	left := maxValues
	return root.defaults(&left)
}

func (n *node) defaults(left *int) (*provenance.Chart, error) {
	if *left -= len(n.part.values); *left < 0 {
		return nil, tooLarge("the chart's default values have more than %d MiB", maxValues>>20)
	}
	c := &provenance.Chart{Name: n.name, Values: map[string]any{}}
	if err := yaml.Unmarshal(n.part.values, &c.Values); err != nil {
		return nil, problem.Invalid(CodeArchive, "the values.yaml of chart %s cannot be read: %s", n.name, Printable(err.Error(), 200)).At("chart")
	}
	if n.declared {
		c.Dependencies = []provenance.Dependency{}
	}
	for _, d := range n.dependencies {
		c.Dependencies = append(c.Dependencies, provenance.Dependency{Name: d.called(), Condition: d.Condition, Tags: d.Tags, Imports: d.imports()})
	}
	for _, sub := range n.subcharts {
		below, err := sub.defaults(left)
		if err != nil {
			return nil, err
		}
		c.Subcharts = append(c.Subcharts, below)
	}
	return c, nil
}

func (d dependency) called() string {
	if d.Alias != "" {
		return d.Alias
	}
	return d.Name
}

func (d dependency) imports() []provenance.Import {
	var all []provenance.Import
	for _, entry := range d.Imports {
		switch entry := entry.(type) {
		case string:
			all = append(all, provenance.Import{Child: "exports." + entry, Parent: "."})
		case map[string]any:
			all = append(all, provenance.Import{Child: fmt.Sprint(entry["child"]), Parent: fmt.Sprint(entry["parent"])})
		}
	}
	return all
}

// tree puts the parts of an archive together as Helm does.
func tree(archive []byte) (*node, error) {
	found, err := read(archive)
	if err != nil {
		return nil, err
	}
	below := map[string][]string{}
	for _, place := range slices.Sorted(maps.Keys(found.parts)) {
		if place != "" && !ignored(place) {
			below[parent(place)] = append(below[parent(place)], place)
		}
	}
	return grow(found, below, "")
}

// ignored: Helm takes charts/_x and charts/.x for no charts.
func ignored(place string) bool { return strings.ContainsAny(path.Base(place)[:1], "_.") }

func grow(found *contents, below map[string][]string, place string) (*node, error) {
	p := found.part(place)
	var m struct {
		Name         string       `json:"name"`
		Version      string       `json:"version"`
		Dependencies []dependency `json:"dependencies"`
	}
	for _, text := range [][]byte{p.metadata, p.requirements} {
		if err := yaml.Unmarshal(text, &m); err != nil {
			return nil, problem.Invalid(CodeMetadata, "Chart.yaml cannot be read: %s", Printable(err.Error(), maxDescription)).At("chart")
		}
	}
	n := &node{name: m.Name, version: m.Version, part: p, declared: m.Dependencies != nil, dependencies: m.Dependencies}
	var brought []*node
	for _, sub := range below[place] {
		if found.parts[sub].metadata == nil {
			continue // a directory that is no chart
		}
		child, err := grow(found, below, sub)
		if err != nil {
			return nil, err
		}
		brought = append(brought, child)
	}
	n.adopt(brought)
	return n, nil
}

// adopt takes subcharts that nobody declared as they are, and those that were declared under each name that they were declared by.
func (n *node) adopt(brought []*node) {
	for _, sub := range brought {
		if !slices.ContainsFunc(n.dependencies, func(d dependency) bool { return d.means(sub) }) {
			n.subcharts = append(n.subcharts, sub)
		}
	}
	for _, d := range n.dependencies {
		if i := slices.IndexFunc(brought, d.means); i >= 0 {
			named := *brought[i]
			named.name = d.called()
			n.subcharts = append(n.subcharts, &named)
		}
	}
}

func (d dependency) means(sub *node) bool {
	if d.Name != sub.name {
		return false
	}
	meets, err := semver.NewConstraint(d.Version)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(sub.version)
	return err == nil && meets.Check(v)
}
