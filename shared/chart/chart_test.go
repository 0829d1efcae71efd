package chart_test

import (
	"archive/tar"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/chart"
)

func TestCheckAcceptsCharts(t *testing.T) {
	web := chart.Meta{Name: "web", Version: "1.2.3", AppVersion: "7", Description: "A chart."}
	tests := map[string]struct {
		archive []byte
		want    chart.Meta
	}{
		"Least":         {packed(), web},
		"Directories":   {zip(tarOf(entry{name: "web/", flag: '5'}, entry{name: "web/Chart.yaml", body: metadata}, entry{name: "web/templates/", flag: '5'})), web},
		"GitArchive":    {zip(tarOf(entry{name: "pax_global_header", flag: tar.TypeXGlobalHeader, body: "52 comment=0123456789012345678901234567890123456789\n"}, entry{name: "web/Chart.yaml", body: metadata})), web},
		"OtherTop":      {zip(tarOf(entry{name: "web-1.2.3/Chart.yaml", body: metadata})), web},
		"Subchart":      {packed(entry{name: "web/charts/sub/Chart.yaml", body: metadata + "type: library"}), web},
		"Packed":        {packedIn(packed()), web},
		"EightDeep":     {packedIn(packedIn(packedIn(packedIn(packedIn(packedIn(packedIn(packedIn(packed())))))))), web},
		"LocalRef":      {withSchema(`{"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/web", "properties": {"x": {"$ref": "#/definitions/x"}, "$ref": {"type": "string"}}, "definitions": {"x": {}}}`), web},
		"Draft2020":     {withSchema(`{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x"}}}`), web},
		"ByteOrderMark": {withSchema("\xef\xbb\xbf{}"), web},
		"NotAChartsTgz": {packed(entry{name: "web/files/data.tgz", body: "no archive"}), web},
		"BoringFile":    {packed(entry{name: "web/files/zeros", body: strings.Repeat("\x00", 900<<10)}), web},
		"NumbersForText": {
			withMetadata("apiVersion: v1\nname: web\nversion: \"1.2\"\nappVersion: 1.5\ntype: application\nkubeVersion: \">=1.20\"\n"),
			chart.Meta{Name: "web", Version: "1.2", AppVersion: "1.5", Type: "application", KubeVersion: ">=1.20"},
		},
		"ControlsInText": {
			withMetadata("apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: \"1\\e[2J\"\ndescription: \"a\\nb\"\n"),
			chart.Meta{Name: "web", Version: "1.2.3", AppVersion: "1[2J", Description: "a b"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := chart.Check(tc.archive)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPack(t *testing.T) {
	dir := fstest.MapFS{
		"Chart.yaml":            {Data: []byte(metadata)},
		"templates/_names.tpl":  {Data: []byte("x")},
		"charts/sub/Chart.yaml": {Data: []byte(metadata)},
	}
	archive, err := chart.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	if meta, err := chart.Check(archive); err != nil || meta.Name != "web" {
		t.Errorf("got %+v, %v", meta, err)
	}
	if again, err := chart.Pack(dir); err != nil || chart.Digest(again) != chart.Digest(archive) {
		t.Errorf("packed again, it has another digest: %v", err)
	}
	if _, err := chart.Pack(os.DirFS(t.TempDir())); err == nil {
		t.Error("packed a directory without a Chart.yaml")
	}
}
