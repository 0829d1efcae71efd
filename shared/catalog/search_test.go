package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/repository"
)

const described = `apiVersion: v1
entries:
  web:
  - name: web
    version: 1.0.0
    appVersion: 1.0
    description: A web server.
    created: 2026-01-02T03:04:05.678+01:00
    digest: ` + "AA" + `
    urls: [web-1.0.0.tgz]
  - name: web
    version: 2.0.0-rc.1
    urls: [web-2.0.0-rc.1.tgz]
  - name: web
    version: 1.10.0
    deprecated: true
    description: A web server, newer.
    keywords: [HTTP, proxy]
    urls: [web-1.10.0.tgz]
  - name: web
    version: nightly
    urls: [web-nightly.tgz]
  cache:
  - version: 0.1.0-alpha.1
    urls: [cache.tgz]
  empty: []
`

func TestCharts(t *testing.T) {
	asJSON := `{"entries":{"web":[{"version":"1.10.0","description":"A web server, newer.","keywords":["HTTP","proxy"],"deprecated":true}],"cache":[{"version":"0.1.0-alpha.1"}]}}`
	flow := `entries: {web: [{version: 1.10.0, description: "A web server, newer.", keywords: [HTTP, proxy], deprecated: true}], cache: [{version: 0.1.0-alpha.1}]}`
	web := catalog.Described{Name: "web", Version: "1.10.0", Description: "A web server, newer.", Deprecated: true, Keywords: []string{"HTTP", "proxy"}}
	cache := catalog.Described{Name: "cache", Version: "0.1.0-alpha.1"}
	for layout, index := range map[string]string{"Helm's": described, "JSON": asJSON, "Flow": flow} {
		url := site(t, map[string]string{"/index.yaml": index})
		for query, want := range map[string][]catalog.Described{
			"": {cache, web}, "WEB": {web}, "newer proxy": {web}, "newer cache": {}, "none": {},
		} {
			t.Run(layout+"/"+query, func(t *testing.T) {
				got, err := fetcher().Charts(t.Context(), stable(url), query)
				must(t, err)
				for i := range got {
					got[i].URLs = nil
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestChartsOfWhatCannotBeListed(t *testing.T) {
	for name, tc := range map[string]struct{ url, code string }{
		"Registry":   {"oci://127.0.0.1:1/org", catalog.CodeNoListing},
		"No entries": {site(t, map[string]string{"/index.yaml": "a: 1"}), catalog.CodeRepository},
		"Broken":     {site(t, map[string]string{"/index.yaml": "entries:\n  web:\n  - version: [1]\n"}), catalog.CodeRepository},
		"Large":      {site(t, map[string]string{"/index.yaml": strings.Repeat("x", 20<<20+1)}), chart.CodeTooLarge},
		"None":       {site(t, nil), catalog.CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetcher().Charts(t.Context(), stable(tc.url), "")
			wantCode(t, err, tc.code)
		})
	}
}

// A large index is read chart by chart, within the memory of a small function.
func TestChartsOfALargeIndex(t *testing.T) {
	var index strings.Builder
	index.WriteString("entries:\n")
	for i := range 300 {
		fmt.Fprintf(&index, "  chart%03d:\n", i)
		for j := range 60 {
			fmt.Fprintf(&index, "  - name: chart%03d\n    version: 1.%d.0\n    description: %s\n    urls:\n    - chart.tgz\n", i, j, strings.Repeat("x", 900))
		}
	}
	if index.Len() > 20<<20 || index.Len() < 15<<20 {
		t.Fatalf("the index has %d bytes", index.Len())
	}
	got, err := fetcher().Charts(t.Context(), stable(site(t, map[string]string{"/index.yaml": index.String()})), "")
	must(t, err)
	if len(got) != 300 || got[7].Name != "chart007" || got[7].Version != "1.59.0" {
		t.Errorf("got %d charts, of which one is %s %s", len(got), got[7].Name, got[7].Version)
	}
}

func versionsOf(list []catalog.Described) (versions []string) {
	for _, v := range list {
		versions = append(versions, v.Version)
	}
	return versions
}

func TestVersionsOfAnIndex(t *testing.T) {
	url := site(t, map[string]string{"/index.yaml": described, "/web-1.10.0.tgz.prov": "signed"})
	got, next, err := fetcher().Versions(t.Context(), stable(url), "web", catalog.Page{Limit: 9, Provenance: true})
	must(t, err)
	if diff := cmp.Diff([]string{"2.0.0-rc.1", "1.10.0", "1.0.0", "nightly"}, versionsOf(got)); diff != "" || next != "" {
		t.Fatal(diff, next)
	}
	if got[0].Provenance != catalog.ProvenanceAbsent || got[1].Provenance != catalog.ProvenancePresent {
		t.Errorf("provenance is %s and %s", got[0].Provenance, got[1].Provenance)
	}
	if !got[2].CreatedAt().Equal(time.Date(2026, 1, 2, 2, 4, 5, 678e6, time.UTC)) || got[2].AppVersion != "1.0" || got[2].Digest != "sha256:aa" || !got[0].CreatedAt().IsZero() {
		t.Errorf("got %+v", got[2])
	}
	var paged []string
	for after, pages := "", 0; ; pages++ {
		page, next, err := fetcher().Versions(t.Context(), stable(url), "web", catalog.Page{After: after, Limit: 1})
		must(t, err)
		paged = append(paged, versionsOf(page)...)
		if page[0].Provenance != catalog.ProvenanceUnknown {
			t.Errorf("provenance was asked for: %s", page[0].Provenance)
		}
		if after = next; next == "" || pages > 9 {
			break
		}
	}
	if diff := cmp.Diff(versionsOf(got), paged); diff != "" {
		t.Error(diff)
	}
	_, _, err = fetcher().Versions(t.Context(), stable(url), "none", catalog.Page{Limit: 9})
	wantCode(t, err, catalog.CodeNotFound)
}

func TestVersionsOfARegistry(t *testing.T) {
	host := loopback(t, nil)
	archives := map[string][]byte{}
	for _, tag := range []string{"1.0.0", "1.10.0", "2.0.0_build.7", "latest", "sha256-abc.sig"} {
		archives[tag] = archiveOf(t, tag)
		push(t, host, "org/web", tag, helmConfig, helmLayer, archives[tag])
	}
	for i := range 25 {
		push(t, host, "org/many", fmt.Sprintf("1.%d.0", i), helmConfig, helmLayer, archives["1.0.0"])
	}
	source := catalog.Source{Repository: repository.Repository{Name: "stable", URL: "oci://" + host + "/org"}}
	got, next, err := fetcher().Versions(t.Context(), source, "web", catalog.Page{Limit: 100})
	must(t, err)
	if diff := cmp.Diff([]string{"2.0.0+build.7", "1.10.0", "1.0.0"}, versionsOf(got)); diff != "" || next != "" {
		t.Fatal(diff, next)
	}
	if got[0].Digest != chart.Digest(archives["2.0.0_build.7"]) || got[0].Provenance != catalog.ProvenancePresent { // push has a layer of that type
		t.Errorf("got %+v", got[0])
	}
	many, next, err := fetcher().Versions(t.Context(), source, "many", catalog.Page{Limit: 100})
	must(t, err)
	rest, last, err := fetcher().Versions(t.Context(), source, "many", catalog.Page{After: next, Limit: 100})
	must(t, err)
	if len(many) != 20 || len(rest) != 5 || last != "" || rest[0].Version != "1.4.0" {
		t.Errorf("pages of %d and %d: %v", len(many), len(rest), versionsOf(rest))
	}
	_, _, err = fetcher().Versions(t.Context(), source, "none", catalog.Page{Limit: 9})
	wantCode(t, err, catalog.CodeNotFound)
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// A chart of a repository in a registry is named as one of any other.
func TestResolveInARegistryByName(t *testing.T) {
	host := loopback(t, nil)
	archive := archiveOf(t, "")
	push(t, host, "org/web", "1.2.3", helmConfig, helmLayer, archive)
	source := catalog.Source{Repository: repository.Repository{Name: "stable", URL: "oci://" + host + "/org/"}}
	found, err := fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "^1", source)
	must(t, err)
	got, err := fetcher().Fetch(t.Context(), found, source)
	must(t, err)
	if found.Ref.String() != "stable/web" || chart.Digest(got) != chart.Digest(archive) {
		t.Errorf("got %d bytes of %s", len(got), found.Ref)
	}
}
