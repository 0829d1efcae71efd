package catalog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
)

const (
	helmConfig = "application/vnd.cncf.helm.config.v1+json"
	helmLayer  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// loopback is a registry; wrap may answer in its place.
func loopback(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push does what `helm push` does.
func push(t *testing.T, host, path, tag, configType, layerType string, archive []byte) {
	t.Helper()
	repository, err := name.NewRepository(host + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	blob := func(content []byte, mediaType string) descriptor {
		if err := remote.WriteLayer(repository, static.NewLayer(content, types.MediaType(mediaType))); err != nil {
			t.Fatal(err)
		}
		return descriptor{mediaType, chart.Digest(content), len(content)}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1,
		"config": blob([]byte("{}"), configType), "layers": []descriptor{blob([]byte("provenance"), "application/vnd.cncf.helm.chart.provenance.v1.prov"), blob(archive, layerType)},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("http://%s/v2/%s/manifests/%s", host, path, tag), bytes.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", string(types.OCIManifestSchema1))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("pushing gave %s", response.Status)
	}
}

func TestRegistry(t *testing.T) {
	host := loopback(t, nil)
	archives := map[string][]byte{}
	for _, tag := range []string{"1.0.0", "1.10.0", "1.9.0", "2.0.0_build.7", "3.0.0-rc.1", "latest"} {
		archives[tag] = archiveOf(t, tag)
		push(t, host, "org/web", tag, helmConfig, helmLayer, archives[tag])
	}
	push(t, host, "org/image", "1.0.0", string(types.OCIConfigJSON), string(types.OCILayer), archiveOf(t, ""))
	push(t, host, "org/odd", "1.0.0", helmConfig, string(types.OCILayer), archiveOf(t, ""))
	push(t, host, "org/large", "1.0.0", helmConfig, helmLayer, make([]byte, chart.MaxArchive+1))

	tests := map[string]struct{ ref, version, want, code string }{
		"Newest":       {"org/web", "", "2.0.0_build.7", ""},
		"Exact":        {"org/web", "1.9.0", "1.9.0", ""},
		"Build":        {"org/web", "2.0.0+build.7", "2.0.0_build.7", ""},
		"Range":        {"org/web", "~1.9", "1.9.0", ""},
		"Part":         {"org/web", "1", "1.10.0", ""},
		"Tag":          {"org/web:1.0.0", "", "1.0.0", ""},
		"TagNoVersion": {"org/web:latest", "", "latest", ""},
		"Both":         {"org/web:1.0.0", "1.0.0", "1.0.0", ""},
		"Contradicted": {"org/web:1.0.0", "1.9.0", "", catalog.CodeRef},
		"NoVersion":    {"org/web", "7.0.0", "", catalog.CodeVersionNotFound},
		"NoRange":      {"org/web", ">7", "", catalog.CodeVersionNotFound},
		"NoTag":        {"org/web:7.0.0", "", "", catalog.CodeVersionNotFound},
		"Nonsense":     {"org/web", "a b", "", catalog.CodeVersion},
		"NoChart":      {"org/none", "1.0.0", "", catalog.CodeNotFound},
		"NoChartAtAll": {"org/none", "", "", catalog.CodeNotFound},
		"Image":        {"org/image", "1.0.0", "", catalog.CodeNotFound},
		"NoLayer":      {"org/odd", "1.0.0", "", catalog.CodeNotFound},
		"Large":        {"org/large", "1.0.0", "", chart.CodeTooLarge},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ref, err := catalog.ParseRef("oci://" + host + "/" + tc.ref)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fetcher().Resolve(t.Context(), ref, tc.version, catalog.Source{})
			if tc.code != "" {
				if p, ok := problem.From(err); !ok || p.Code != tc.code {
					t.Errorf("got %+v, %v, want %s", got, err, tc.code)
				}
				return
			}
			digest := chart.Digest(archives[tc.want])
			want := catalog.Resolved{
				Ref: ref, Name: "web", Version: strings.ReplaceAll(tc.want, "_", "+"),
				URL: "oci://" + host + "/org/web@" + digest, Digest: digest,
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Fatal(diff, err)
			}
			archive, err := fetcher().Fetch(t.Context(), got, catalog.Source{})
			if err != nil || chart.Digest(archive) != digest {
				t.Errorf("fetching gave %d bytes, %v", len(archive), err)
			}
		})
	}
}

func TestIndexLeadsToRegistry(t *testing.T) {
	host := loopback(t, nil)
	archive := archiveOf(t, "")
	push(t, host, "org/web", "1.2.3", helmConfig, helmLayer, archive)
	for name, tc := range map[string]struct{ digest, code string }{
		"Same":  {chart.Digest(archive), ""},
		"None":  {`""`, ""},
		"Other": {chart.Digest(nil), catalog.CodeRepository},
	} {
		t.Run(name, func(t *testing.T) {
			index := "entries:\n  web:\n  - version: 1.2.3\n    digest: " + tc.digest + "\n    urls: [\"oci://" + host + "/org/web:1.2.3\"]\n"
			got, err := resolve(t, site(t, map[string]string{"/index.yaml": index}), "")
			if tc.code != "" {
				if !problem.Is(err, tc.code) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || got.Digest != chart.Digest(archive) || got.Ref.Repository != "stable" {
				t.Fatalf("got %+v, %v", got, err)
			}
			if fetched, err := fetcher().Fetch(t.Context(), got, catalog.Source{}); err != nil || len(fetched) != len(archive) {
				t.Errorf("got %d bytes, %v", len(fetched), err)
			}
		})
	}
}

func TestRegistryThatRefuses(t *testing.T) {
	answering := func(status int, path string) string {
		return loopback(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, path) {
					w.WriteHeader(status)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
	}
	tests := map[string]struct {
		host, version, code string
		status              int
	}{
		"Down":       {answering(http.StatusServiceUnavailable, "/v2/"), "1.0.0", catalog.CodeUnreachable, http.StatusFailedDependency},
		"DownLater":  {answering(http.StatusBadGateway, "/manifests/"), "1.0.0", catalog.CodeUnreachable, http.StatusFailedDependency},
		"Private":    {answering(http.StatusForbidden, "/manifests/"), "1.0.0", catalog.CodeNotFound, http.StatusUnprocessableEntity},
		"NoListing":  {answering(http.StatusForbidden, "/tags/list"), "", catalog.CodeVersionRequired, http.StatusUnprocessableEntity},
		"NotThere":   {"127.0.0.1:1", "1.0.0", catalog.CodeUnreachable, http.StatusFailedDependency},
		"NoRegistry": {strings.TrimPrefix(site(t, nil), "http://"), "1.0.0", catalog.CodeNotFound, http.StatusUnprocessableEntity},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := fetcher().Resolve(t.Context(), catalog.Ref{OCI: tc.host + "/org/web", Name: "web"}, tc.version, catalog.Source{})
			if p, ok := problem.From(err); !ok || p.Code != tc.code || p.Status != tc.status {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
}

func TestRegistryThatSendsSomethingElse(t *testing.T) {
	archive := archiveOf(t, "")
	host := loopback(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, chart.Digest(archive)) {
				_, _ = w.Write(bytes.Repeat([]byte("x"), len(archive)))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	push(t, host, "org/web", "1.0.0", helmConfig, helmLayer, archive)
	found, err := fetcher().Resolve(t.Context(), catalog.Ref{OCI: host + "/org/web", Name: "web"}, "1.0.0", catalog.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fetcher().Fetch(t.Context(), found, catalog.Source{}); err == nil {
		t.Errorf("took %d bytes", len(got))
	}
}
