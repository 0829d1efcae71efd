// Package secrets keeps credentials in Secrets Manager.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// API is what is called of Secrets Manager: *secretsmanager.Client.
type API interface {
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	DeleteSecret(context.Context, *secretsmanager.DeleteSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error)
}

var _ API = (*secretsmanager.Client)(nil)

// ErrNotFound is that there is no secret of the name: whoever needs it cannot go on, and trying again does not help.
var ErrNotFound = errors.New("there is no such secret")

const (
	cachedFor = 5 * time.Minute // how long a secret that was replaced elsewhere may still be used here
	cachedMax = 200
)

// Store reads and writes secrets. What it read it remembers for five minutes, so that a warm function does not pay for each read.
type Store struct {
	api API
	now func() time.Time

	mu    sync.Mutex
	cache map[string]cached
}

type cached struct {
	secret Secret
	until  time.Time
}

// New makes a Store.
func New(api API, now func() time.Time) *Store {
	return &Store{api: api, now: now, cache: map[string]cached{}}
}

// Open makes a Store of a configuration.
func Open(cfg aws.Config) *Store { return New(secretsmanager.NewFromConfig(cfg), time.Now) }

// Put keeps a secret under the name, in place of one that is there.
func (s *Store) Put(ctx context.Context, name string, secret []byte) error {
	s.forget(name)
	_, err := s.api.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(string(secret))})
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) {
		_, err = s.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: aws.String(string(secret))})
	}
	if err != nil {
		return fmt.Errorf("keeping secret %s: %w", name, err)
	}
	return nil
}

// Get reads the secret of that name or ARN. What stands behind a '#' belongs to no name: it tells a secret that replaced another from that one, which
// may still be remembered.
func (s *Store) Get(ctx context.Context, name string) (Secret, error) {
	if secret, ok := s.remembered(name); ok {
		return secret, nil
	}
	secret, err := s.read(ctx, name)
	if err == nil {
		s.remember(name, secret)
	}
	return secret, err
}

// GetNow reads the secret as it is now, whatever is remembered of it.
func (s *Store) GetNow(ctx context.Context, name string) (Secret, error) {
	s.forget(name)
	return s.Get(ctx, name)
}

func (s *Store) read(ctx context.Context, name string) (Secret, error) {
	name, _, _ = strings.Cut(name, "#")
	out, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if missing(err) {
		return Secret{}, fmt.Errorf("reading secret %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret %s: %w", name, err)
	}
	secret := Secret{[]byte(aws.ToString(out.SecretString))}
	if out.SecretString == nil {
		secret = Secret{out.SecretBinary}
	}
	return secret, nil
}

// Delete destroys the secret of that name, at once and for good. Gone already is a success.
func (s *Store) Delete(ctx context.Context, name string) error {
	s.forget(name)
	_, err := s.api.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	if err != nil && !missing(err) {
		return fmt.Errorf("deleting secret %s: %w", name, err)
	}
	return nil
}

func missing(err error) bool {
	var notFound *types.ResourceNotFoundException
	return errors.As(err, &notFound)
}

func (s *Store) remembered(name string) (Secret, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cache[name]
	return c.secret, ok && s.now().Before(c.until)
}

func (s *Store) remember(name string, secret Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache) >= cachedMax {
		clear(s.cache)
	}
	s.cache[name] = cached{secret, s.now().Add(cachedFor)}
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, name)
}
