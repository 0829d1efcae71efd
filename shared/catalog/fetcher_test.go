package catalog_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// site is a web server with fixed pages.
func site(t *testing.T, pages map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.RequestURI()]
		if to, redirect := strings.CutPrefix(page, "-> "); redirect {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func indexOf(versions ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nentries:\n  another:\n  - version: 9.9.9\n    urls: [another.tgz]\n  web:\n")
	for _, v := range versions {
		fmt.Fprintf(&b, "  - apiVersion: v2\n    description: |\n      entries:\n        web: text\n    name: web\n    version: %q\n    urls:\n    - web-%s.tgz\n", v, v)
	}
	b.WriteString("  zebra:\n    - version: 9.9.9\n      urls: [zebra.tgz]\ngenerated: \"2026-01-01T00:00:00Z\"\n")
	return b.String()
}

func fetcher() *catalog.Fetcher { return fetcherBy(&http.Client{}) }

func fetcherBy(client *http.Client) *catalog.Fetcher {
	return catalog.NewFetcher(client, func(trust *tls.Config) http.RoundTripper { return &http.Transport{TLSClientConfig: trust} })
}

// archiveOf is a good chart's.
func archiveOf(t *testing.T, tag string) []byte {
	t.Helper()
	return helmtest.Chart{"Chart.yaml": helmtest.Meta("web", "1.2.3"), "values.yaml": "tag: " + tag}.Archive(t)
}

func stable(url string) catalog.Source {
	return catalog.Source{Repository: repository.Repository{Name: "stable", URL: url}}
}

func resolve(t *testing.T, url, version string) (catalog.Resolved, error) {
	t.Helper()
	return fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, version, stable(url))
}

func TestResolveChoosesVersion(t *testing.T) {
	url := site(t, map[string]string{
		"/charts/index.yaml": indexOf("1.0.0", "1.10.0", "1.9.0", "v2.0.0", "3.0.0-rc.1", "2.0.0+build.7", "nightly"),
		"/pre/index.yaml":    indexOf("1.0.0-rc.1"),
	})
	tests := map[string]struct {
		path, version, want, code string
	}{
		"Newest":          {"/charts", "", "v2.0.0", ""},
		"Exact":           {"/charts", "1.9.0", "1.9.0", ""},
		"ExactWithV":      {"/charts", "v2.0.0", "v2.0.0", ""},
		"ExactWithoutV":   {"/charts/", "2.0.0", "v2.0.0", ""},
		"ExactBuild":      {"/charts", "2.0.0+build.7", "2.0.0+build.7", ""},
		"PreRelease":      {"/charts", "3.0.0-rc.1", "3.0.0-rc.1", ""},
		"NotSemantic":     {"/charts", "nightly", "nightly", ""},
		"Caret":           {"/charts", "^1.0.0", "1.10.0", ""},
		"Range":           {"/charts", ">=1.0.0 <1.10.0", "1.9.0", ""},
		"Part":            {"/charts", "1", "1.10.0", ""},
		"PreReleaseRange": {"/charts", ">2.0.0-0", "3.0.0-rc.1", ""},
		"None":            {"/charts", "7.0.0", "", catalog.CodeVersionNotFound},
		"NoneStable":      {"/pre", "", "", catalog.CodeVersionNotFound},
		"NoVersion":       {"/charts", "latest", "", catalog.CodeVersion},
		"LongVersion":     {"/charts", strings.Repeat("1", 300), "", catalog.CodeVersion},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := resolve(t, url+tc.path, tc.version)
			if tc.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != tc.code || p.Field != "version" {
					t.Errorf("got %v, want %s", err, tc.code)
				}
				return
			}
			want := catalog.Resolved{
				Ref: catalog.Ref{Repository: "stable", Name: "web"}, Name: "web", Version: tc.want,
				URL: url + strings.TrimSuffix(tc.path, "/") + "/web-" + tc.want + ".tgz",
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestResolveReadsAnyLayout(t *testing.T) {
	listed := map[string]any{"version": "1.0.0", "urls": []string{"web.tgz"}}
	asJSON, err := json.Marshal(map[string]any{"entries": map[string]any{"a": []any{}, "web": []any{listed}}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"JSON":         string(asJSON),
		"Flow":         "entries: {web: [{version: 1.0.0, urls: [web.tgz]}]}",
		"Indented":     "apiVersion: v1\nentries:\n    a:\n        - version: 2.0.0\n    web:\n        - version: 1.0.0\n          urls:\n            - web.tgz\n",
		"Quoted":       "entries:\n  'web':\n  - version: 1.0.0\n    urls: [web.tgz]\n",
		"Commented":    "# web:\nentries:\n\n# x\n  # web:\n  web:\n# between\n  - version: 1.0.0\n\n    urls: [web.tgz]\n",
		"Windows":      "entries:\r\n  web:\r\n  - version: 1.0.0\r\n    urls:\r\n    - web.tgz\r\n",
		"Anchors":      "x: &u [web.tgz]\nentries:\n  web:\n  - version: 1.0.0\n    urls: *u\n",
		"EntriesFlow":  "entries:\n  a: [{version: 2.0.0}]\n  web: [{version: 1.0.0, urls: [web.tgz]}]\n",
		"Document":     "---\nentries:\n  web:\n  - version: 1.0.0\n    urls: [web.tgz]\n...\n",
		"LastWithTail": "entries:\n  web:\n  - version: 1.0.0\n    urls: [web.tgz]\ngenerated: now\nweb:\n",
	}
	for name, index := range tests {
		t.Run(name, func(t *testing.T) {
			url := site(t, map[string]string{"/index.yaml": index})
			got, err := resolve(t, url, "")
			if err != nil || got.Version != "1.0.0" || got.URL != url+"/web.tgz" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestResolveRefusesIndexes(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	tests := map[string]struct{ index, code string }{
		"Empty":      {"", catalog.CodeRepository},
		"WebPage":    {"<!doctype html>\n<html>", catalog.CodeRepository},
		"NoEntries":  {"apiVersion: v1\n", catalog.CodeRepository},
		"Null":       {"entries:\napiVersion: v1\n", catalog.CodeRepository},
		"List":       {"entries:\n- web\n", catalog.CodeRepository},
		"NotListed":  {"entries:\n  web2:\n  - version: 1.0.0\n", catalog.CodeNotFound},
		"NoVersions": {"entries:\n  web: []\n", catalog.CodeNotFound},
		"AliasBomb":  {bomb + "entries: {web: *k}\n", catalog.CodeRepository},
		"BombInside": {"entries:\n  web:\n  - x: " + strings.ReplaceAll(strings.TrimSpace(bomb), "\n", "\n    ") + "\n", catalog.CodeRepository},
		"Deep":       {"entries: " + strings.Repeat("[", 20_000), catalog.CodeRepository},
		"ManyNodes":  {"entries: {x: [" + strings.Repeat("a,", 1<<20) + "]}", catalog.CodeRepository},
		"LargeOdd":   {"entries: {x: \"" + strings.Repeat("a", 5<<20) + "\"}", catalog.CodeRepository},
		"TooLarge":   {strings.Repeat("# long\n", 3<<20), chart.CodeTooLarge},
		"JSON":       {`{"entries": {"web": 7}}`, catalog.CodeRepository},
		"HalfJSON":   {`{"entries": {"web": `, catalog.CodeRepository},
		"NoURL":      {"entries:\n  web:\n  - version: 1.0.0\n", catalog.CodeRepository},
		"BadURL":     {"entries:\n  web:\n  - version: 1.0.0\n    urls: [\"http://[\"]\n", catalog.CodeRepository},
		"FileURL":    {"entries:\n  web:\n  - version: 1.0.0\n    urls: [\"file:///etc/passwd\"]\n", catalog.CodeRepository},
		"Password":   {"entries:\n  web:\n  - version: 1.0.0\n    urls: [\"https://a:b@example.com/x\"]\n", catalog.CodeRepository},
		"BadOCI":     {"entries:\n  web:\n  - version: 1.0.0\n    urls: [\"oci://x\"]\n", catalog.CodeRepository},
		"BadDigest":  {"entries:\n  web:\n  - version: 1.0.0\n    digest: abc\n    urls: [web.tgz]\n", catalog.CodeRepository},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			url := site(t, map[string]string{"/index.yaml": tc.index})
			got, err := resolve(t, url, "")
			if p, ok := problem.From(err); !ok || p.Code != tc.code {
				t.Errorf("got %+v, %v, want %s", got, err, tc.code)
			}
		})
	}
}

func TestResolveFindsALargeIndexQuickly(t *testing.T) {
	var b strings.Builder
	b.WriteString("entries:\n")
	for i := 0; b.Len() < 19<<20; i++ {
		fmt.Fprintf(&b, "  chart%d:\n  - description: %s\n    version: 1.0.0\n    urls:\n    - x\n", i, strings.Repeat("text ", 40))
	}
	b.WriteString("  web:\n  - version: 1.0.0\n    urls: [web.tgz]\n")
	url := site(t, map[string]string{"/index.yaml": b.String()})
	if got, err := resolve(t, url, ""); err != nil || got.Version != "1.0.0" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestResolveKeepsAKeyToItsHost(t *testing.T) {
	for link, want := range map[string]string{
		"web.tgz":                  "SITE/a/web.tgz?key=hunter2",
		"/b/web.tgz":               "SITE/b/web.tgz?key=hunter2",
		"//example.com/web.tgz":    "http://example.com/web.tgz",
		"http://example.com/w.tgz": "http://example.com/w.tgz",
	} {
		t.Run(link, func(t *testing.T) {
			index := "entries:\n  web:\n  - version: 1.0.0\n    urls: [\"" + link + "\"]\n"
			url := site(t, map[string]string{"/a/index.yaml?key=hunter2": index})
			got, err := resolve(t, url+"/a?key=hunter2", "")
			if want := strings.ReplaceAll(want, "SITE", url); err != nil || got.URL != want {
				t.Errorf("got %s, %v, want %s", got.URL, err, want)
			}
		})
	}
}

func TestResolveNeverLeavesTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("entries:\n  web:\n  - version: 1.0.0\n    urls: [\"http://example.com/web.tgz\"]\n"))
	}))
	defer server.Close()
	_, err := fetcherBy(server.Client()).Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "", stable(server.URL))
	if !problem.Is(err, catalog.CodeRepository) {
		t.Errorf("got %v", err)
	}
}

func TestResolveUnknownRepository(t *testing.T) {
	_, err := fetcher().Resolve(t.Context(), catalog.Ref{Repository: "nowhere", Name: "web"}, "", stable("http://127.0.0.1:1"))
	if p, ok := problem.From(err); !ok || p.Code != catalog.CodeRepositoryUnknown || p.Field != "chart" {
		t.Errorf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("entries:"))
	}))
	defer broken.Close()
	for name, url := range map[string]string{"Closed": closed.URL + "?key=hunter2", "NotFound": site(t, nil), "Broken": broken.URL} {
		t.Run(name, func(t *testing.T) {
			_, err := resolve(t, url, "")
			p, ok := problem.From(err)
			if !ok || p.Code != catalog.CodeUnreachable || p.Status != http.StatusFailedDependency {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("dialling: %w", problem.Invalid("url-refused", "the address is private"))
}

func TestRefusalOfTheClientIsKept(t *testing.T) {
	f := fetcherBy(&http.Client{Transport: refusing{}})
	for name, ref := range map[string]catalog.Ref{"Repository": {Repository: "stable", Name: "web"}, "Registry": {OCI: "127.0.0.1:5000/web", Name: "web"}} {
		t.Run(name, func(t *testing.T) {
			_, err := f.Resolve(t.Context(), ref, "1.0.0", stable("http://127.0.0.1:1"))
			if p, ok := problem.From(err); !ok || p.Code != "url-refused" || p.Field != "chart" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCanceledIsNoProblem(t *testing.T) {
	url := site(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fetcher().Resolve(ctx, catalog.Ref{Repository: "stable", Name: "web"}, "", stable(url))
	if _, ok := problem.From(err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFetch(t *testing.T) {
	archive := archiveOf(t, "")
	pages := map[string]string{
		"/web.tgz": string(archive), "/moved.tgz": "-> /web.tgz", "/loop.tgz": "-> /loop.tgz", "/large.tgz": strings.Repeat("x", chart.MaxArchive+1), "/page.tgz": "<html>",
	}
	url := site(t, pages)
	tests := map[string]struct{ path, digest, code string }{
		"Plain":       {"/web.tgz", "", ""},
		"Digest":      {"/web.tgz", chart.Digest(archive), ""},
		"Moved":       {"/moved.tgz", chart.Digest(archive), ""},
		"OtherDigest": {"/web.tgz", chart.Digest(nil), catalog.CodeDigest},
		"Page":        {"/page.tgz", chart.Digest(archive), catalog.CodeDigest},
		"Large":       {"/large.tgz", "", chart.CodeTooLarge},
		"None":        {"/none.tgz", "", catalog.CodeUnreachable},
		"Loop":        {"/loop.tgz", "", catalog.CodeUnreachable},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		tc := tests[name]
		t.Run(name, func(t *testing.T) {
			got, err := fetcher().Fetch(t.Context(), catalog.Resolved{URL: url + tc.path, Digest: tc.digest}, catalog.Source{})
			if tc.code == "" {
				if err != nil || chart.Digest(got) != chart.Digest(archive) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
				return
			}
			if !problem.Is(err, tc.code) {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
	if _, err := fetcher().Fetch(t.Context(), catalog.Resolved{Digest: chart.Digest(archive)}, catalog.Source{}); err == nil {
		t.Error("fetched from nowhere")
	}
}

func TestFetchTakesAnArchiveAsItIs(t *testing.T) {
	archive := archiveOf(t, "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip") // some servers call a .tgz so
		_, _ = w.Write(archive)
	}))
	defer server.Close()
	got, err := fetcher().Fetch(t.Context(), catalog.Resolved{URL: server.URL, Digest: chart.Digest(archive)}, catalog.Source{})
	if err != nil || len(got) != len(archive) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestVerify(t *testing.T) {
	meta := chart.Meta{Name: "web", Version: "1.2.3"}
	tests := map[string]struct {
		resolved catalog.Resolved
		code     string
	}{
		"Same":       {catalog.Resolved{Ref: catalog.Ref{Repository: "stable", Name: "web"}, Name: "web", Version: "1.2.3"}, ""},
		"WithV":      {catalog.Resolved{Ref: catalog.Ref{Repository: "stable", Name: "web"}, Name: "web", Version: "v1.2.3"}, ""},
		"Name":       {catalog.Resolved{Ref: catalog.Ref{Repository: "stable", Name: "api"}, Name: "api", Version: "1.2.3"}, catalog.CodeVersionMismatch},
		"Version":    {catalog.Resolved{Ref: catalog.Ref{Repository: "stable", Name: "web"}, Name: "web", Version: "1.2.4"}, catalog.CodeVersionMismatch},
		"Digest":     {catalog.Resolved{Ref: catalog.Ref{Digest: "sha256:x"}}, ""},
		"DigestV":    {catalog.Resolved{Ref: catalog.Ref{Digest: "sha256:x"}, Version: "1.2.3"}, ""},
		"DigestNotV": {catalog.Resolved{Ref: catalog.Ref{Digest: "sha256:x"}, Version: "2.0.0"}, catalog.CodeVersionMismatch},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tc.resolved.Verify(meta); (err != nil) != (tc.code != "") || (err != nil && !problem.Is(err, tc.code)) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}
