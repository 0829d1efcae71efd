// Package webhook signs and verifies requests the way of Standard Webhooks (standardwebhooks.com): an HMAC-SHA256 over the delivery's id, its
// time and the raw bytes of its body, in three headers.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed request.
const (
	HeaderID        = "Webhook-Id"        // of the delivery: the same each time it is sent
	HeaderTimestamp = "Webhook-Timestamp" // when it was signed, in Unix seconds
	HeaderSignature = "Webhook-Signature" // "v1,<base64>", several separated by a space while a key rotates
)

// Tolerance is how far the sender's clock and ours may be apart, and so how long a delivery can be replayed.
const Tolerance = 5 * time.Minute

// Why a request is not taken. All may be told to the sender: none depends on how near a wrong signature came.
var (
	ErrUnsigned = errors.New("the headers " + HeaderID + ", " + HeaderTimestamp + " and " + HeaderSignature + " are not all there and well-formed")
	ErrTooOld   = errors.New("the delivery was signed more than five minutes ago")
	ErrTooNew   = errors.New("the delivery was signed more than five minutes in the future")
	ErrMismatch = errors.New("no signature is that of a key in use over these bytes")
)

// Message is what the headers of a verified delivery say.
type Message struct {
	ID string
	At time.Time // to the second
}

const (
	version   = "v1,"
	maxID     = 256
	maxDigits = 12 // of Unix seconds
	maxSigned = 16 // signatures that are looked at
)

// Sign sets the headers: one signature for each key, the newest first.
func Sign(header http.Header, m Message, body []byte, keys ...Key) {
	timestamp := strconv.FormatInt(m.At.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = version + base64.StdEncoding.EncodeToString(key.sign(m.ID, timestamp, body))
	}
	header.Set(HeaderID, m.ID)
	header.Set(HeaderTimestamp, timestamp)
	header.Set(HeaderSignature, strings.Join(signatures, " "))
}

// Verify says whether one of the keys signed these very bytes within Tolerance of now. It must be asked before anything of the body is believed or
// parsed. The work is one pass over the body for each key, whatever the headers hold. That a delivery came before is for the caller to know, by its id.
func Verify(header http.Header, body []byte, now time.Time, keys ...Key) (Message, error) {
	m, timestamp, signatures, err := parse(header)
	if err != nil {
		return Message{}, err
	}
	switch age := now.Sub(m.At); {
	case age > Tolerance:
		return Message{}, ErrTooOld
	case age < -Tolerance:
		return Message{}, ErrTooNew
	}
	valid := false
	for _, key := range keys {
		want := key.sign(m.ID, timestamp, body)
		for _, got := range signatures {
			valid = hmac.Equal(want, got) || valid
		}
	}
	if !valid {
		return Message{}, ErrMismatch
	}
	return m, nil
}

// parse reads the headers. An id with a dot could move the borders of what is signed, so that it is none.
func parse(header http.Header) (m Message, timestamp string, signatures [][]byte, err error) {
	id, timestamp, list := one(header, HeaderID), one(header, HeaderTimestamp), one(header, HeaderSignature)
	seconds, parseErr := strconv.ParseInt(timestamp, 10, 64)
	if !ValidID(id) || parseErr != nil || len(timestamp) > maxDigits || timestamp[0] < '0' || timestamp[0] > '9' {
		return m, "", nil, ErrUnsigned
	}
	for signature := range strings.FieldsSeq(list) {
		encoded, ok := strings.CutPrefix(signature, version)
		if !ok { // of another version, which may come to be
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err == nil && len(raw) == sha256.Size && len(signatures) < maxSigned {
			signatures = append(signatures, raw)
		}
	}
	if len(signatures) == 0 {
		return m, "", nil, ErrUnsigned
	}
	return Message{ID: id, At: time.Unix(seconds, 0).UTC()}, timestamp, signatures, nil
}

// ValidID says whether a delivery may be called so: up to 256 visible ASCII characters, none of them a dot.
func ValidID(id string) bool {
	other := func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, other) < 0
}

// one is the header's value, if it was sent once.
func one(header http.Header, name string) string {
	if values := header[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// Key is the secret that both sides share. It prints as [redacted].
type Key struct{ secret []byte }

const (
	keyPrefix = "whsec_"
	minKey    = 24 // bytes, as the specification has it
	maxKey    = 64
)

// ParseKey reads a key as it is written: "whsec_" and the base64 of 24 to 64 bytes.
func ParseKey(text string) (Key, error) {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < minKey || len(secret) > maxKey {
		return Key{}, fmt.Errorf("reading a webhook key: it is not %q with the base64 of %d to %d bytes", keyPrefix, minKey, maxKey)
	}
	return Key{secret}, nil
}

// KeyOf makes a key of random bytes: 24 to 64 of them.
func KeyOf(secret []byte) Key { return Key{slices.Clone(secret)} }

// IsZero says that it is no key.
func (k Key) IsZero() bool { return len(k.secret) == 0 }

// Text is the key as ParseKey reads it. Only who keeps it in Secrets Manager, or shows it once, asks.
func (k Key) Text() string { return keyPrefix + base64.StdEncoding.EncodeToString(k.secret) }

// Name tells keys apart, and tells nothing of the key.
func (k Key) Name() string {
	sum := sha256.Sum256(append([]byte("name of "), k.secret...))
	return hex.EncodeToString(sum[:6])
}

// Format implements fmt.Formatter, for every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalText implements encoding.TextMarshaler, so that no JSON and no log holds a key by accident.
func (Key) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

func (k Key) sign(id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
