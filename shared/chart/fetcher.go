package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// StatusUnreachable is the status of a repository-unreachable problem: 424 Failed Dependency. The caller's request failed for what another host did;
// a 502 would be taken for a fault of Swell's own gateway.
const StatusUnreachable = http.StatusFailedDependency

const defaultTimeout = 30 * time.Second

// Fetcher finds charts in repositories and registries and gets their archives. It sends no credentials.
type Fetcher struct {
	client *http.Client
}

// NewFetcher fetches by client, which guards every dial and every redirect (netguard.Policy.HTTPClient makes one).
func NewFetcher(client *http.Client) *Fetcher {
	return &Fetcher{client: client}
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
func (r Resolved) Verify(meta Meta) error {
	if r.Ref.Repository != "" && meta.Name != r.Name {
		return problem.Invalid(CodeVersionMismatch, "the archive of chart %s holds a chart named %s", r.Ref, meta.Name).At("chart")
	}
	if r.Version == "" {
		return nil
	}
	if i, err := pick([]string{meta.Version}, r.Version); err != nil || i < 0 {
		return problem.Invalid(CodeVersionMismatch, "the archive of chart %s has version %s, not %s", r.Ref, meta.Version, quoted(r.Version)).At("version")
	}
	return nil
}

// Resolve finds the version of a chart: the exact one, the newest in a range, or the newest stable one if version is empty. A Ref by digest
// needs no finding: its version is left for Verify.
func (f *Fetcher) Resolve(ctx context.Context, ref Ref, version string, repositories []repository.Repository) (Resolved, error) {
	switch {
	case ref.Digest != "":
		return Resolved{Ref: ref, Version: version, Digest: ref.Digest}, nil
	case ref.OCI != "":
		return f.resolveOCI(ctx, ref, version)
	}
	for _, repo := range repositories {
		if repo.Name == ref.Repository {
			return f.resolveIn(ctx, repo, ref, version)
		}
	}
	return Resolved{}, problem.Invalid(CodeRepositoryUnknown, "no repository is named %s", quoted(ref.Repository)).At("chart").
		Try("Add it with POST helm/repos, or correct the name.")
}

func (f *Fetcher) resolveIn(ctx context.Context, repo repository.Repository, ref Ref, version string) (Resolved, error) {
	base, err := url.Parse(repo.URL)
	if err != nil {
		return Resolved{}, problem.Invalid(CodeRepository, "the URL of repository %s cannot be read", repo.Name).At("chart")
	}
	base.Path = strings.TrimSuffix(base.Path, "/") + "/"
	base.RawPath = ""
	where := "repository " + repo.Name
	index, err := f.get(ctx, base.JoinPath("index.yaml"), where, maxIndex, true)
	if err != nil {
		return Resolved{}, err
	}
	entries, err := versionsIn(index, ref.Name)
	if err != nil {
		return Resolved{}, problem.Invalid(CodeRepository, "the index of %s cannot be used: %v", where, err).At("chart")
	}
	if len(entries) == 0 {
		return Resolved{}, problem.Invalid(CodeNotFound, "repository %s has no chart %s", repo.Name, ref.Name).At("chart").Try("Look into the repository's index.yaml for the charts there are.")
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

// located adds where the archive is. A repository may point to another host, or to a registry.
func (f *Fetcher) located(ctx context.Context, r Resolved, entry listed, base *url.URL) (Resolved, error) {
	if entry.Digest != "" {
		r.Digest = "sha256:" + strings.TrimPrefix(strings.ToLower(entry.Digest), "sha256:")
		if !digestForm.MatchString(r.Digest) {
			return Resolved{}, badEntry(r, "has a digest that is no SHA-256")
		}
	}
	if len(entry.URLs) == 0 {
		return Resolved{}, badEntry(r, "has no URL")
	}
	u, err := url.Parse(entry.URLs[0])
	if err != nil {
		return Resolved{}, badEntry(r, "has a URL that cannot be read")
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
		return Resolved{}, badEntry(r, "has a URL with a user name or password")
	case u.Scheme == "oci":
		return f.inRegistry(ctx, r, entry.URLs[0])
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return Resolved{}, badEntry(r, "has a URL that is neither https nor oci")
	case base.Scheme == "https" && u.Scheme == "http":
		return Resolved{}, badEntry(r, "leads from https to http")
	}
	r.URL = u.String()
	return r, nil
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
	return problem.Invalid(CodeRepository, "version %s of chart %s %s in the repository's index", Printable(r.Version, 80), r.Ref, what).At("chart")
}

// Fetch gets the archive, at most MaxArchive of it, and compares it with the digest where one is known. It does not Check it.
func (f *Fetcher) Fetch(ctx context.Context, r Resolved) ([]byte, error) {
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
		archive, err = f.get(ctx, u, u.Host, MaxArchive, false)
	}
	if err != nil {
		return nil, err
	}
	if r.Digest == "" {
		return archive, nil
	}
	return archive, verify(archive, r.Digest, u.Host)
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
	if response.StatusCode != http.StatusOK {
		return nil, problem.With(StatusUnreachable, CodeUnreachable, "%s answered %s", where, Printable(response.Status, 80)).At("chart")
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
	if p, ok := problem.From(err); ok {
		return p.At("chart")
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL, whose query may be a key
	}
	return problem.With(StatusUnreachable, CodeUnreachable, "%s cannot be reached: %s", where, Printable(err.Error(), 300)).At("chart").
		Try("Try again when it answers.")
}
