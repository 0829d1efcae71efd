package main

import (
	"context"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

// history is the generations of a deployment, newest first.
type history struct {
	store
	generations []deployment.Generation
}

func (h history) ListGenerations(context.Context, string, string, dynamo.Page) ([]deployment.Generation, string, error) {
	return h.generations, "", nil
}

// A version means the bytes that the newest generation had of it.
func TestMovedChart(t *testing.T) {
	had := func(ref, version, digest string) deployment.Generation {
		return deployment.Generation{Chart: deployment.Chart{Ref: ref, Version: version, Digest: digest}}
	}
	tests := map[string]struct {
		ref    string
		had    []deployment.Generation
		accept bool
		moved  bool
	}{
		"Same bytes":          {"stable/web", []deployment.Generation{had("stable/web", "1.0.0", "new")}, false, false},
		"Other bytes":         {"stable/web", []deployment.Generation{had("stable/web", "1.0.0", "old")}, false, true},
		"Accepted":            {"stable/web", []deployment.Generation{had("stable/web", "1.0.0", "old")}, true, false},
		"Accepted before":     {"stable/web", []deployment.Generation{had("stable/web", "1.0.0", "new"), had("stable/web", "1.0.0", "old")}, false, false},
		"Moved back":          {"stable/web", []deployment.Generation{had("stable/web", "1.0.0", "old"), had("stable/web", "1.0.0", "new")}, false, true},
		"Long ago":            {"stable/web", []deployment.Generation{had("stable/web", "2.0.0", "x"), had("sha256:0", "1.0.0", "x"), had("stable/web", "1.0.0", "old")}, false, true},
		"Another version":     {"stable/web", []deployment.Generation{had("stable/web", "1.1.0", "old")}, false, false},
		"Another repository":  {"stable/web", []deployment.Generation{had("other/web", "1.0.0", "old")}, false, false},
		"A tag":               {"oci://ghcr.io/org/web:1.0.0", []deployment.Generation{had("oci://ghcr.io/org/web", "1.0.0", "old")}, false, true},
		"A tag of many names": {"oci://ghcr.io/org/web:latest", []deployment.Generation{had("oci://ghcr.io/org/web:latest", "0.9.0", "old")}, false, false},
		"Pushed":              {"sha256:" + strings.Repeat("0", 64), []deployment.Generation{had("sha256:"+strings.Repeat("0", 64), "1.0.0", "old")}, false, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ref, err := catalog.ParseRef(tc.ref)
			if err != nil {
				t.Fatal(err)
			}
			in := intake{handler: handler{store: history{generations: tc.had}}, body: openapi.DeploymentRequest{AcceptMovedChart: tc.accept}}
			resolved := deployment.Chart{Ref: tc.ref, Version: "1.0.0", Digest: "new"}
			err = in.unmoved(t.Context(), ref, resolved, &deployment.Generation{DeploymentID: "d"})
			if p, _ := problem.From(err); (err != nil) != tc.moved || tc.moved && (p.Code != "chart-version-moved" || !strings.Contains(p.Detail, "old") || !strings.Contains(p.Detail, "new")) {
				t.Errorf("got %v", err)
			}
			if err := in.unmoved(t.Context(), ref, resolved, nil); err != nil {
				t.Errorf("a new deployment: %v", err)
			}
		})
	}
}
