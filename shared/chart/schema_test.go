package chart_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/chart"
)

func TestSchemas(t *testing.T) {
	named := func(name string) string { return "apiVersion: v2\nname: " + name + "\nversion: 1.0.0" }
	grandchild := zip(tarOf(
		entry{name: "x/Chart.yaml", body: named("common")},
		entry{name: "x/values.schema.json", body: `{"title": "common"}`},
	))
	archive := packed(
		entry{name: "web/values.schema.json", body: "\xef\xbb\xbf" + `{"title": "web"}`},
		entry{name: "web/files/values.schema.json", body: `{"title": "data"}`},
		entry{name: "web/charts/redis/Chart.yaml", body: named("redis")},
		entry{name: "web/charts/redis/values.schema.json", body: `{"title": "redis"}`},
		entry{name: "web/charts/redis/charts/common-1.0.0.tgz", body: string(grandchild)},
		entry{name: "web/charts/db-1.0.0.tgz", body: string(zip(tarOf(entry{name: "db/Chart.yaml", body: named("db")})))},
	)
	got, err := chart.Schemas(archive)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{
		"": json.RawMessage(`{"title": "web"}`), "redis": json.RawMessage(`{"title": "redis"}`), "redis/common": json.RawMessage(`{"title": "common"}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
