package idempotency_test

import (
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/idempotency"
	"github.com/swell-sh/swell/shared/problem"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		key string
		ok  bool
	}{
		"UUID":           {"5f1c8a52-7d0e-4a57-9a1c-2f6f6a1d0c11", true},
		"OneCharacter":   {"~", true},
		"TheLongest":     {strings.Repeat("k", 128), true},
		"None":           {"", false},
		"TooLong":        {strings.Repeat("k", 129), false},
		"ASpace":         {"a b", false},
		"ALineBreak":     {"a\nb", false},
		"NotASCII":       {"schlüssel", false},
		"DeleteTheASCII": {"a\x7f", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := idempotency.Validate(c.key); (err == nil) != c.ok || err != nil && !problem.Is(err, "idempotency-key-invalid") {
				t.Errorf("%q: %v", c.key, err)
			}
		})
	}
}

// What makes a request the same, and what tells two keys apart.
func TestNew(t *testing.T) {
	t.Parallel()
	a := idempotency.New("acme", "ann", "k", "1", "POST", "/x", `{"password":"hunter2"}`)
	cases := map[string]struct {
		other            idempotency.Claim
		sameID, samePart bool
	}{
		"TheSameAgain":     {idempotency.New("acme", "ann", "k", "2", "POST", "/x", `{"password":"hunter2"}`), true, true},
		"AnotherBody":      {idempotency.New("acme", "ann", "k", "2", "POST", "/x", `{"password":"hunter3"}`), true, false},
		"PartsMoved":       {idempotency.New("acme", "ann", "k", "2", "POST/", "x", `{"password":"hunter2"}`), true, false},
		"AnotherPrincipal": {idempotency.New("acme", "bob", "k", "2", "POST", "/x", `{"password":"hunter2"}`), false, true},
		"AnotherKey":       {idempotency.New("acme", "ann", "l", "2", "POST", "/x", `{"password":"hunter2"}`), false, false},
	}
	for name, c := range cases {
		if (c.other.ID == a.ID) != c.sameID || (c.other.Fingerprint == a.Fingerprint) != c.samePart {
			t.Errorf("%s: %+v is compared to %+v", name, c.other, a)
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	claim := idempotency.New("acme", "ann", "k", "2", "POST", "/x", "{}")
	held := idempotency.New("acme", "ann", "k", "1", "POST", "/x", "{}")
	if _, err := claim.Replay(held); !problem.Is(err, "idempotency-key-in-use") {
		t.Errorf("under way: %v", err)
	}
	held.Answer = &idempotency.Answer{Status: 202}
	if answer, err := claim.Replay(held); err != nil || answer.Status != 202 {
		t.Errorf("answered: %v, %v", answer, err)
	}
	held.Fingerprint = "another"
	if _, err := claim.Replay(held); !problem.Is(err, "idempotency-key-reused") {
		t.Errorf("another request: %v", err)
	}
}
