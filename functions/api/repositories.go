package main

import (
	"net/http"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/repository"
)

const maxSmallBody = 64 << 10

// ListRepositories answers the chart repositories of an org.
func (h handler) ListRepositories(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListRepositoriesParams) {
	repositories, next, err := h.store.ListRepositories(r.Context(), org, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.RepositoryList{NextCursor: next}
	for _, repo := range repositories {
		list.Items = append(list.Items, openapi.Repository{Name: repo.Name, URL: repo.URL, CreatedAt: repo.CreatedAt})
	}
	openapi.Write(w, http.StatusOK, list)
}

// AddRepository names a chart repository. It is first reached when a chart of it is asked for.
func (h handler) AddRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	body, err := openapi.Decode[openapi.RepositoryRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	repo := repository.Repository{Org: org, Name: body.Name, URL: body.URL, CreatedAt: h.now(), CreatedBy: openapi.PrincipalOf(r.Context()).Name}
	if err := repo.Validate(); err != nil {
		h.fail(w, r, err)
		return
	}
	if err := h.store.CreateRepository(r.Context(), repo); err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.Write(w, http.StatusCreated, openapi.Repository{Name: repo.Name, URL: repo.URL, CreatedAt: repo.CreatedAt})
}

// GetRepository answers one chart repository.
func (h handler) GetRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.RepoPath) {
	repo, err := h.store.FindRepository(r.Context(), org, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, repositoryVersion(repo), openapi.Repository{Name: repo.Name, URL: repo.URL, CreatedAt: repo.CreatedAt})
}

// repositoryVersion is when it was added: a repository does not change.
func repositoryVersion(r repository.Repository) int64 { return r.CreatedAt.UnixNano() }

// RemoveRepository forgets a chart repository; deployments keep their charts, which are stored by digest.
func (h handler) RemoveRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.RepoPath, params openapi.RemoveRepositoryParams) {
	repo, err := h.store.FindRepository(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, repositoryVersion(repo))
	}
	if err == nil {
		err = h.store.DeleteRepository(r.Context(), org, name)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
