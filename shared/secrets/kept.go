package secrets

import (
	"context"
	"errors"

	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/repository"
	"github.com/swell-sh/swell/shared/source"
)

// OfReceiver reads where a receiver is reached.
func (s *Store) OfReceiver(ctx context.Context, r receiver.Receiver) (c receiver.Credential, err error) {
	if r.CredentialID == "" {
		return c, nil
	}
	return of(ctx, s, receiver.SecretName(r.Org, r.Name), r.ReadCredential, r.WithoutCredential)
}

// OfRepository reads what a repository is read with.
func (s *Store) OfRepository(ctx context.Context, r repository.Repository) (c repository.Credential, err error) {
	if r.CredentialID == "" {
		return c, nil
	}
	return of(ctx, s, repository.SecretName(r.Org, r.Name), r.ReadCredential, r.WithoutCredential)
}

// OfSource reads the secret of a source.
func (s *Store) OfSource(ctx context.Context, src source.Source) (source.Secret, error) {
	return of(ctx, s, source.SecretName(src.Org, src.Name), src.ReadSecret, src.WithoutSecret)
}

// of reads the secret that belongs to a record. One that is remembered serves as long as it is of this state of the record, which read says: what was
// replaced is not used again.
func of[T any, P error](ctx context.Context, s *Store, name string, read func([]byte) (T, error), without func() P) (none T, err error) {
	if remembered, ok := s.remembered(name); ok {
		if secret, err := read(remembered.Reveal()); err == nil {
			return secret, nil
		}
	}
	raw, err := s.read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return none, without()
	}
	if err != nil {
		return none, err
	}
	secret, err := read(raw.Reveal())
	if err == nil {
		s.remember(name, raw)
	}
	return secret, err
}
