package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/webhook"
)

// How long keys are believed, how often at most a secret is read anew since a signature does not fit, and how many names without a secret are looked
// for in a minute: forgeries must not cost a call to Secrets Manager each. Above that a name is looked for if there is such a cluster, which costs a cheap
// read of the table: made-up names do not keep a relay out.
const (
	keysFor    = time.Minute
	readAgain  = 5 * time.Second
	maxUnknown = 100
	maxKnown   = 10_000
)

type reader interface {
	GetNow(ctx context.Context, name string) (secrets.Secret, error)
}

type clusters interface {
	HasCluster(ctx context.Context, org, id string) (bool, error)
}

// keyring remembers the keys of relays.
type keyring struct {
	secrets  reader
	clusters clusters
	now      func() time.Time

	mu      sync.Mutex
	known   map[string]ring // by the name of the secret
	unknown int             // names looked for in vain since
	since   time.Time       //
}

// ring is the keys of one relay, or none, as they were read.
type ring struct {
	keys   []webhook.Key
	readAt time.Time
}

func newKeyring(secrets reader, clusters clusters, now func() time.Time) *keyring {
	return &keyring{secrets: secrets, clusters: clusters, now: now, known: map[string]ring{}}
}

// verify says whether the body is signed with a key of the cluster's relay. A signature that does not fit may be of a key that is newer than what is
// remembered.
func (k *keyring) verify(ctx context.Context, org, cluster string, header http.Header, body []byte) error {
	if _, err := webhook.Verify(header, body, k.now()); !errors.Is(err, webhook.ErrMismatch) {
		return err // whatever the key is
	}
	for _, age := range []time.Duration{keysFor, readAgain} {
		keys, err := k.get(ctx, org, cluster, age)
		if err != nil {
			return err
		}
		if _, err := webhook.Verify(header, body, k.now(), keys...); !errors.Is(err, webhook.ErrMismatch) {
			return err
		}
	}
	return webhook.ErrMismatch
}

// get returns keys that were read no longer ago than age.
func (k *keyring) get(ctx context.Context, org, cluster string, age time.Duration) ([]webhook.Key, error) {
	now, name := k.now(), relay.KeysName(org, cluster)
	k.mu.Lock()
	r, ok := k.known[name]
	if now.Sub(k.since) > time.Minute {
		k.since, k.unknown = now, 0
	}
	tooMany := k.unknown >= maxUnknown
	k.mu.Unlock()
	if ok && now.Sub(r.readAt) < age {
		return r.keys, nil
	}
	if len(r.keys) == 0 && tooMany {
		there, err := k.clusters.HasCluster(ctx, org, cluster)
		if err != nil {
			return nil, fmt.Errorf("reading the keys of %s: %w", name, err)
		}
		if !there {
			return nil, fmt.Errorf("reading the keys of %s: too many that do not exist were asked for: %w", name, errBusy)
		}
	}
	secret, err := k.secrets.GetNow(ctx, name)
	if err != nil && !errors.Is(err, secrets.ErrNotFound) {
		return nil, err
	}
	r = ring{readAt: now}
	if err == nil {
		if r.keys, err = relay.ParseKeys(secret.Reveal()); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(r.keys) == 0 {
		k.unknown++
	}
	if len(k.known) >= maxKnown {
		clear(k.known)
	}
	k.known[name] = r
	return r.keys, nil
}
