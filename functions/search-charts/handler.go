package main

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

type store interface {
	FindRepository(ctx context.Context, org, name string) (repository.Repository, error)
}

type credentials interface {
	OfRepository(ctx context.Context, r repository.Repository) (repository.Credential, error)
}

type charts interface {
	Charts(ctx context.Context, source catalog.Source, query string) ([]catalog.Described, error)
	Versions(ctx context.Context, source catalog.Source, name string, page catalog.Page) ([]catalog.Described, string, error)
}

type handler struct {
	store       store
	credentials credentials
	charts      charts
	log         *slog.Logger
}

const defaultLimit = 100

// ListCharts answers the charts of a repository, as its index has them now.
func (h handler) ListCharts(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, repo openapi.RepoPath, params openapi.ListChartsParams) {
	list, err := h.listCharts(r.Context(), org, repo, params)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	openapi.Write(w, http.StatusOK, list)
}

func (h handler) listCharts(ctx context.Context, org, repo string, params openapi.ListChartsParams) (openapi.ListedChartList, error) {
	var list openapi.ListedChartList
	after, err := decodeCursor(params.Cursor)
	if err != nil {
		return list, err
	}
	source, err := h.source(ctx, org, repo)
	if err != nil {
		return list, err
	}
	found, err := h.charts.Charts(ctx, source, params.Query)
	if err != nil {
		return list, atRepo(err)
	}
	for _, c := range found {
		if after != "" && c.Name <= after {
			continue
		}
		if len(list.Items) == limitOf(params.Limit) {
			list.NextCursor = encodeCursor(list.Items[len(list.Items)-1].Name)
			break
		}
		list.Items = append(list.Items, openapi.ListedChart{
			Name: c.Name, Version: c.Version, AppVersion: c.AppVersion, Description: c.Description, Deprecated: c.Deprecated,
		})
	}
	return list, nil
}

// ListChartVersions answers the versions of a chart, newest first.
func (h handler) ListChartVersions(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, repo openapi.RepoPath, name openapi.ChartPath, params openapi.ListChartVersionsParams) {
	list, err := h.listVersions(r.Context(), org, repo, name, params)
	if err != nil {
		openapi.Fail(w, r, h.log, err)
		return
	}
	openapi.Write(w, http.StatusOK, list)
}

func (h handler) listVersions(ctx context.Context, org, repo, name string, params openapi.ListChartVersionsParams) (openapi.ChartVersionList, error) {
	var list openapi.ChartVersionList
	after, err := decodeCursor(params.Cursor)
	if err != nil {
		return list, err
	}
	source, err := h.source(ctx, org, repo)
	if err != nil {
		return list, err
	}
	found, next, err := h.charts.Versions(ctx, source, name, catalog.Page{After: after, Limit: limitOf(params.Limit), Provenance: params.Provenance})
	if err != nil {
		return list, atRepo(err)
	}
	if next != "" {
		list.NextCursor = encodeCursor(next)
	}
	for _, v := range found {
		list.Items = append(list.Items, openapi.ChartVersion{
			Version: v.Version, AppVersion: v.AppVersion, CreatedAt: v.CreatedAt(), Digest: v.Digest, Deprecated: v.Deprecated,
			Provenance: openapi.ChartProvenance(v.Provenance),
		})
	}
	return list, nil
}

func (h handler) source(ctx context.Context, org, name string) (catalog.Source, error) {
	repo, err := h.store.FindRepository(ctx, org, name)
	if err != nil {
		return catalog.Source{}, err
	}
	credential, err := h.credentials.OfRepository(ctx, repo)
	return catalog.Source{Repository: repo, Credential: credential}, err
}

// atRepo puts what is wrong with a repository where the path has it. A chart that is not there is one of the path, too: 404.
func atRepo(err error) error {
	p, ok := problem.From(err)
	if !ok {
		return err
	}
	if p.Code == catalog.CodeNotFound || p.Code == catalog.CodeRef {
		p = p.At("chart") // a copy
		p.Status = http.StatusNotFound
		return p
	}
	return p.At("repo")
}

func limitOf(limit int) int {
	if limit == 0 {
		return defaultLimit
	}
	return limit
}

// A cursor is the name or version that its page begins after: it stays right when the repository changes in between.
func encodeCursor(after string) string { return base64.RawURLEncoding.EncodeToString([]byte(after)) }

func decodeCursor(cursor string) (string, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(after) > 256 {
		return "", problem.Malformed("cursor-invalid", "the cursor was not made by this list").At("cursor").Try("use the cursor of the page before, or none")
	}
	return string(after), nil
}
