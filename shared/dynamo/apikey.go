package dynamo

import (
	"context"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// APIKey is who a key stands for. The key itself is kept nowhere here, only its hash.
type APIKey struct {
	Org       string
	Principal string
	Role      string
	CreatedAt time.Time
}

type apiKeyItem struct {
	head
	Org, Principal, Role string
	CreatedAt            stamp
}

// FindKey finds whom the key of that hash stands for.
func (s *Store) FindKey(ctx context.Context, hash string) (APIKey, error) {
	var item apiKeyItem
	found, err := s.get(ctx, apiKeyKey(hash), &item)
	if err == nil && !found {
		err = problem.NotFound("key-not-found", "there is no such API key")
	}
	return APIKey{Org: item.Org, Principal: item.Principal, Role: item.Role, CreatedAt: item.CreatedAt.Time}, err
}

// PutKey keeps whom the key of that hash stands for.
func (s *Store) PutKey(ctx context.Context, hash string, k APIKey) error {
	return s.put(ctx, apiKeyItem{head: headOf(apiKeyKey(hash)), Org: k.Org, Principal: k.Principal, Role: k.Role, CreatedAt: stamp{k.CreatedAt}}, always)
}

// DeleteKey revokes the key of that hash. Gone already is a success.
func (s *Store) DeleteKey(ctx context.Context, hash string) error {
	return s.remove(ctx, apiKeyKey(hash), absent().Or(exists()))
}
