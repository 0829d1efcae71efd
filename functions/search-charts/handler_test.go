package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/searchcharts"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// memory is the repositories, and what they have.
type memory struct{ asked catalog.Page }

func (*memory) FindRepository(_ context.Context, org, name string) (repository.Repository, error) {
	if name == "none" {
		return repository.Repository{}, problem.NotFound("repository-not-found", "there is none").Try("add it")
	}
	return repository.Repository{Org: org, Name: name, CredentialID: name}, nil
}

func (*memory) OfRepository(_ context.Context, r repository.Repository) (repository.Credential, error) {
	if r.Name == "cut-short" {
		return repository.Credential{}, r.WithoutCredential()
	}
	return repository.Credential{Username: "robot", Password: "hunter2"}, nil
}

func (*memory) Charts(_ context.Context, source catalog.Source, query string) ([]catalog.Described, error) {
	if source.Credential.Password != "hunter2" {
		return nil, errors.New("without its credential")
	}
	if source.Name == "private" {
		return nil, problem.Invalid(catalog.CodeUnauthorized, "no").At("chart").Try("give it")
	}
	return []catalog.Described{{Name: "a"}, {Name: "b", Version: query, Deprecated: true}, {Name: "c"}}, nil
}

func (m *memory) Versions(_ context.Context, _ catalog.Source, name string, page catalog.Page) ([]catalog.Described, string, error) {
	m.asked = page
	if name == "none" {
		return nil, "", problem.Invalid(catalog.CodeNotFound, "no").At("chart").Try("list them")
	}
	return []catalog.Described{{Version: "1.0.0", Created: "2026-01-02T03:04:05Z", Digest: "sha256:aa", Provenance: catalog.ProvenancePresent}}, "1.0.0", nil
}

func get(t *testing.T, m *memory, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/api/v1/orgs/default/helm/repos/"+path, nil)
	r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
	w := httptest.NewRecorder()
	searchcharts.New(handler{store: m, credentials: m, charts: m, log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
	return w
}

func TestListCharts(t *testing.T) {
	var names []string
	for cursor := ""; ; {
		var list openapi.ListedChartList
		if w := get(t, new(memory), "stable/charts?limit=2&query=web&cursor="+cursor); w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &list) != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, c := range list.Items {
			names = append(names, c.Name+c.Version)
		}
		if cursor = list.NextCursor; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"a", "bweb", "c"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestListChartVersions(t *testing.T) {
	m := new(memory)
	w := get(t, m, "stable/charts/web?limit=7&provenance=true&cursor="+encodeCursor("2.0.0"))
	want := `{"items":[{"createdAt":"2026-01-02T03:04:05Z","deprecated":false,"digest":"sha256:aa","provenance":"present","version":"1.0.0"}],"nextCursor":"` + encodeCursor("1.0.0") + `"}`
	if diff := cmp.Diff(want, strings.TrimSpace(w.Body.String())); diff != "" || w.Code != 200 {
		t.Error(w.Code, diff)
	}
	if diff := cmp.Diff(catalog.Page{After: "2.0.0", Limit: 7, Provenance: true}, m.asked); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	for path, want := range map[string]struct {
		status      int
		code, field string
	}{
		"none/charts":               {404, "repository-not-found", ""},
		"private/charts":            {422, "repository-unauthorized", "repo"},
		"cut-short/charts":          {409, "repository-credential-missing", ""},
		"cut-short/charts/web":      {409, "repository-credential-missing", ""},
		"stable/charts/none":        {404, "chart-not-found", "chart"},
		"stable/charts?cursor=%25":  {400, "cursor-invalid", "cursor"},
		"stable/charts/a?cursor=$":  {400, "cursor-invalid", "cursor"},
		"stable/charts/a?limit=501": {422, "invalid-parameter", "limit"},
	} {
		t.Run(path, func(t *testing.T) {
			w := get(t, new(memory), path)
			var got openapi.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != want.status || got.Code != want.code || got.Field != want.field || got.Remedy == "" {
				t.Errorf("%d %s, want %+v with a remedy", w.Code, w.Body, want)
			}
		})
	}
}
