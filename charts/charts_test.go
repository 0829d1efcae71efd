package charts_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/schema"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

func TestDemoIsAChart(t *testing.T) {
	archive, err := charts.Demo()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := chart.Check(archive)
	if err != nil {
		t.Fatal(err)
	}
	if meta.Name != "demo" || meta.Type != "application" {
		t.Errorf("got %+v", meta)
	}
	again, err := chart.Pack(os.DirFS("demo"))
	if err != nil || chart.Digest(again) != chart.Digest(archive) {
		t.Errorf("the directory gives another archive than what is embedded, %v", err)
	}
}

func TestDemoRefusesValues(t *testing.T) {
	image := map[string]any{"repository": "registry.k8s.io/pause", "tag": "3.10"}
	tests := map[string]struct {
		values map[string]any
		want   []schema.Violation
	}{
		"Good": {
			values: map[string]any{"replicaCount": 3, "image": image, "global": map[string]any{"any": "thing"}, "objects": 500},
		},
		"Unknown": {
			values: map[string]any{"replicaCount": 1, "image": image, "replicas": 2},
			want:   []schema.Violation{{Path: "replicas", Message: "is not known to the chart"}},
		},
		"TooMany": {
			values: map[string]any{"replicaCount": 51, "image": image},
			want:   []schema.Violation{{Path: "replicaCount", Message: "must be at most 50"}},
		},
		"Nested": {
			values: map[string]any{"replicaCount": "2", "image": map[string]any{"repository": "x", "tag": 3.1}},
			want: []schema.Violation{
				{Path: "image.tag", Message: "must be string, not number"},
				{Path: "replicaCount", Message: "must be integer, not string"},
			},
		},
	}
	archive, err := charts.Demo()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := chart.Schemas(archive)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := schema.Validate(schemas[""], tc.values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRelayIsAChart(t *testing.T) {
	archive, err := charts.Relay()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := chart.Check(archive)
	if err != nil {
		t.Fatal(err)
	}
	if meta.Name != "relay" || meta.Type != "application" {
		t.Errorf("got %+v", meta)
	}
}

func TestRelayRefusesValues(t *testing.T) {
	const key = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	image := map[string]any{"repository": "ghcr.io/swell-sh/relay"}
	tests := map[string]struct {
		values map[string]any
		want   []schema.Violation
	}{
		"Good":     {values: map[string]any{"reportsURL": "https://swell.example.com/hooks", "key": key, "image": image}},
		"Loopback": {values: map[string]any{"reportsURL": "http://127.0.0.1:4566/hooks", "existingSecret": "mine", "image": image}},
		"InTheClear": {
			values: map[string]any{"reportsURL": "http://swell.example.com/hooks", "key": key, "image": image},
			want:   []schema.Violation{{Path: "reportsURL", Message: "must match the pattern ^(https://|http://(127\\.0\\.0\\.1|localhost)[:/])"}},
		},
		"ItsOwnVariable": {
			values: map[string]any{"reportsURL": "https://swell.example.com", "image": image, "env": map[string]any{"SWELL_TELL_LOGS": "true"}},
			want:   []schema.Violation{{Path: "env.SWELL_TELL_LOGS", Message: "is not allowed"}},
		},
		"Unknown": {
			values: map[string]any{"reportsURL": "https://swell.example.com", "image": image, "replicas": 2},
			want:   []schema.Violation{{Path: "replicas", Message: "is not known to the chart"}},
		},
	}
	archive, err := charts.Relay()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := chart.Schemas(archive)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := schema.Validate(schemas[""], tc.values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A variable that is given takes the place of the chart's own: an API server takes each name once.
func TestRelayEnvironment(t *testing.T) {
	archive, err := charts.Relay()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{
		"SWELL_REPORTS_URL": "https://swell.example.com", "SWELL_KEY_FILE": "/etc/swell-relay/key", "SWELL_TELL_LOGS": "true", "GOMEMLIMIT": "32MiB", "GOGC": "50",
	}
	for name, given := range map[string]map[string]any{"its own": {}, "another limit, and a proxy": {"GOMEMLIMIT": "128MiB", "HTTPS_PROXY": "http://proxy:3128"}} {
		values := map[string]any{"reportsURL": "https://swell.example.com", "existingSecret": "mine", "env": given}
		out, err := helm.Render(t.Context(), helm.Request{Archive: archive, Values: values, Release: "relay", Namespace: "default", KubeVersion: "v1.36.3", Show: true})
		if err != nil {
			t.Fatal(err)
		}
		var deployment appsv1.Deployment
		for document := range strings.SplitSeq(out.Shown.Manifest, "\n---\n") {
			if strings.Contains(document, "kind: Deployment\n") {
				if err := yaml.UnmarshalStrict([]byte(document), &deployment); err != nil {
					t.Fatal(err)
				}
			}
		}
		want, got := map[string]string{}, map[string]string{}
		for name, value := range own {
			want[name] = value
		}
		for name, value := range given {
			want[name] = value.(string)
		}
		for _, v := range deployment.Spec.Template.Spec.Containers[0].Env {
			if _, twice := got[v.Name]; twice {
				t.Errorf("%s: %s is there twice", name, v.Name)
			}
			got[v.Name] = v.Value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
