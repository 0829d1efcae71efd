package provenance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
)

type object = map[string]any

func shop() *provenance.Chart {
	disk := &provenance.Chart{Name: "disk", Values: object{"kind": "slow"}}
	return &provenance.Chart{
		Name: "shop", Values: object{"size": 1.0, "list": []any{"a"}, "redis": object{"port": 7.0}, "global": object{"region": "eu"}},
		Dependencies: []provenance.Dependency{{Name: "redis", Condition: "redis.enabled", Imports: []provenance.Import{{Child: "exports.timeouts", Parent: "."}}}},
		Subcharts: []*provenance.Chart{
			{Name: "redis", Values: object{"port": 6.0, "auth": object{"user": "x"}, "exports": object{"timeouts": object{"timeout": 5.0}}}, Subcharts: []*provenance.Chart{disk}},
		},
	}
}

func request(layer provenance.Layer, generation int, values object) provenance.Values {
	return provenance.Values{Origin: provenance.Origin{Layer: layer, Source: string(layer), Generation: generation}, Values: values}
}

// told is a leaf as text: path=value layer(source), < what it hides.
func told(leaves []provenance.Leaf) []string {
	lines := []string{}
	for _, l := range leaves {
		line := fmt.Sprintf("%s=%v %s(%s)", l.Path, l.Value, l.Origin.Layer, l.Origin.Source)
		if l.Removed {
			line = fmt.Sprintf("%s removed %s(%s)", l.Path, l.Origin.Layer, l.Origin.Source)
		}
		for _, h := range l.Hides {
			line += fmt.Sprintf(" < %v %s(%s)", h.Value, h.Origin.Layer, h.Origin.Source)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestExplain(t *testing.T) {
	const common, override, reused = provenance.Common, provenance.Override, provenance.Reused
	cases := map[string]struct {
		requests []provenance.Values
		within   string
		want     []string
	}{
		"defaults": {nil, "redis", []string{
			"redis.auth.user=x subchart(shop/redis)",
			"redis.disk.global.region=eu chart(shop)",
			"redis.disk.kind=slow subchart(shop/redis/disk)",
			"redis.exports.timeouts.timeout=5 subchart(shop/redis)",
			"redis.global.region=eu chart(shop)",
			"redis.port=7 chart(shop) < 6 subchart(shop/redis)",
		}},
		"an import":       {nil, "timeout", []string{"timeout=5 subchart(shop/redis)"}},
		"an import hides": {[]provenance.Values{request(common, 1, object{"timeout": 6.0})}, "timeout", []string{"timeout=6 common(common) < 5 subchart(shop/redis)"}},
		"every layer": {[]provenance.Values{request(reused, 1, object{"size": 2.0}), request(common, 2, object{"size": 3.0}), request(override, 2, object{"size": 4.0})}, "size",
			[]string{"size=4 override(override) < 3 common(common) < 2 reused(reused) < 1 chart(shop)"}},
		"a list is one value": {[]provenance.Values{request(common, 1, object{"list": []any{"b", "c"}})}, "list", []string{"list=[b c] common(common) < [a] chart(shop)"}},
		"a null removes":      {[]provenance.Values{request(override, 1, object{"size": nil})}, "size", []string{"size removed override(override) < 1 chart(shop)"}},
		"deeper": {[]provenance.Values{request(override, 1, object{"redis": object{"port": nil, "auth": nil}})}, "redis.port",
			[]string{"redis.port removed override(override) < 7 chart(shop) < 6 subchart(shop/redis)"}},
		"a null for nothing":    {[]provenance.Values{request(common, 1, object{"new": nil})}, "new", []string{"new=<nil> common(common)"}},
		"an empty object":       {[]provenance.Values{request(common, 1, object{"new": object{}})}, "new", []string{"new=map[] common(common)"}},
		"a scalar over objects": {[]provenance.Values{request(common, 1, object{"a": object{"b": 1.0}}), request(override, 1, object{"a": 2.0})}, "a", []string{"a=2 override(override) < map[b:1] common(common)"}},
		"switched off":          {[]provenance.Values{request(common, 1, object{"redis": object{"enabled": false}})}, "redis", []string{"redis.enabled=false common(common)", "redis.port=7 chart(shop)"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			within, err := diff.Parse(c.within)
			if err != nil {
				t.Fatal(err)
			}
			e, err := provenance.Explain(shop(), c.requests...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, told(e.Leaves(within))); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		})
	}
}

func TestValuesWithin(t *testing.T) {
	e, err := provenance.Explain(shop(), request(provenance.Common, 1, object{"redis": object{"auth": object{"user": nil}}}))
	if err != nil {
		t.Fatal(err)
	}
	for within, want := range map[string]object{
		"redis.port": {"redis": object{"port": 7.0}},
		"redis.auth": {"redis": object{"auth": object{}}},
		"none":       {},
		"list[0]":    {},
	} {
		pattern, err := diff.Parse(within)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, e.Values(pattern)); d != "" {
			t.Errorf("within %s differs (-want +got):\n%s", within, d)
		}
	}
}

func TestValuesOfASubchartAreAnObject(t *testing.T) {
	_, err := provenance.Explain(shop(), request(provenance.Common, 1, object{"redis": object{"disk": "none"}}))
	p, ok := problem.From(err)
	if !ok || p.Field != "values.redis.disk" || strings.Contains(p.Detail, "none") {
		t.Errorf("got %v", err)
	}
}
