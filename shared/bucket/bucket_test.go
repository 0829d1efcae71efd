//go:build stack

package bucket_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

func newStore(t *testing.T) (*bucket.Store, *s3.Client, string) {
	t.Helper()
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	name := "swell-test-" + id.New()
	api := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	in := &s3.CreateBucketInput{Bucket: &name}
	if cfg.Region != "us-east-1" { // which S3 wants left out
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(cfg.Region)}
	}
	if _, err := api.CreateBucket(t.Context(), in); err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	return bucket.Open(cfg, name), api, name
}

func TestManifestsHaveALimit(t *testing.T) {
	s, _, _ := newStore(t)
	if _, err := s.PutManifest(t.Context(), "org-a", make([]byte, bucket.MaxManifestBytes+1)); !problem.Is(err, "manifest-too-large") {
		t.Errorf("got %v", err)
	}
}

func TestValuesAreTheirOrgs(t *testing.T) {
	s, _, _ := newStore(t)
	values := deployment.Values{Common: map[string]any{"replicaCount": 1.0, "list": []any{"a", nil}},
		Overrides: map[string]map[string]any{"pke-demo": {"replicaCount": 2.0}}}
	ref, digest, err := s.PutValues(t.Context(), "org-a", values)
	if err != nil {
		t.Fatal(err)
	}
	if digest != release.Digest(values) || ref != "org-a/values/"+digest+".json" {
		t.Errorf("got ref %s, digest %s", ref, digest)
	}
	again, _, err := s.PutValues(t.Context(), "org-a", values)
	if err != nil || again != ref {
		t.Errorf("kept again: ref %s, error %v", again, err)
	}
	var got deployment.Values
	if err := s.GetValues(t.Context(), "org-a", ref, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}

	for name, c := range map[string]struct{ org, ref string }{
		"another org's":        {"org-b", ref},
		"an org's beginning":   {"org", ref},
		"no org":               {"", "/values/" + digest + ".json"},
		"an org with a slash":  {"org-a/values", "org-a/values/values/x"},
		"another kind":         {"org-a", "org-a/charts/" + digest + ".tgz"},
		"what is not there":    {"org-b", "org-b/values/" + digest + ".json"},
		"what is not there, a": {"org-a", "org-a/values/x.json"},
	} {
		t.Run(name, func(t *testing.T) {
			if s.GetValues(t.Context(), c.org, c.ref, &deployment.Values{}) == nil {
				t.Error("it was read")
			}
		})
	}
}

func TestValuesHaveALimit(t *testing.T) {
	s, api, name := newStore(t)
	_, _, err := s.PutValues(t.Context(), "org-a", map[string]any{"a": strings.Repeat("x", bucket.MaxValuesBytes)})
	if !problem.Is(err, "values-too-large") {
		t.Errorf("got %v", err)
	}
	big := bytes.NewReader(append(append([]byte(`"`), bytes.Repeat([]byte("x"), bucket.MaxValuesBytes)...), '"'))
	if _, err := api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: aws.String("org-a/values/big.json"), Body: big}); err != nil {
		t.Fatal(err)
	}
	if s.GetValues(t.Context(), "org-a", "org-a/values/big.json", new(string)) == nil {
		t.Error("an object over the limit was read")
	}
}

func TestChartsAreVerified(t *testing.T) {
	s, api, name := newStore(t)
	archive := []byte("not a real archive, but bytes")
	digest := bucket.DigestOf(archive)
	if err := s.PutChart(t.Context(), "org-a", digest, archive); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetChart(t.Context(), "org-a", digest)
	if err != nil || !bytes.Equal(got, archive) {
		t.Errorf("got %q, error %v", got, err)
	}
	if _, err := s.GetChart(t.Context(), "org-b", digest); !problem.Is(err, "chart-not-found") {
		t.Errorf("another org's chart: %v", err)
	}
	for _, bad := range []string{"", "sha256:", digest[7:], "sha256:" + strings.Repeat("A", 64), "sha256:../../" + digest[13:]} {
		if _, err := s.GetChart(t.Context(), "org-a", bad); !problem.Is(err, "chart-digest-invalid") {
			t.Errorf("digest %q: %v", bad, err)
		}
	}
	if s.PutChart(t.Context(), "org-a", digest, []byte("other bytes")) == nil {
		t.Error("a wrong archive was kept")
	}
	if err := s.PutChart(t.Context(), "org-a", digest, make([]byte, bucket.MaxChartBytes+1)); !problem.Is(err, "chart-too-large") {
		t.Errorf("a chart over the limit: %v", err)
	}
	k := "org-a/charts/" + strings.TrimPrefix(digest, "sha256:") + ".tgz"
	if _, err := api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &k, Body: strings.NewReader("changed behind our back")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetChart(t.Context(), "org-a", digest); err == nil {
		t.Error("a changed archive was taken")
	}
}

func TestFindingsAreTheirOrgs(t *testing.T) {
	s, _, _ := newStore(t)
	findings := []drift.Finding{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", Op: drift.Changed, Path: "spec.replicas", Want: 2.0, Live: 5.0, Detected: drift.ByManifest}}
	ref, err := s.PutFindings(t.Context(), "org-a", findings, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.GetFindings(t.Context(), "org-a", ref)
	if diff := cmp.Diff(findings, got); err != nil || diff != "" {
		t.Errorf("%v, differs (-want +got):\n%s", err, diff)
	}
	if again, err := s.PutFindings(t.Context(), "org-a", findings, ref); err != nil || again != ref {
		t.Errorf("kept again: %s, %v", again, err)
	}
	for _, c := range [][2]string{{"org-b", ref}, {"org", ref}, {"", ref}, {"org-a", "org-a/values/x.json"}, {"org-a", "org-a/drift/x.json"}} {
		if _, err := s.GetFindings(t.Context(), c[0], c[1]); err == nil {
			t.Errorf("org %q read %s", c[0], c[1])
		}
	}
}
