package catalog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/problem"
)

func TestParseRef(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	tests := map[string]catalog.Ref{
		"stable/web":                      {Repository: "stable", Name: "web"},
		"my.repo-1/web_app.2":             {Repository: "my.repo-1", Name: "web_app.2"},
		"oci://ghcr.io/org/charts/web":    {OCI: "ghcr.io/org/charts/web", Name: "web"},
		"oci://ghcr.io/org/web:1.2.3_a":   {OCI: "ghcr.io/org/web", Name: "web", Tag: "1.2.3_a"},
		"oci://127.0.0.1:5000/web":        {OCI: "127.0.0.1:5000/web", Name: "web"},
		"oci://127.0.0.1:5000/web:v1.2.3": {OCI: "127.0.0.1:5000/web", Name: "web", Tag: "v1.2.3"},
		digest:                            {Digest: digest},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := catalog.ParseRef(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got.String() != text {
				t.Errorf("it prints as %s", got)
			}
		})
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, text := range []string{
		"", "web", "/web", "stable/", "a/b/c", "../web", "stable/..", "a b/web", "stable/web:1.2.3", "https://example.com/web", "file:///etc/passwd", "stable/\x00",
		"oci://", "oci://ghcr.io", "oci://ghcr.io/", "oci:///web", "oci://ghcr.io/web:", "oci://ghcr.io/web:a:b", "oci://ghcr.io/WEB", "oci://user@ghcr.io/web", "oci://ghcr.io/../web",
		"oci://ghcr.io/web?x", "oci://ghcr.io/web#x", "oci://ghcr.io/web@sha256:" + strings.Repeat("a", 64), "oci://charts/web",
		"sha256:", "sha256:abc", "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("a", 65), "sha256:../../etc/passwd", strings.Repeat("a", 600) + "/web",
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := catalog.ParseRef(text); !problem.Is(err, catalog.CodeRef) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
