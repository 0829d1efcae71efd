package secrets

import (
	"context"
	"errors"
	"fmt"

	"github.com/swell-sh/swell/shared/receiver"
)

// OfReceiver reads where a receiver is reached. What is remembered serves as long as it is the receiver's: its id says so.
func (s *Store) OfReceiver(ctx context.Context, r receiver.Receiver) (receiver.Credential, error) {
	if r.CredentialID == "" {
		return receiver.Credential{}, nil
	}
	name := receiver.SecretName(r.Org, r.Name)
	if secret, ok := s.remembered(name); ok {
		if c, err := r.ReadCredential(secret.Reveal()); err == nil {
			return c, nil
		}
	}
	secret, err := s.read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return receiver.Credential{}, r.WithoutCredential()
	}
	if err != nil {
		return receiver.Credential{}, fmt.Errorf("reading the URL of receiver %s: %w", r.Name, err)
	}
	s.remember(name, secret)
	return r.ReadCredential(secret.Reveal())
}
