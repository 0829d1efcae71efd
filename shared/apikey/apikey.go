// Package apikey says whose key a request bears.
package apikey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/secrets"
)

// remember is how long a key's owner is believed; a revoked key is refused after it.
const remember = time.Minute

// Verifier knows two sorts of keys: those in the table, by hash, and the one that the installation made, which is a secret.
type Verifier struct {
	Keys interface {
		FindKey(ctx context.Context, hash string) (dynamo.APIKey, error)
	}
	Secrets interface {
		Get(ctx context.Context, name string) (secrets.Secret, error)
	}
	InstallKey string // name of the secret with the installation's key, for the org "default"
	Now        func() time.Time
	Log        *slog.Logger

	mu    sync.Mutex
	known map[string]verified
}

type verified struct {
	principal openapi.Principal
	until     time.Time
}

// Open makes a Verifier of a function's own adapters.
func Open(store *dynamo.Store, keep *secrets.Store, installKey string, log *slog.Logger) *Verifier {
	return &Verifier{Keys: store, Secrets: keep, InstallKey: installKey, Now: time.Now, Log: log}
}

// Verify returns whose key token is.
func (v *Verifier) Verify(ctx context.Context, token string) (openapi.Principal, error) {
	sum := sha256.Sum256([]byte(token))
	hash := hex.EncodeToString(sum[:])
	v.mu.Lock()
	found, ok := v.known[hash]
	v.mu.Unlock()
	if ok && v.Now().Before(found.until) {
		return found.principal, nil
	}
	principal, err := v.lookUp(ctx, hash, token)
	if _, ok := problem.From(err); err != nil && !ok {
		v.Log.ErrorContext(ctx, "verifying a key", "error", err.Error())
	}
	if err != nil {
		return openapi.Principal{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil || len(v.known) > 1000 {
		v.known = map[string]verified{}
	}
	v.known[hash] = verified{principal, v.Now().Add(remember)}
	return principal, nil
}

func (v *Verifier) lookUp(ctx context.Context, hash, token string) (openapi.Principal, error) {
	install, err := v.Secrets.Get(ctx, v.InstallKey)
	if err != nil {
		return openapi.Principal{}, fmt.Errorf("reading the installation's key: %w", err)
	}
	if len(install.Reveal()) > 0 && subtle.ConstantTimeCompare(install.Reveal(), []byte(token)) == 1 {
		return openapi.Principal{Org: "default", Name: "installer", Role: "admin"}, nil
	}
	key, err := v.Keys.FindKey(ctx, hash)
	if p, ok := problem.From(err); ok && p.Status == http.StatusNotFound {
		return openapi.Principal{}, openapi.ErrUnauthenticated()
	}
	if err != nil {
		return openapi.Principal{}, fmt.Errorf("looking up a key: %w", err)
	}
	return openapi.Principal{Org: key.Org, Name: key.Principal, Role: key.Role}, nil
}
