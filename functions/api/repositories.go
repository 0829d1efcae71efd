package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
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
		list.Items = append(list.Items, openapi.RepositoryOf(repo))
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
	repo, credential, err := openapi.ReplaceRepositoryRequest(body).Domain(body.Name)
	if err == nil {
		repo.Org, repo.Version, repo.CreatedAt, repo.CreatedBy = org, 1, h.now().UTC(), openapi.PrincipalOf(r.Context()).Name
		repo, err = h.addRepository(r.Context(), repo, credential)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+repo.Name)
	openapi.Write(w, http.StatusCreated, openapi.RepositoryOf(repo))
}

// addRepository keeps the record before the secret: the record claims the name, so that nobody's secret is overwritten. A secret that could not be
// kept takes the record with it; a death between the two is seen when the credential is read, and put right by PUT.
func (h handler) addRepository(ctx context.Context, repo repository.Repository, credential repository.Credential) (repository.Repository, error) {
	if !credential.Empty() {
		repo.CredentialID = id.New()
	}
	if err := h.store.CreateRepository(ctx, repo); err != nil {
		return repo, err
	}
	err := h.keepCredential(ctx, repo, credential)
	if err != nil {
		if deleteErr := h.store.DeleteRepository(context.WithoutCancel(ctx), repo.Org, repo.Name, repo.Version); deleteErr != nil {
			h.log.ErrorContext(ctx, "forgetting a repository whose credential was not kept", "repository", repo.Name, "error", deleteErr)
		}
	}
	return repo, err
}

// keepCredential keeps the credential that the record names by its id. One that belongs to another state of the record is never used.
func (h handler) keepCredential(ctx context.Context, repo repository.Repository, credential repository.Credential) error {
	if repo.CredentialID == "" {
		return nil
	}
	credential.ID = repo.CredentialID
	raw, err := credential.Marshal()
	if err == nil {
		err = h.secrets.Put(ctx, repository.SecretName(repo.Org, repo.Name), raw)
	}
	if err != nil {
		return fmt.Errorf("keeping the credential of repository %s: %w", repo.Name, err)
	}
	return nil
}

// GetRepository answers one chart repository.
func (h handler) GetRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.RepoPath) {
	repo, err := h.store.FindRepository(r.Context(), org, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, repo.Version, openapi.RepositoryOf(repo))
}

// ReplaceRepository changes URL and credentials together, so that none is sent to a URL that it was not given for.
func (h handler) ReplaceRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.RepoPath, params openapi.ReplaceRepositoryParams) {
	body, err := openapi.Decode[openapi.ReplaceRepositoryRequest](r, maxSmallBody)
	if err == nil && body.Name != "" && body.Name != name {
		err = problem.Invalid("repository-invalid", "a repository cannot be renamed").At("name").Try("leave it out, or add another repository")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	was, err := h.store.FindRepository(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, was.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	repo, credential, err := body.Domain(name)
	if err == nil {
		repo.Org, repo.Version, repo.CreatedAt, repo.CreatedBy, repo.UpdatedAt = org, was.Version+1, was.CreatedAt, was.CreatedBy, h.now().UTC()
		repo, err = h.replaceRepository(r.Context(), repo, was, credential)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, repo.Version, openapi.RepositoryOf(repo))
}

// replaceRepository changes the record first: of two replacements one wins there, and its id says whose secret counts.
func (h handler) replaceRepository(ctx context.Context, repo, was repository.Repository, credential repository.Credential) (repository.Repository, error) {
	if !credential.Empty() {
		repo.CredentialID = id.New()
	}
	if err := h.store.ReplaceRepository(ctx, repo, was.Version); err != nil {
		return repo, err
	}
	if credential.Empty() {
		h.deleteRepositoryCredential(ctx, was)
	}
	return repo, h.keepCredential(ctx, repo, credential)
}

func (h handler) deleteRepositoryCredential(ctx context.Context, repo repository.Repository) {
	if repo.CredentialID == "" {
		return
	}
	if err := h.secrets.Delete(ctx, repository.SecretName(repo.Org, repo.Name)); err != nil {
		h.log.ErrorContext(ctx, "deleting the credential of a repository", "repository", repo.Name, "error", err)
	}
}

// RemoveRepository forgets a chart repository; deployments keep their charts, which are stored by digest.
func (h handler) RemoveRepository(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.RepoPath, params openapi.RemoveRepositoryParams) {
	repo, err := h.store.FindRepository(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, repo.Version)
	}
	if err == nil {
		err = h.store.DeleteRepository(r.Context(), org, name, repo.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.deleteRepositoryCredential(r.Context(), repo)
	w.WriteHeader(http.StatusNoContent)
}
