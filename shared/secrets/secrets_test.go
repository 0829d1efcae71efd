//go:build stack

package secrets_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/secrets"
)

func TestStore(t *testing.T) {
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	client := secretsmanager.NewFromConfig(cfg)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	here := secrets.New(client, func() time.Time { return now })
	elsewhere := secrets.New(client, time.Now)
	name := "swell/test/cluster/" + id.New()
	get := func() string {
		t.Helper()
		s, err := here.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Reveal())
	}
	put := func(s *secrets.Store, text string) {
		t.Helper()
		if err := s.Put(t.Context(), name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	if _, err := here.Get(t.Context(), name); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("reading what is not there: %v", err)
	}
	put(here, "one")
	want(get(), "one")
	put(elsewhere, "two")
	want(get(), "one") // remembered
	replaced, err := here.Get(t.Context(), name+"#2")
	if err != nil {
		t.Fatal(err)
	}
	want(string(replaced.Reveal()), "two")
	now = now.Add(5 * time.Minute)
	want(get(), "two")
	put(here, "three")
	want(get(), "three") // what was put here is not read from memory

	for range 2 { // gone already is a success
		if err := here.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := here.Get(t.Context(), name); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("reading what was deleted: %v", err)
	}
	put(here, "again") // the name is free at once
	want(get(), "again")
	if err := here.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}
