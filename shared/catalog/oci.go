package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

const (
	configType = "application/vnd.cncf.helm.config.v1+json"
	layerType  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

	maxPages = 20
)

// resolveOCI finds the manifest of a version and in it the chart's layer, whose digest is the archive's.
func (f *Fetcher) resolveOCI(ctx context.Context, ref Ref, version string) (Resolved, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout(), errSlow)
	defer cancel()
	repository, err := name.NewRepository(ref.OCI, name.StrictValidation)
	if err != nil {
		return Resolved{}, refProblem("oci://%s is not oci://host/path[:tag]", chart.Printable(ref.OCI, 200))
	}
	registry, err := f.puller()
	if err != nil {
		return Resolved{}, err
	}
	tag, err := f.tagOf(ctx, registry, repository, ref, version)
	if err != nil {
		return Resolved{}, err
	}
	found, err := registry.Get(ctx, repository.Tag(tag))
	if err != nil {
		return Resolved{}, f.registryProblem(ctx, ref, tag, err)
	}
	digest, err := chartLayer(ref, found.Manifest)
	if err != nil {
		return Resolved{}, err
	}
	return Resolved{
		Ref: ref, Name: ref.Name, Version: strings.ReplaceAll(tag, "_", "+"),
		URL: "oci://" + ref.OCI + "@" + digest, Digest: digest,
	}, nil
}

// tagOf is the tag of a version: a tag cannot have the plus of a version's build, so Helm writes an underscore.
func (f *Fetcher) tagOf(ctx context.Context, registry *remote.Puller, repository name.Repository, ref Ref, version string) (string, error) {
	asTag := strings.ReplaceAll(version, "+", "_")
	switch {
	case ref.Tag != "" && version != "" && asTag != ref.Tag:
		return "", problem.Invalid(CodeRef, "the chart's tag is %s, but the version is %s", ref.Tag, chart.Quoted(version)).At("version").
			Try("Give one of the two.")
	case ref.Tag != "":
		return ref.Tag, nil
	case exact(version) && tagForm.MatchString(asTag):
		return asTag, nil
	}
	versions, err := tags(ctx, registry, repository)
	if err != nil {
		if refused, ok := errors.AsType[*transport.Error](err); ok && !f.rejected(refused) && refused.StatusCode != http.StatusNotFound && refused.StatusCode < 500 {
			return "", problem.Invalid(CodeVersionRequired, "registry %s does not list the versions of chart %s", repository.RegistryStr(), ref).At("version").
				Try("Give an exact version.")
		}
		return "", f.registryProblem(ctx, ref, "", err)
	}
	i, err := pick(versions, version)
	if err != nil {
		return "", err
	}
	if i < 0 {
		return "", versionNotFound(ref, version)
	}
	return strings.ReplaceAll(versions[i], "+", "_"), nil
}

func tags(ctx context.Context, registry *remote.Puller, repository name.Repository) ([]string, error) {
	lister, err := registry.Lister(ctx, repository)
	if err != nil {
		return nil, err
	}
	var versions []string
	for pages := 0; lister.HasNext() && pages < maxPages; pages++ {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, err
		}
		for _, tag := range page.Tags {
			versions = append(versions, strings.ReplaceAll(tag, "_", "+"))
		}
	}
	return versions, nil
}

func chartLayer(ref Ref, manifest []byte) (string, error) {
	var m struct {
		Config v1.Descriptor   `json:"config"`
		Layers []v1.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil || m.Config.MediaType != configType {
		return "", problem.Invalid(CodeNotFound, "%s is there, but it is no Helm chart", ref).At("chart")
	}
	for _, layer := range m.Layers {
		if layer.MediaType != layerType {
			continue
		}
		if layer.Size > chart.MaxArchive {
			return "", tooLarge("the archive has more than %d MiB", chart.MaxArchive>>20)
		}
		if digest := layer.Digest.String(); chart.DigestForm.MatchString(digest) {
			return digest, nil
		}
	}
	return "", problem.Invalid(CodeNotFound, "%s is there, but it has no chart's archive", ref).At("chart")
}

func (f *Fetcher) fetchOCI(ctx context.Context, r Resolved) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout(), errSlow)
	defer cancel()
	at, err := name.NewDigest(strings.TrimPrefix(r.URL, "oci://"), name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("fetching chart %s: %w", r.Ref, err)
	}
	layer, err := remote.Layer(at, append(f.options(), remote.WithContext(ctx))...)
	if err != nil {
		return nil, f.registryProblem(ctx, r.Ref, r.Version, err)
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, f.registryProblem(ctx, r.Ref, r.Version, err)
	}
	defer content.Close() //nolint:errcheck // it was only read
	archive, err := io.ReadAll(io.LimitReader(content, chart.MaxArchive+1))
	if err != nil {
		return nil, f.registryProblem(ctx, r.Ref, r.Version, err)
	}
	if len(archive) > chart.MaxArchive {
		return nil, tooLarge("the archive has more than %d MiB", chart.MaxArchive>>20)
	}
	return archive, nil
}

func (f *Fetcher) timeout() time.Duration {
	if f.client.Timeout > 0 {
		return f.client.Timeout
	}
	return defaultTimeout
}

func (f *Fetcher) puller() (*remote.Puller, error) {
	registry, err := remote.NewPuller(f.options()...)
	if err != nil {
		return nil, fmt.Errorf("preparing to ask a registry: %w", err)
	}
	return registry, nil
}

func (f *Fetcher) options() []remote.Option {
	return []remote.Option{
		remote.WithAuth(f.source.authenticator()),
		remote.WithTransport(shortAnswers{f.client}),
		remote.WithUserAgent("swell"),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Steps: 2}),
	}
}

// shortAnswers limits what a registry may send, of any kind, to what an archive may have. Redirects are followed by the client around it, so
// every hop passes the guarded transport.
type shortAnswers struct {
	client *http.Client
}

func (s shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := s.client.Transport
	if inner == nil {
		inner = http.DefaultTransport
	}
	response, err := inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = limitedBody{io.LimitReader(response.Body, chart.MaxArchive+1), response.Body}
	return response, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// registryProblem says what a registry's error means. Registries answer 401 or 403 for what does not exist, so as not to tell.
func (f *Fetcher) registryProblem(ctx context.Context, ref Ref, version string, err error) error {
	refused, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return unreachable(ctx, "the registry of chart "+ref.String(), err)
	}
	unknownVersion := false
	for _, diagnostic := range refused.Errors {
		unknownVersion = unknownVersion || diagnostic.Code == transport.ManifestUnknownErrorCode
	}
	switch {
	case refused.StatusCode == http.StatusNotFound && unknownVersion && version != "":
		return versionNotFound(ref, version)
	case refused.StatusCode == http.StatusNotFound:
		return problem.Invalid(CodeNotFound, "the registry has no chart %s", ref).At("chart").Try("Name it as helm pull does: oci://host/path/chart.")
	case refused.StatusCode == http.StatusUnauthorized, refused.StatusCode == http.StatusForbidden:
		if f.source.Name != "" {
			host, _, _ := strings.Cut(ref.OCI, "/")
			return f.unauthorized("the registry of chart "+ref.String(), &url.URL{Scheme: "https", Host: host})
		}
		return problem.Invalid(CodeNotFound, "the registry has no chart %s, or none for everybody", ref).At("chart").
			Try("Add the registry as a repository with its credentials, POST helm/repos, and name the chart repository/chart.")
	}
	return problem.With(StatusUnreachable, CodeUnreachable, "the registry of chart %s answered %d", ref, refused.StatusCode).At("chart").
		Try("Try again when it answers.")
}
