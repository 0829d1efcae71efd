package drift_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/release"
)

func TestSummary(t *testing.T) {
	web := drift.Finding{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Op: drift.Changed}
	replicas, image, other := web, web, web
	replicas.Path, image.Path, other.Path = "spec.replicas", "spec.template", "spec.replicas"
	other.Namespace = "depot"
	gone := drift.Finding{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "web", Op: drift.Missing}
	for name, c := range map[string]struct {
		findings []drift.Finding
		want     release.Drift
	}{
		"nothing":                       {nil, release.Drift{}},
		"two fields of one object":      {[]drift.Finding{replicas, image}, release.Drift{Objects: 1, Fields: 2}},
		"the same name elsewhere":       {[]drift.Finding{replicas, other}, release.Drift{Objects: 2, Fields: 2}},
		"a missing object has no field": {[]drift.Finding{gone, replicas}, release.Drift{Objects: 2, Fields: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, drift.Summary(c.findings)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}
