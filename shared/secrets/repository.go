package secrets

import (
	"context"
	"errors"
	"fmt"

	"github.com/swell-sh/swell/shared/repository"
)

// OfRepository reads what a repository is read with. It is not remembered: a credential that was replaced is not used again.
func (s *Store) OfRepository(ctx context.Context, r repository.Repository) (repository.Credential, error) {
	if r.CredentialID == "" {
		return repository.Credential{}, nil
	}
	secret, err := s.read(ctx, repository.SecretName(r.Org, r.Name))
	if errors.Is(err, ErrNotFound) {
		return repository.Credential{}, r.WithoutCredential()
	}
	if err != nil {
		return repository.Credential{}, fmt.Errorf("reading the credential of repository %s: %w", r.Name, err)
	}
	return r.ReadCredential(secret.Reveal())
}
