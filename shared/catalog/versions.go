package catalog

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/repository"
)

const (
	provenanceType = "application/vnd.cncf.helm.chart.provenance.v1.prov"

	maxDescribed   = 20 // versions of a registry on one page: each takes a request
	maxProvenances = 10 // of an index on one page
	atOnce         = 4
	provenanceTime = 5 * time.Second
)

// Page chooses among the versions of a chart.
type Page struct {
	After      string // the last version of the page before; empty begins with the newest
	Limit      int
	Provenance bool // ask an index repository for provenance files, too: of ten versions at most
}

// Versions lists the versions of a chart, newest first. next is the After of the page that follows, or empty.
func (f *Fetcher) Versions(ctx context.Context, source Source, chart string, page Page) (versions []Described, next string, err error) {
	if f, err = f.reading(source); err != nil {
		return nil, "", err
	}
	if source.Type() == repository.OCI {
		return f.versionsInRegistry(ctx, chart, page)
	}
	index, base, err := f.index(ctx)
	if err != nil {
		return nil, "", err
	}
	all, err := describedIn(index, chart)
	if err != nil {
		return nil, "", f.badIndex(err)
	}
	if len(all) == 0 {
		return nil, "", f.noChart(chart)
	}
	versions, next = paged(all, page, func(d Described) string { return d.Version })
	f.complete(ctx, versions, Ref{Repository: source.Name, Name: chart}, base, page.Provenance)
	return versions, next, nil
}

func paged[T any](all []T, page Page, version func(T) string) (chosen []T, next string) {
	slices.SortStableFunc(all, func(a, b T) int { return newestFirst(version(a), version(b)) })
	for i, one := range all {
		if page.After != "" && newestFirst(version(one), page.After) <= 0 {
			continue
		}
		if len(chosen) == page.Limit {
			return chosen, version(all[i-1])
		}
		chosen = append(chosen, one)
	}
	return chosen, ""
}

// complete adds what an index has in another form or not at all.
func (f *Fetcher) complete(ctx context.Context, versions []Described, ref Ref, base *url.URL, provenance bool) {
	ctx, cancel := context.WithTimeout(ctx, provenanceTime)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range versions {
		v := &versions[i]
		v.Name, v.Provenance = ref.Name, ProvenanceUnknown
		if v.Digest != "" {
			v.Digest = digestOf(v.Digest)
		}
		if provenance && i < maxProvenances {
			group.Go(func() error {
				v.Provenance = f.hasProvenance(ctx, ref, *v, base)
				return nil
			})
		}
	}
	_ = group.Wait() // none fails: what cannot be asked stays unknown
}

func (f *Fetcher) hasProvenance(ctx context.Context, ref Ref, v Described, base *url.URL) Provenance {
	found, err := address(Resolved{Ref: ref, Name: ref.Name, Version: v.Version}, v.URLs, base)
	if err != nil || found.Scheme == "oci" {
		return ProvenanceUnknown
	}
	found.Path, found.RawPath = found.Path+".prov", ""
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, found.String(), nil)
	if err != nil {
		return ProvenanceUnknown
	}
	response, err := f.client.Do(request)
	if err != nil {
		return ProvenanceUnknown
	}
	_ = response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return ProvenancePresent
	case http.StatusNotFound:
		return ProvenanceAbsent
	}
	return ProvenanceUnknown
}

// versionsInRegistry takes the tags that are versions, and looks at the manifests of one page of them.
func (f *Fetcher) versionsInRegistry(ctx context.Context, named string, page Page) ([]Described, string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout(), errSlow)
	defer cancel()
	ref := f.source.inRegistry(named)
	at, err := name.NewRepository(ref.OCI, name.StrictValidation)
	if err != nil {
		return nil, "", refProblem("oci://%s is not oci://host/path", chart.Printable(ref.OCI, 200))
	}
	registry, err := f.puller()
	if err != nil {
		return nil, "", err
	}
	all, err := tags(ctx, registry, at)
	if err != nil {
		return nil, "", f.registryProblem(ctx, ref, "", err)
	}
	all = slices.DeleteFunc(all, func(tag string) bool { _, err := semver.NewVersion(tag); return err != nil })
	page.Limit = min(page.Limit, maxDescribed)
	chosen, next := paged(all, page, func(version string) string { return version })
	versions := make([]Described, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, version := range chosen {
		group.Go(func() error {
			found, err := registry.Get(ctx, at.Tag(strings.ReplaceAll(version, "+", "_")))
			if err != nil {
				return f.registryProblem(ctx, ref, version, err)
			}
			versions[i] = described(ref, version, found)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	return versions, next, nil
}

// described reads a manifest. A tag of something else than a chart is listed without a digest.
func described(ref Ref, version string, found *remote.Descriptor) Described {
	d := Described{Name: ref.Name, Version: version, Provenance: ProvenanceAbsent}
	var manifest v1.Manifest
	if err := json.Unmarshal(found.Manifest, &manifest); err != nil {
		return d
	}
	d.Created = manifest.Annotations["org.opencontainers.image.created"]
	d.Description = manifest.Annotations["org.opencontainers.image.description"]
	if digest, err := chartLayer(ref, found.Manifest); err == nil {
		d.Digest = digest
	}
	if slices.ContainsFunc(manifest.Layers, func(layer v1.Descriptor) bool { return layer.MediaType == provenanceType }) {
		d.Provenance = ProvenancePresent
	}
	return d
}
