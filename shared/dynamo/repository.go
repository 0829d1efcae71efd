package dynamo

import (
	"context"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

type repositoryItem struct {
	head
	Org, Name, URL string
	CreatedAt      stamp
	CreatedBy      string
}

func fromRepositoryItem(i repositoryItem) repository.Repository {
	return repository.Repository{Org: i.Org, Name: i.Name, URL: i.URL, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy}
}

func repositoryNotFound(name string) *problem.Problem {
	return problem.NotFound("repository-not-found", "there is no chart repository %q", name).Try("list the repositories, or add it")
}

// CreateRepository keeps a chart repository under a name that is new in the org.
func (s *Store) CreateRepository(ctx context.Context, r repository.Repository) error {
	err := s.put(ctx, repositoryItem{head: headOf(repositoryKey(r.Org, r.Name)), Org: r.Org, Name: r.Name, URL: r.URL,
		CreatedAt: stamp{r.CreatedAt}, CreatedBy: r.CreatedBy}, absent())
	if conditionFailed(err) {
		return problem.Conflict("repository-name-taken", "a chart repository named %q exists already", r.Name).At("name").Try("choose another name")
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

// DeleteRepository forgets a chart repository. Charts that came from it stay.
func (s *Store) DeleteRepository(ctx context.Context, org, name string) error {
	err := s.remove(ctx, repositoryKey(org, name), exists())
	if conditionFailed(err) {
		return repositoryNotFound(name)
	}
	return err
}
