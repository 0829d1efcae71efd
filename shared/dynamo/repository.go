package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

type repositoryItem struct {
	head
	Org, Name, URL      string
	CredentialID        string `dynamodbav:",omitempty"` // of a secret; nothing of the secret is here
	HasPassword, HasTLS bool
	Version             int64
	CreatedAt           stamp
	CreatedBy           string
	UpdatedAt           stamp
}

func toRepositoryItem(r repository.Repository) repositoryItem {
	return repositoryItem{head: headOf(repositoryKey(r.Org, r.Name)), Org: r.Org, Name: r.Name, URL: r.URL,
		CredentialID: r.CredentialID, HasPassword: r.HasPassword, HasTLS: r.HasTLS,
		Version: r.Version, CreatedAt: stamp{r.CreatedAt}, CreatedBy: r.CreatedBy, UpdatedAt: stamp{r.UpdatedAt}}
}

func fromRepositoryItem(i repositoryItem) repository.Repository {
	return repository.Repository{Org: i.Org, Name: i.Name, URL: i.URL, CredentialID: i.CredentialID, HasPassword: i.HasPassword, HasTLS: i.HasTLS,
		Version: i.Version, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy, UpdatedAt: i.UpdatedAt.Time}
}

func repositoryNotFound(name string) *problem.Problem {
	return problem.NotFound("repository-not-found", "there is no chart repository %q", name).Try("list the repositories, or add it")
}

func repositoryChanged(name string) *problem.Problem {
	return problem.Conflict("repository-changed", "chart repository %q was changed or removed in the meantime", name).Try("read it again, and repeat the change")
}

// CreateRepository keeps a chart repository under a name that is new in the org.
func (s *Store) CreateRepository(ctx context.Context, r repository.Repository) error {
	err := s.put(ctx, toRepositoryItem(r), absent())
	if conditionFailed(err) {
		return problem.Conflict("repository-name-taken", "a chart repository named %q exists already", r.Name).At("name").Try("choose another name")
	}
	return err
}

// ReplaceRepository changes a chart repository that is at that version still.
func (s *Store) ReplaceRepository(ctx context.Context, r repository.Repository, expectedVersion int64) error {
	err := s.put(ctx, toRepositoryItem(r), expression.Name("Version").Equal(expression.Value(expectedVersion)))
	if conditionFailed(err) {
		return repositoryChanged(r.Name)
	}
	return err
}

// FindRepository finds a chart repository of the org.
func (s *Store) FindRepository(ctx context.Context, org, name string) (repository.Repository, error) {
	var item repositoryItem
	found, err := s.get(ctx, repositoryKey(org, name), &item)
	if err == nil && !found {
		err = repositoryNotFound(name)
	}
	return fromRepositoryItem(item), err
}

// ListRepositories lists the org's chart repositories by name.
func (s *Store) ListRepositories(ctx context.Context, org string, page Page) (repositories []repository.Repository, next string, err error) {
	return listAs(ctx, s, query{pk: orgPK(org), prefix: repositoryKey(org, page.NamePrefix).SK, newest: page.Sort.down()}, page, fromRepositoryItem)
}

// DeleteRepository forgets a chart repository that is at that version still. Charts that came from it stay.
func (s *Store) DeleteRepository(ctx context.Context, org, name string, expectedVersion int64) error {
	err := s.remove(ctx, repositoryKey(org, name), equal("Version", expectedVersion))
	if !conditionFailed(err) {
		return err
	}
	if _, err := s.FindRepository(ctx, org, name); err != nil {
		return err
	}
	return repositoryChanged(name)
}
