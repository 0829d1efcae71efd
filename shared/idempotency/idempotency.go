// Package idempotency is what becomes of a request that is sent again under the same key: it is answered again, and done once.
package idempotency

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

// Header is where a request has its key.
const Header = "Idempotency-Key"

const (
	// Lease is for how long an attempt has its key to itself: longer than a function that answers HTTP may run, which is 29 s. After it
	// the attempt is dead, and the request may be tried again.
	Lease = time.Minute
	// Keep is for how long an answer is given again.
	Keep = 24 * time.Hour
)

// Claim is the record of a key.
type Claim struct {
	Org         string
	ID          string    // a hash of principal and key
	Fingerprint string    // of the request, under the key: nobody who reads it can try out what a secret body was
	Attempt     string    // who has the key
	Answer      *Answer   // nil while the attempt is under way
	ExpiresAt   time.Time // from then on it is as if it had never been
}

// Answer is what a request was answered.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// New makes the claim of a request: parts are all that makes it the same request.
func New(org, principal, key, attempt string, parts ...string) Claim {
	id := sha256.Sum256([]byte(principal + "\x00" + key))
	mac := hmac.New(sha256.New, []byte(key))
	for _, part := range parts {
		sum := sha256.Sum256([]byte(part))
		_, _ = mac.Write(sum[:]) // it never fails
	}
	return Claim{Org: org, ID: hex.EncodeToString(id[:]), Fingerprint: hex.EncodeToString(mac.Sum(nil)), Attempt: attempt}
}

// Replay is what c's request is answered where another has the key: that one's answer, if it was the same request and has one.
func (c Claim) Replay(held Claim) (Answer, error) {
	if held.Fingerprint != c.Fingerprint {
		return Answer{}, problem.Invalid("idempotency-key-reused", "the key was used with another request").At(Header).
			Try("make a new key for each new request")
	}
	if held.Answer == nil {
		return Answer{}, problem.Conflict("idempotency-key-in-use", "the first request with this key is under way").At(Header).
			Try("send it again after the seconds that Retry-After says")
	}
	return *held.Answer, nil
}

// Validate finds what is wrong with a key.
func Validate(key string) error {
	invalid := problem.Malformed("idempotency-key-invalid", "the key is not 1 to 128 visible ASCII characters").At(Header).Try("use a random UUID")
	if key == "" || len(key) > 128 {
		return invalid
	}
	for _, c := range []byte(key) {
		if c < '!' || c > '~' {
			return invalid
		}
	}
	return nil
}
