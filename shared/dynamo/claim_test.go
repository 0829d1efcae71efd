//go:build stack

package dynamo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/idempotency"
)

func TestClaimKey(t *testing.T) {
	now := noon
	s := newStoreAt(t, func() time.Time { return now })
	ctx := t.Context()
	first := idempotency.New(orgA, "ann", "k", "1", "POST", "/x", "body")
	first.ExpiresAt = noon.Add(idempotency.Lease).Truncate(time.Second)
	second := first
	second.Attempt = "2"

	claim := func(c idempotency.Claim, want idempotency.Claim, wantOurs bool) {
		t.Helper()
		held, ours, err := s.ClaimKey(ctx, c)
		must(t, err)
		if ours != wantOurs {
			t.Errorf("at %s attempt %s has the key: %t", now, c.Attempt, ours)
		}
		wantEqual(t, held, want)
	}
	claim(first, first, true)
	claim(second, first, false) // the first is under way
	other := idempotency.New(orgB, "ann", "k", "1", "POST", "/x", "body")
	other.ExpiresAt = first.ExpiresAt
	claim(other, other, true)

	first.Answer = &idempotency.Answer{Status: 202, Header: map[string]string{"Location": "/runs/1"}, Body: []byte(strings.Repeat(`{"run":"1"}`, 50000))}
	first.ExpiresAt = noon.Add(idempotency.Keep).Truncate(time.Second)
	must(t, s.SettleKey(ctx, first))
	claim(second, first, false)

	now = noon.Add(idempotency.Keep + time.Second) // it has expired, whether the TTL took it away or not
	second.ExpiresAt = now.Add(idempotency.Lease).Truncate(time.Second)
	claim(second, second, true)
	must(t, s.SettleKey(ctx, first)) // too late: it is another's
	claim(first, second, false)

	second.ExpiresAt = time.Time{} // a refusal frees it
	must(t, s.SettleKey(ctx, second))
	third := second
	third.Attempt, third.ExpiresAt = "3", now.Add(idempotency.Lease).Truncate(time.Second)
	claim(third, third, true)
}

// Of many at once one has the key.
func TestAKeyHasOneAttempt(t *testing.T) {
	s := newStore(t)
	winners := make(chan bool, 20)
	_, errs := race(cap(winners), func(i int) error {
		c := idempotency.New(orgA, "ann", "k", numbered("attempt", 20)[i], "POST")
		c.ExpiresAt = noon.Add(time.Minute)
		_, ours, err := s.ClaimKey(t.Context(), c)
		winners <- ours
		return err
	})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	won := 0
	for range cap(winners) {
		if <-winners {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d attempts have the key", won)
	}
}
