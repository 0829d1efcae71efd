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
