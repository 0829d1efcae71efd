package helm_test

import (
	"bytes"
	"flag"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/provenance"
)

var chartFiles = flag.String("charts", "", "a pattern of archives that TestProvenanceIsHelms compares, too")

// helmValues are the values as Helm itself would give them to templates.
func helmValues(t testingT, archive []byte, values map[string]any) (map[string]any, error) {
	t.Helper()
	chrt, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if err := chartutil.ProcessDependenciesWithMerge(chrt, values); err != nil {
		return nil, err
	}
	return chartutil.CoalesceValues(chrt, values)
}

type testingT interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// sameAsHelm wants the explained values, and the leaves put together again, to be Helm's.
func sameAsHelm(t testingT, archive []byte, values map[string]any) {
	t.Helper()
	defaults, err := chart.Defaults(archive)
	if err != nil {
		t.Fatal(err)
	}
	got, gotErr := provenance.Explain(defaults, provenance.Values{Origin: provenance.Origin{Layer: provenance.Common}, Values: values})
	want, wantErr := helmValues(t, archive, deepCopy(t, values))
	if gotErr != nil || wantErr != nil {
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("the error is %v, Helm's is %v", gotErr, wantErr)
		}
		return
	}
	if diff := cmp.Diff(want, got.Values(nil)); diff != "" {
		t.Fatalf("values differ (-Helm's +explained):\n%s", diff)
	}
	built := map[string]any{}
	for _, leaf := range got.Leaves(nil) {
		if leaf.Removed {
			continue
		}
		if leaf.Origin.Layer == "" {
			t.Fatalf("%s comes from nowhere", leaf.Path)
		}
		at := built
		for _, step := range leaf.Path[:len(leaf.Path)-1] {
			if at[step.Field] == nil {
				at[step.Field] = map[string]any{}
			}
			at = at[step.Field].(map[string]any)
		}
		at[leaf.Path[len(leaf.Path)-1].Field] = leaf.Value
	}
	if diff := cmp.Diff(withoutHollow(want), withoutHollow(built)); diff != "" {
		t.Fatalf("leaves differ (-Helm's +explained):\n%s", diff)
	}
}

// withoutHollow is without the objects that only a removed value was in.
func withoutHollow(values map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range values {
		if m, ok := v.(map[string]any); ok {
			if m = withoutHollow(m); len(m) == 0 {
				continue
			}
			v = m
		}
		out[key] = v
	}
	return out
}

func deepCopy(t testingT, values map[string]any) map[string]any {
	t.Helper()
	raw, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := yaml.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// nested has what makes values hard to follow: aliases, two of one chart, packed subcharts, conditions, tags, globals, imports and nulls.
func nested(tb testing.TB) helmtest.Chart {
	tb.Helper()
	cache := helmtest.Chart{"Chart.yaml": helmtest.Meta("cache", "1.2.0"),
		"values.yaml": "size: 1\nauth: {password: '', user: cache}\nglobal: {region: none, deep: {a: cache, c: cache}}\nexports: {shared: {timeout: 5, size: 9}}\n"}
	return helmtest.Chart{
		"Chart.yaml": helmtest.Meta("shop", "1.0.0", `dependencies:
  - {name: store, version: ~2, alias: primary, condition: "primary.enabled,none", import-values: [{child: limits, parent: storeLimits}]}
  - {name: store, version: ~2, alias: replica, condition: replica.enabled, tags: [spare]}
  - {name: cache, version: 1.x, import-values: [shared], tags: [fast]}
  - {name: absent, version: "1", condition: absent.enabled}`),
		"values.yaml": `title: shop
size: 3
primary: {enabled: true, height: 20, labels: {a: shop}}
replica: {enabled: false}
cache: {auth: {user: shop}}
global: {region: eu, deep: {a: shop, b: shop}}
tags: {fast: true}
empty: {}
list: [1, 2]
nothing:
`,
		"charts/store/Chart.yaml": helmtest.Meta("store", "2.3.4", "dependencies: [{name: disk, version: '*', condition: disk.on}]"),
		"charts/store/values.yaml": "enabled: false\ndisk: {on: true, kind: slow}\nlabels: {a: store, b: store}\nlimits: {cpu: 1, memory: 2}\n" +
			"global: {deep: {a: store, d: store}}\n",
		"charts/store/charts/disk/Chart.yaml":  helmtest.Meta("disk", "0.1.0"),
		"charts/store/charts/disk/values.yaml": "kind: none\nspeed: {read: 1, write: 2}\nglobal: {region: disk}\n",
		"charts/cache-1.2.0.tgz":               string(cache.Archive(tb)),
		"charts/extra/Chart.yaml":              helmtest.Meta("extra", "1.0.0"),
		"charts/extra/values.yaml":             "on: true\n",
		"charts/_hidden/Chart.yaml":            helmtest.Meta("hidden", "1.0.0"),
	}
}

func TestProvenanceIsHelms(t *testing.T) {
	log.SetOutput(io.Discard) // Helm warns of what the values below are made for
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	archives := map[string][]byte{
		"nested": nested(t).Archive(t),
		"plain":  helmtest.ConfigMaps(1).Archive(t),
		"requirements of the first API": helmtest.Chart{
			"Chart.yaml":             "apiVersion: v1\nname: old\nversion: 1.0.0\n",
			"requirements.yaml":      "dependencies: [{name: sub, version: 1.0.0, alias: other}]\n",
			"values.yaml":            "other: {a: 2}\n",
			"charts/sub/Chart.yaml":  helmtest.Meta("sub", "1.0.0"),
			"charts/sub/values.yaml": "a: 1\nb: 1\n",
		}.Archive(t),
	}
	files, err := filepath.Glob(*chartFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if archives[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	values := map[string]string{
		"none":           "",
		"scalars":        "{title: mine, size: 4, primary: {height: 2, disk: {kind: fast}}}",
		"switched":       "{primary: {enabled: false}, replica: {enabled: true, disk: {on: false}}, tags: {fast: false}}",
		"globals":        "{global: {region: us, deep: {a: mine, e: mine}}, cache: {global: {deep: {a: cache}}}}",
		"nulls":          "{title: null, size: null, cache: {auth: null, size: null}, primary: {labels: {a: null, z: null}}, global: {region: null}, new: null}",
		"a null, deeper": "{primary: {labels: null}, replica: null, storeLimits: {cpu: null}}",
		"imports":        "{storeLimits: {cpu: 9}, timeout: 7}",
		"other types":    "{empty: {a: 1}, list: [], title: {a: 1}, primary: {labels: none}}",
		"no object":      "{cache: none}",
	}
	for name, archive := range archives {
		for how, text := range values {
			t.Run(name+", "+how, func(t *testing.T) {
				v := map[string]any{}
				if err := yaml.Unmarshal([]byte(text), &v); err != nil {
					t.Fatal(err)
				}
				sameAsHelm(t, archive, v)
			})
		}
	}
	for name, archive := range archives {
		t.Run(name+", any values", rapid.MakeCheck(func(t *rapid.T) {
			defaults, err := chart.Defaults(archive)
			if err != nil {
				t.Fatal(err)
			}
			sameAsHelm(t, archive, valuesLike(t, defaults))
		}))
	}
}

// valuesLike sets some of what a chart has defaults for, and some that it has not.
func valuesLike(t *rapid.T, c *provenance.Chart) map[string]any {
	e, err := provenance.Explain(c)
	if err != nil {
		t.Fatal(err)
	}
	var vary func(depth int, at map[string]any) map[string]any
	vary = func(depth int, at map[string]any) map[string]any {
		out := map[string]any{}
		keys := strings.Split(strings.Join(sortedKeys(at), "\x00")+"\x00added", "\x00")
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 0, min(4, len(keys)), rapid.ID).Draw(t, "keys") {
			below, isMap := at[key].(map[string]any)
			switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case isMap && kind > 1 && depth < 5:
				out[key] = vary(depth+1, below)
			case kind == 0:
				out[key] = nil
			case kind == 1:
				out[key] = map[string]any{"x": 1.0}
			case kind == 2:
				out[key] = []any{"x"}
			case kind == 3:
				out[key] = kind%2 == 0
			default:
				out[key] = "set"
			}
		}
		return out
	}
	return vary(0, e.Values(nil))
}

func sortedKeys(m map[string]any) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m)), func(key string) bool { return key == "" })
}
