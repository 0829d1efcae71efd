package helm_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/schema"
)

const widgetCRD = `# the definition of widgets
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
    - {name: v0, served: false, storage: false}
---
# nothing here
`

const ifWidgets = `{{ if .Capabilities.APIVersions.Has "example.com/v1/Widget" }}
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
{{ end }}
`

func TestRender(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		chart   helmtest.Chart
		request helm.Request
		want    helm.Rendered
	}{
		"plain": {
			chart: helmtest.ConfigMaps(3),
			want:  helm.Rendered{Objects: 3, Reproducible: true},
		},
		"hooks are counted apart": {
			chart: helmtest.ConfigMaps(1).With("templates/job.yaml", helmtest.Hook("migrate", "pre-install")).With("templates/NOTES.txt", "read me"),
			want:  helm.Rendered{Objects: 1, Hooks: 1, Reproducible: true},
		},
		"its own CRDs are capabilities": {
			chart: helmtest.Chart{"crds/widget.yaml": widgetCRD, "templates/widget.yaml": ifWidgets},
			want:  helm.Rendered{Objects: 1, CRDs: [][]byte{nil}, AsksAPIs: true, Reproducible: true},
		},
		"the cluster's API versions are capabilities": {
			chart:   helmtest.Chart{"templates/widget.yaml": ifWidgets},
			request: helm.Request{APIVersions: []string{"v1", "example.com/v1", "example.com/v1/Widget"}},
			want:    helm.Rendered{Objects: 1, AsksAPIs: true, Reproducible: true},
		},
		"a value that is a template": {
			chart:   helmtest.Chart{"templates/a.yaml": "{{ if tpl .Values.t . }}{{ end }}"},
			request: helm.Request{Values: map[string]any{"t": `{{ .Capabilities.APIVersions.Has "v1" }}`}},
			want:    helm.Rendered{AsksAPIs: true, Reproducible: true},
		},
		"an API that the cluster has not": {
			chart: helmtest.Chart{"templates/widget.yaml": ifWidgets},
			want:  helm.Rendered{AsksAPIs: true, Reproducible: true},
		},
		"random values": {
			chart: helmtest.Chart{"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {{ randAlphaNum 9 }}}\n"},
			want:  helm.Rendered{Objects: 1},
		},
		"the time": {
			chart: helmtest.Chart{"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {{ now | date \"2006\" | quote }}}\n"},
			want:  helm.Rendered{Objects: 1},
		},
		"a lookup": {
			chart: helmtest.Chart{"templates/a.yaml": "{{ if not (lookup \"v1\" \"Secret\" \"x\" \"y\") }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n{{ end }}\n"},
			want:  helm.Rendered{Objects: 1},
		},
		"a large number stays as Helm prints it": {
			chart:   helmtest.Chart{"templates/a.yaml": "{{ if ne (toString .Values.n) \"30000\" }}{{ fail \"no\" }}{{ end }}"},
			request: helm.Request{Values: map[string]any{"n": 30000}},
			want:    helm.Rendered{Reproducible: true},
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			req := test.request
			req.Archive, req.Release, req.Namespace = test.chart.Archive(t), name, namespace
			got, err := helm.Render(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.CRDs) != len(test.want.CRDs) {
				t.Errorf("%d CRDs, want %d", len(got.CRDs), len(test.want.CRDs))
			}
			test.want.Chart, test.want.Version = "web", "1.0.0"
			got.Size, got.CRDs, test.want.CRDs = 0, nil, nil
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rendered (-want +got):\n%s", diff)
			}
		})
	}
}

const strictSchema = `{"type": "object", "properties": {"port": {"type": "integer"}, "tls": {"type": "object", "properties": {"on": {"type": "boolean"}}}}}`

func TestRenderProblems(t *testing.T) {
	t.Parallel()
	sub := helmtest.Meta("web", "1.0.0", "dependencies:", "  - {name: db, version: 1.0.0}")
	tests := map[string]struct {
		chart   helmtest.Chart
		archive []byte
		values  map[string]any
		code    string
		field   string
		says    string
		hides   string
	}{
		"no archive at all": {
			archive: []byte("not a chart"), code: helm.CodeChartLoad,
		},
		"a library": {
			chart: helmtest.Chart{"Chart.yaml": helmtest.Meta("web", "1.0.0", "type: library")}, code: "chart-not-installable", says: "library",
		},
		"a dependency that is not packed": {
			chart: helmtest.Chart{"Chart.yaml": sub}, code: helm.CodeChartLoad, says: "db",
		},
		"a newer Kubernetes": {
			chart: helmtest.Chart{"Chart.yaml": helmtest.Meta("web", "1.0.0", `kubeVersion: ">=2.0.0"`)}, code: helm.CodeKubeVersion, says: ">=2.0.0",
		},
		"a schema": {
			chart:  helmtest.ConfigMaps(1).With("values.schema.json", strictSchema),
			values: map[string]any{"tls": map[string]any{"on": "hunter22"}}, code: schema.CodeViolation, field: "values.tls.on", hides: "hunter22",
		},
		"a subchart's schema": {
			chart: helmtest.Chart{
				"Chart.yaml": sub, "charts/db/Chart.yaml": helmtest.Meta("db", "1.0.0"), "charts/db/values.schema.json": strictSchema,
			},
			values: map[string]any{"db": map[string]any{"port": "hunter22"}}, code: schema.CodeViolation, field: "values.db.port", hides: "hunter22",
		},
		"a template that fails": {
			chart:  helmtest.Chart{"templates/a.yaml": `{{ fail (printf "bad password %s" .Values.password) }}`},
			values: map[string]any{"password": "hunter22"}, code: helm.CodeRenderFailed, says: "templates/a.yaml:1", hides: "hunter22",
		},
		"a value that is required": {
			chart: helmtest.Chart{"templates/a.yaml": `{{ required "set the host" .Values.host }}`}, code: helm.CodeRenderFailed, says: "set the host",
		},
		"a template that cannot be parsed": {
			chart: helmtest.Chart{"templates/a.yaml": `{{ if }}`}, code: helm.CodeRenderFailed,
		},
		"YAML that cannot be parsed": {
			chart: helmtest.Chart{"templates/a.yaml": "a: [\n"}, code: helm.CodeRenderFailed, says: "templates/a.yaml",
		},
		"too many objects": {
			chart: helmtest.Chart{"templates/a.yaml": "{{ range until 5001 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c{{ . }}}\n{{ end }}"},
			code:  helm.CodeTooLarge,
		},
		"endless": {
			chart: helmtest.Chart{"templates/a.yaml": `{{ range $i := until 100000000 }}{{ range until 100000000 }}{{ end }}{{ end }}`}, code: helm.CodeRenderFailed, says: "took more than",
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			req := helm.Request{Archive: test.archive, Values: test.values, Release: name, Namespace: namespace}
			if test.chart != nil {
				req.Archive = test.chart.Archive(t)
			}
			_, err := helm.Render(t.Context(), req)
			p, ok := problem.From(err)
			if !ok {
				t.Fatalf("got %v, want a problem", err)
			}
			if test.archive == nil && p.Code != test.code {
				t.Errorf("got %v, want code %s", err, test.code)
			}
			if test.field != "" && p.Field != test.field {
				t.Errorf("field %q, want %q", p.Field, test.field)
			}
			if !strings.Contains(p.Detail, test.says) {
				t.Errorf("%q does not say %q", p.Detail, test.says)
			}
			if test.hides != "" && strings.Contains(err.Error(), test.hides) {
				t.Errorf("%q quotes a value", err)
			}
		})
	}
}

// A plan that is shown keeps what an upgrade would apply, and says whether another render would be the same.
func TestRenderShows(t *testing.T) {
	t.Parallel()
	show := func(c helmtest.Chart, revision int) *release.Rendering {
		t.Helper()
		out, err := helm.Render(t.Context(), helm.Request{Archive: c.Archive(t), Release: "web", Namespace: "web", Revision: revision, Show: true})
		if err != nil || out.Shown == nil {
			t.Fatalf("%+v, %v", out, err)
		}
		return out.Shown
	}
	chart := helmtest.Chart{
		"crds/widget.yaml":    widgetCRD,
		"templates/a.yaml":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {upgrade: {{ .Release.IsUpgrade | quote }}, revision: {{ .Release.Revision | quote }}}\n",
		"templates/hook.yaml": helmtest.Hook("migrate", "pre-install"), "templates/test.yaml": helmtest.Hook("try", "test"), "templates/NOTES.txt": "read me",
	}
	got := show(chart, 4)
	if len(got.CRDs) != 1 || len(got.Hooks) != 1 || got.Hooks[0].Name != "migrate" || !got.Reproducible || got.Lookups {
		t.Errorf("hooks %+v, %d CRDs, reproducible %v, lookups %v", got.Hooks, len(got.CRDs), got.Reproducible, got.Lookups)
	}
	want := "---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {upgrade: \"true\", revision: \"4\"}\n"
	if d := cmp.Diff(want, got.Manifest); d != "" {
		t.Errorf("manifest (-want +got):\n%s", d)
	}
	if first := show(chart, 0); !strings.Contains(first.Manifest, `{upgrade: "false", revision: "1"}`) {
		t.Errorf("as an install: %s", first.Manifest)
	}
	if random := show(helmtest.Chart{"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {{ randAlphaNum 9 }}}\n"}, 1); random.Reproducible {
		t.Error("a random value is taken for reproducible")
	}
	if asks := show(helmtest.Chart{"templates/a.yaml": `{{ if lookup "v1" "Secret" "x" "y" }}{{ end }}`}, 1); asks.Reproducible || !asks.Lookups {
		t.Error("a lookup is not told")
	}
}

func TestNothingPrintsValues(t *testing.T) {
	t.Parallel()
	values := map[string]any{"password": "hunter22"}
	for _, v := range []any{helm.Request{Values: values}, &helm.Request{Values: values}, helm.Op{Values: values}, &helm.Op{Values: values}} {
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("op", "op", v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v %#v %q %x", v, v, v, v), logged.String(), string(encoded)} {
			if strings.Contains(text, "hunter22") || strings.Contains(text, "68756e746572") {
				t.Errorf("%T prints %s", v, text)
			}
		}
	}
}
