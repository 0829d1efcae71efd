package secrets

import (
	"context"
	"errors"
	"fmt"

	"github.com/swell-sh/swell/shared/source"
)

// OfSource reads the secret of a source. One that is remembered is used while it is of this state of the record: after a rotation it is not.
func (s *Store) OfSource(ctx context.Context, src source.Source) (source.Secret, error) {
	name := source.SecretName(src.Org, src.Name)
	if remembered, ok := s.remembered(name); ok {
		if secret, err := src.ReadSecret(remembered.Reveal()); err == nil {
			return secret, nil
		}
	}
	raw, err := s.read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return source.Secret{}, src.WithoutSecret()
	}
	if err != nil {
		return source.Secret{}, fmt.Errorf("reading the secret of source %s: %w", src.Name, err)
	}
	secret, err := src.ReadSecret(raw.Reveal())
	if err == nil {
		s.remember(name, raw)
	}
	return secret, err
}
