// Package bucket keeps what is too large or too private for the table: values and chart archives, by their digest, a prefix per org.
package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

// What is refused for its size, on the way in and on the way out.
const (
	MaxValuesBytes   = 4 << 20 // values of a generation with all overrides
	MaxChartBytes    = 20 << 20
	MaxManifestBytes = 32 << 20
)

// Store keeps objects in one bucket. Objects never change: their keys are made of their digests.
type Store struct {
	objects objects
}

// Open makes a Store of a configuration.
func Open(cfg aws.Config, bucket string) *Store {
	return &Store{objects: objects{cfg: cfg, bucket: bucket}}
}

// PutValues keeps v as JSON. The digest is release.Digest(v), and ref is where GetValues finds it.
func (s *Store) PutValues(ctx context.Context, org string, v any) (ref, digest string, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", "", fmt.Errorf("keeping values: %w", err)
	}
	if len(raw) > MaxValuesBytes {
		return "", "", problem.TooLarge("values-too-large", "the values have %d bytes as JSON", len(raw)).At("values").Try("use at most %d bytes", MaxValuesBytes)
	}
	digest = release.Digest(v)
	ref = org + "/values/" + digest + ".json"
	return ref, digest, s.put(ctx, ref, "application/json", raw)
}

// GetValues reads what PutValues kept for the org. Another org's is refused.
func (s *Store) GetValues(ctx context.Context, org, ref string, into any) error {
	if org == "" || strings.Contains(org, "/") || !strings.HasPrefix(ref, org+"/values/") {
		return fmt.Errorf("reading values: %q is not one of org %s", ref, org)
	}
	raw, err := s.get(ctx, ref, MaxValuesBytes)
	if err != nil {
		return fmt.Errorf("reading values: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("reading values %s: they are not as they were kept", ref) // err could quote them
	}
	return nil
}

// PutManifest keeps Kubernetes manifests, such as the CRDs that a chart brings. ref is where GetManifest finds them.
func (s *Store) PutManifest(ctx context.Context, org string, manifest []byte) (ref string, err error) {
	if len(manifest) > MaxManifestBytes {
		return "", problem.TooLarge("manifest-too-large", "the manifests have %d bytes", len(manifest)).Try("use at most %d bytes", MaxManifestBytes)
	}
	ref = org + "/manifests/" + strings.TrimPrefix(DigestOf(manifest), "sha256:") + ".yaml"
	return ref, s.put(ctx, ref, "application/yaml", manifest)
}

// GetManifest reads what PutManifest kept for the org. Another org's is refused.
func (s *Store) GetManifest(ctx context.Context, org, ref string) ([]byte, error) {
	if org == "" || strings.Contains(org, "/") || !strings.HasPrefix(ref, org+"/manifests/") {
		return nil, fmt.Errorf("reading manifests: %q is not one of org %s", ref, org)
	}
	return s.get(ctx, ref, MaxManifestBytes)
}

var chartDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func chartKey(org, digest string) (string, error) {
	if org == "" || strings.Contains(org, "/") || !chartDigest.MatchString(digest) {
		return "", problem.Invalid("chart-digest-invalid", "%q is no chart digest", digest).At("name").Try("use sha256: and 64 hexadecimal digits")
	}
	return org + "/charts/" + strings.TrimPrefix(digest, "sha256:") + ".tgz", nil
}

// DigestOf is the digest that a chart archive is kept under.
func DigestOf(archive []byte) string {
	sum := sha256.Sum256(archive)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PutChart keeps a chart archive for the org, under its digest.
func (s *Store) PutChart(ctx context.Context, org, digest string, archive []byte) error {
	k, err := chartKey(org, digest)
	if err != nil {
		return err
	}
	if len(archive) > MaxChartBytes {
		return problem.TooLarge("chart-too-large", "the chart archive has %d bytes", len(archive)).Try("use at most %d bytes", MaxChartBytes)
	}
	if DigestOf(archive) != digest {
		return fmt.Errorf("keeping chart %s: the archive has digest %s", digest, DigestOf(archive))
	}
	return s.put(ctx, k, "application/gzip", archive)
}

// GetChart reads a chart archive of the org, and makes sure that it is the one.
func (s *Store) GetChart(ctx context.Context, org, digest string) ([]byte, error) {
	k, err := chartKey(org, digest)
	if err != nil {
		return nil, err
	}
	archive, err := s.get(ctx, k, MaxChartBytes)
	if errors.Is(err, errMissing) {
		return nil, problem.NotFound("chart-not-found", "there is no chart archive %s", digest).At("name").Try("upload it first")
	}
	if err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", digest, err)
	}
	if DigestOf(archive) != digest {
		return nil, fmt.Errorf("reading chart %s: what is kept has digest %s", digest, DigestOf(archive))
	}
	return archive, nil
}

var errMissing = errors.New("there is no such object")

func (s *Store) put(ctx context.Context, k, contentType string, body []byte) error {
	if err := s.objects.put(ctx, k, contentType, body); err != nil {
		return fmt.Errorf("keeping object %s: %w", k, err)
	}
	return nil
}

func (s *Store) get(ctx context.Context, k string, most int64) ([]byte, error) {
	raw, err := s.objects.get(ctx, k, most)
	if refused, ok := errors.AsType[smithy.APIError](err); ok && refused.ErrorCode() == "NoSuchKey" {
		return nil, fmt.Errorf("object %s: %w", k, errMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", k, err)
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("object %s: it has more than %d bytes", k, most)
	}
	return raw, nil
}
