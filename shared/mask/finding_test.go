package mask_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/mask"
)

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
	if found[0].Want != "user:s3cret" {
		t.Error("the findings themselves were changed")
	}
}
