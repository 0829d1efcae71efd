package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/webhook"
)

// ring is the keys of one relay. previous is none but while a rotation is under way.
type ring struct{ current, previous webhook.Key }

// keys reads the relay's keys, and makes one where there is none or another is asked for. They are kept before the cluster gets them, so that no report
// comes with a key that is not known. While a rotation is under way no other begins: the order may have come twice.
func (v visit) keys(ctx context.Context, rotate bool) (r ring, minted bool, err error) {
	name := relay.KeysName(v.cluster.Org, v.cluster.ID)
	secret, err := v.secrets.GetNow(ctx, name)
	switch {
	case errors.Is(err, secrets.ErrNotFound):
		rotate = true
	case err != nil:
		return r, false, err
	default:
		keys, err := relay.ParseKeys(secret.Reveal())
		if err != nil {
			return r, false, err
		}
		if r.current = keys[0]; len(keys) > 1 {
			r.previous = keys[1]
		}
	}
	if !rotate || !r.previous.IsZero() {
		return r, false, nil
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	r = ring{webhook.KeyOf(random), r.current}
	return r, true, v.secrets.Put(ctx, name, relay.FormatKeys(r.current, r.previous))
}

func (h handler) dropKeys(ctx context.Context, org, clusterID string) error {
	return h.secrets.Delete(ctx, relay.KeysName(org, clusterID))
}
