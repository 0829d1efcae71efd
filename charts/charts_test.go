package charts_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/schema"
)

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
