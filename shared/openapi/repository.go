package openapi

import (
	"log/slog"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// RepositoryOf is the domain's repository as the API has it.
func RepositoryOf(r repository.Repository) Repository {
	return Repository{
		Name: r.Name, URL: r.URL, Type: RepositoryType(r.Type()), HasCredentials: r.HasPassword, HasTLS: r.HasTLS,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

// Domain is what a request says of a repository, and what it is read with.
func (r ReplaceRepositoryRequest) Domain(name string) (repository.Repository, repository.Credential, error) {
	repo := repository.Repository{Name: name, URL: r.URL, HasPassword: r.Password != ""}
	credential := repository.Credential{
		Username: r.Username, Password: string(r.Password), CA: r.TLS.CA, Certificate: r.TLS.Certificate, Key: string(r.TLS.Key),
	}
	repo.HasTLS = credential.HasTLS()
	err := repo.Validate()
	if err == nil && r.Type != "" && string(r.Type) != string(repo.Type()) {
		err = problem.Invalid("repository-invalid", "the URL is that of a repository of type %s", repo.Type()).At("type").Try("leave type out, or correct the URL")
	}
	if err == nil {
		err = credential.Validate(repo)
	}
	return repo, credential, err
}

// LogValue is what a log gets: a handler that writes JSON would otherwise write the password.
func (RepositoryRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets, likewise.
func (ReplaceRepositoryRequest) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue is what a log gets, likewise.
func (RepositoryTLS) LogValue() slog.Value { return slog.StringValue(redacted) }
