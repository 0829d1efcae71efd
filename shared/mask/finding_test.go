package mask_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/mask"
)

const cut = drift.Ellipsis

func TestFindings(t *testing.T) {
	paths, err := mask.Parse([]string{"password", "pin"})
	if err != nil {
		t.Fatal(err)
	}
	literals := paths.Literals(map[string]any{"password": "s3cret", "pin": 4711, "replicas": 2})
	found := []drift.Finding{
		{Name: "env", Op: drift.Changed, Path: "spec.env[name=A].value", Want: "user:s3cret", Live: "by hand"},
		{Name: "replicas", Op: drift.Changed, Path: "spec.replicas", Want: 2.0, Live: 4711.0},
	}
	want := []drift.Finding{
		{Name: "env", Op: drift.Changed, Path: "spec.env[name=A].value", Want: "user:" + mask.Text, Live: "by hand"},
		{Name: "replicas", Op: drift.Changed, Path: "spec.replicas", Want: 2.0, Live: mask.Text},
	}
	if diff := cmp.Diff(want, mask.Findings(found, literals)); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"user:s3cret and s3" + cut: "user:" + mask.Text + " and " + mask.Text + cut, // what a cut left of it
		"user:s3cr" + cut:          "user:" + mask.Text + cut,
		"user:s" + cut:             "user:" + mask.Text + cut,
		"user:47" + cut:            "user:" + mask.Text + cut,
		"it is a secr" + cut:       "it is a secr" + cut,
		"user:s3cr":                "user:s3cr", // nothing was cut
	} {
		got := mask.Findings([]drift.Finding{{Want: map[string]any{"text": text}}}, literals)
		if diff := cmp.Diff(map[string]any{"text": want}, got[0].Want); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", text, diff)
		}
	}
	if found[0].Want != "user:s3cret" {
		t.Error("the findings themselves were changed")
	}
}
