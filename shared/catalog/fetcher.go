// Package catalog finds charts in repositories and registries, and gets their archives.
package catalog

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// StatusUnreachable is the status of a repository-unreachable problem: 424 Failed Dependency. The caller's request failed for what another host did;
// a 502 would be taken for a fault of Swell's own gateway.
const StatusUnreachable = http.StatusFailedDependency

const defaultTimeout = 30 * time.Second

// Fetcher finds charts in repositories and registries and gets their archives. It sends a repository's credentials to the repository alone.
type Fetcher struct {
	client *http.Client
	trust  func(*tls.Config) http.RoundTripper
	source Source
}

// fetchTime is how long one request to a repository may take.
const fetchTime = 20 * time.Second

// Open fetches from what the policy lets through.
func Open(networks netguard.Policy) *Fetcher {
	return NewFetcher(networks.HTTPClient(fetchTime), networks.Transport)
}

// NewFetcher fetches by client, which guards every dial and every redirect, and by transports that do so with the TLS of a repository
// (netguard.Policy has HTTPClient and Transport).
func NewFetcher(client *http.Client, trust func(*tls.Config) http.RoundTripper) *Fetcher {
	return &Fetcher{client: client, trust: trust}
}

// Resolved is one version of one chart, and where it is.
type Resolved struct {
	Ref     Ref    `json:"ref"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	URL     string `json:"url,omitempty"`    // empty for a Ref by digest
	Digest  string `json:"digest,omitempty"` // of the archive; empty where an index has none
}

// Verify refuses a chart that is another than was asked for.
func (r Resolved) Verify(meta chart.Meta) error {
	if r.Ref.Repository != "" && meta.Name != r.Name {
		return problem.Invalid(CodeVersionMismatch, "the archive of chart %s holds a chart named %s", r.Ref, meta.Name).At("chart")
	}
	if r.Version == "" {
		return nil
	}
	if i, err := pick([]string{meta.Version}, r.Version); err != nil || i < 0 {
		return problem.Invalid(CodeVersionMismatch, "the archive of chart %s has version %s, not %s", r.Ref, meta.Version, chart.Quoted(r.Version)).At("version")
	}
	return nil
}

// Resolve finds the version of a chart: the exact one, the newest in a range, or the newest stable one if version is empty. A Ref by digest
// needs no finding: its version is left for Verify. The source is the repository that ref names, if it names one.
func (f *Fetcher) Resolve(ctx context.Context, ref Ref, version string, source Source) (Resolved, error) {
	f, err := f.reading(source)
	switch {
	case err != nil:
		return Resolved{}, err
	case ref.Digest != "":
		return Resolved{Ref: ref, Version: version, Digest: ref.Digest}, nil
	case ref.OCI != "":
		return f.resolveOCI(ctx, ref, version)
	case ref.Repository != source.Name:
		return Resolved{}, problem.Invalid(CodeRepositoryUnknown, "no repository is named %s", chart.Quoted(ref.Repository)).At("chart").
			Try("Add it with POST helm/repos, or correct the name.")
	case source.Type() == repository.OCI:
		found, err := f.resolveOCI(ctx, source.inRegistry(ref.Name), version)
		found.Ref = ref
		return found, err
	}
	return f.resolveIn(ctx, ref, version)
}

// index gets the repository's index, and says what its relative URLs are relative to.
func (f *Fetcher) index(ctx context.Context) (index []byte, base *url.URL, err error) {
	base, err = url.Parse(f.source.URL)
	if err != nil {
		return nil, nil, problem.Invalid(CodeRepository, "the URL of %s cannot be read", f.source).At("chart")
	}
	base.Path = strings.TrimSuffix(base.Path, "/") + "/"
	base.RawPath = ""
	index, err = f.get(ctx, base.JoinPath("index.yaml"), f.source.String(), maxIndex, true)
	return bytes.TrimPrefix(index, []byte("\ufeff")), base, err // the mark that some editors write and Helm drops
}

func (f *Fetcher) resolveIn(ctx context.Context, ref Ref, version string) (Resolved, error) {
	index, base, err := f.index(ctx)
	if err != nil {
		return Resolved{}, err
	}
	entries, err := versionsIn(index, ref.Name)
	if err != nil {
		return Resolved{}, f.badIndex(err)
	}
	if len(entries) == 0 {
		return Resolved{}, f.noChart(ref.Name)
	}
	versions := make([]string, len(entries))
	for i, entry := range entries {
		versions[i] = entry.Version
	}
	i, err := pick(versions, version)
	if err != nil {
		return Resolved{}, err
	}
	if i < 0 {
		return Resolved{}, versionNotFound(ref, version)
	}
	return f.located(ctx, Resolved{Ref: ref, Name: ref.Name, Version: entries[i].Version}, entries[i], base)
}

func (f *Fetcher) badIndex(err error) error {
	return problem.Invalid(CodeRepository, "the index of %s cannot be used: %v", f.source, err).At("chart")
}

func (f *Fetcher) noChart(name string) error {
	return problem.Invalid(CodeNotFound, "%s has no chart %s", f.source, chart.Quoted(name)).At("chart").Try("List its charts with GET helm/repos/{repo}/charts.")
}

// located adds where the archive is. A repository may point to another host, or to a registry.
func (f *Fetcher) located(ctx context.Context, r Resolved, entry listed, base *url.URL) (Resolved, error) {
	if entry.Digest != "" {
		r.Digest = digestOf(entry.Digest)
		if !chart.DigestForm.MatchString(r.Digest) {
			return Resolved{}, badEntry(r, "has a digest that is no SHA-256")
		}
	}
	u, err := address(r, entry.URLs, base)
	if err != nil {
		return Resolved{}, err
	}
	if u.Scheme == "oci" {
		return f.inRegistry(ctx, r, entry.URLs[0])
	}
	r.URL = u.String()
	return r, nil
}

// digestOf is the digest of an index, which may leave out what it is of.
func digestOf(digest string) string {
	return "sha256:" + strings.TrimPrefix(strings.ToLower(digest), "sha256:")
}

// address is the URL of an entry of an index.
func address(r Resolved, urls []string, base *url.URL) (*url.URL, error) {
	if len(urls) == 0 {
		return nil, badEntry(r, "has no URL")
	}
	u, err := url.Parse(urls[0])
	if err != nil {
		return nil, badEntry(r, "has a URL that cannot be read")
	}
	if !u.IsAbs() {
		query := base.RawQuery
		u = base.ResolveReference(u)
		if u.Host == base.Host { // never to another: it may be a key
			u.RawQuery = query
		}
	}
	switch {
	case u.User != nil:
		return nil, badEntry(r, "has a URL with a user name or password")
	case u.Scheme == "oci":
		return u, nil
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, badEntry(r, "has a URL that is neither https nor oci")
	case base.Scheme == "https" && u.Scheme == "http":
		return nil, badEntry(r, "leads from https to http")
	}
	return u, nil
}

// inRegistry follows an index to a registry, as large publishers have it.
func (f *Fetcher) inRegistry(ctx context.Context, r Resolved, address string) (Resolved, error) {
	ref, err := ParseRef(address)
	if err != nil {
		return Resolved{}, badEntry(r, "has an oci URL that cannot be read")
	}
	found, err := f.resolveOCI(ctx, ref, r.Version)
	if err != nil {
		return Resolved{}, err
	}
	if r.Digest != "" && r.Digest != found.Digest {
		return Resolved{}, badEntry(r, "has another digest than the registry's")
	}
	r.URL, r.Digest = found.URL, found.Digest
	return r, nil
}

func badEntry(r Resolved, what string) *problem.Problem {
	return problem.Invalid(CodeRepository, "version %s of chart %s %s in the repository's index", chart.Printable(r.Version, 80), r.Ref, what).At("chart")
}

// Fetch gets the archive, at most chart.MaxArchive of it, and compares it with the digest where one is known. It does not Check it.
func (f *Fetcher) Fetch(ctx context.Context, r Resolved, source Source) ([]byte, error) {
	f, err := f.reading(source)
	if err != nil {
		return nil, err
	}
	if r.URL == "" {
		return nil, fmt.Errorf("fetching chart %s: it is in the store, not elsewhere", r.Ref)
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, badEntry(r, "has a URL that cannot be read")
	}
	var archive []byte
	if u.Scheme == "oci" {
		archive, err = f.fetchOCI(ctx, r)
	} else {
		archive, err = f.get(ctx, u, u.Host, chart.MaxArchive, false)
	}
	if err != nil {
		return nil, err
	}
	if r.Digest == "" {
		return archive, nil
	}
	if got := chart.Digest(archive); got != r.Digest {
		return nil, problem.Invalid(CodeDigest, "the archive from %s has digest %s, not %s as it should", u.Host, got, chart.Printable(r.Digest, 80)).At("chart").
			Try("Try again; if it stays, the repository is to be indexed anew by who keeps it.")
	}
	return archive, nil
}

// get reads one answer of at most limit bytes.
func (f *Fetcher) get(ctx context.Context, u *url.URL, where string, limit int64, compressed bool) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, problem.Invalid(CodeRepository, "the URL of %s cannot be used", where).At("chart")
	}
	if !compressed { // an archive is to come as it is, also from a server that calls gzip an encoding
		request.Header.Set("Accept-Encoding", "identity")
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, unreachable(ctx, where, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if status := response.StatusCode; status == http.StatusUnauthorized || status == http.StatusForbidden && f.source.owns(response.Request.URL) {
		return nil, f.unauthorized(where, response.Request.URL)
	}
	if response.StatusCode != http.StatusOK {
		return nil, problem.With(StatusUnreachable, CodeUnreachable, "%s answered %s", where, chart.Printable(response.Status, 80)).At("chart")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, unreachable(ctx, where, err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge("the answer of %s has more than %d MiB", where, limit>>20)
	}
	return body, nil
}

var errSlow = errors.New("it did not answer in time")

// unreachable keeps a problem of the guarded client (an address that is refused) and the end of our own context as they are.
func unreachable(ctx context.Context, where string, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSlow):
		err = errSlow
	case ctx.Err() != nil:
		return fmt.Errorf("asking %s: %w", where, ctx.Err())
	}
	if cause := distrust(err); cause != "" {
		return problem.Invalid(CodeTLS, "%s is not trusted: %s", where, chart.Printable(cause, 300)).At("chart").
			Try("Give the repository its authority's certificate as tls.ca, and a client's as tls.certificate and tls.key, with PUT helm/repos/{repo}.")
	}
	if p, ok := problem.From(err); ok {
		return p.At("chart")
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL, whose query may be a key
	}
	return problem.With(StatusUnreachable, CodeUnreachable, "%s cannot be reached: %s", where, chart.Printable(err.Error(), 300)).At("chart").
		Try("Try again when it answers.")
}

func tooLarge(format string, args ...any) *problem.Problem {
	return problem.TooLarge(chart.CodeTooLarge, format, args...).At("chart")
}
