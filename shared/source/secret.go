package source

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/webhook"
)

// Secret is all of a source that must not be seen. It prints as [redacted] everywhere; only Marshal gives it away.
type Secret struct {
	ID         string    // the source's SecretID
	Hook       string    // what the host signs with, or sends
	Older      string    // the one before, for as long as the host may still use it
	OlderUntil time.Time // a day after the rotation

	Username, Token string // what the repository is read with, and commented with
	CA              string // PEM, in place of the public authorities; empty: those
	Key             string // of the HTTP API, with the role deployer
}

// rotationTime is how long the secret before stays good.
const rotationTime = 24 * time.Hour

const (
	redacted  = "[redacted]"
	minSecret = 16
	maxSecret = 256
	maxToken  = 4 << 10
	maxCA     = 16 << 10
)

// String hides it, as all the others do.
func (Secret) String() string { return redacted }

// GoString is %#v.
func (Secret) GoString() string { return redacted }

// Format covers every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what slog prints.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value: a secret inside another struct must not leak into a payload. Use Marshal.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

type stored struct {
	ID         string    `json:"id"`
	Hook       string    `json:"hook"`
	Older      string    `json:"older,omitempty"`
	OlderUntil time.Time `json:"olderUntil,omitzero"`
	Username   string    `json:"username,omitempty"`
	Token      string    `json:"token,omitempty"`
	CA         string    `json:"ca,omitempty"`
	Key        string    `json:"key"`
}

// Marshal is the secret in clear, for Secrets Manager alone.
func (s Secret) Marshal() ([]byte, error) {
	return json.Marshal(stored(s))
}

// ReadSecret reads what Marshal wrote, and refuses one that is not of this state of the source.
func (s Source) ReadSecret(raw []byte) (Secret, error) {
	var kept stored
	if err := json.Unmarshal(raw, &kept); err != nil || kept.ID != s.SecretID || kept.Hook == "" {
		return Secret{}, s.WithoutSecret()
	}
	return Secret(kept), nil
}

// WithoutSecret says that the source's secret is not there: the change that should have kept it was cut short, or is under way.
func (s Source) WithoutSecret() *problem.Problem {
	return problem.Conflict("source-secret-missing", "the secret of source %s was not kept", s.Name).
		Try("give it a secret and its credentials again: POST …/sources/%s/rotate, then PUT", s.Name)
}

// TLS is how the source's host is asked; nil is as any other.
func (s Secret) TLS() (*tls.Config, error) {
	if s.CA == "" {
		return nil, nil
	}
	authorities := x509.NewCertPool()
	if len(s.CA) > maxCA || !authorities.AppendCertsFromPEM([]byte(s.CA)) {
		return nil, invalid("ca", "it is no PEM of certificates, or over %d KiB", maxCA>>10).Try("give the PEM itself, not the path of a file")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}, nil
}

// Rotate puts a new hook secret before the one that is there, which stays good for a day.
func (s Secret) Rotate(hook string, at time.Time) Secret {
	if s.Hook != "" && s.Hook != hook {
		s.Older, s.OlderUntil = s.Hook, at.Add(rotationTime)
	}
	s.Hook = hook
	return s
}

// Hooks are the secrets that a delivery may be signed with now, the newest first.
func (s Secret) Hooks(now time.Time) []string {
	if s.Older != "" && now.Before(s.OlderUntil) {
		return []string{s.Hook, s.Older}
	}
	return []string{s.Hook}
}

// ValidateHook refuses a secret that is none, or that the kind's signature cannot use.
func ValidateHook(k Kind, secret string) error {
	visible := !strings.ContainsFunc(secret, func(c rune) bool { return c <= ' ' || c > '~' })
	if len(secret) < minSecret || len(secret) > maxSecret || !visible {
		return invalid("secret", "the secret is not %d to %d visible ASCII characters", minSecret, maxSecret).Try("use a random one: openssl rand -base64 32")
	}
	if k == Generic {
		if _, err := webhook.ParseKey(secret); err != nil {
			return invalid("secret", "the secret is no key of Standard Webhooks").Try(`give "whsec_" with the base64 of 24 to 64 random bytes`)
		}
	}
	return nil
}

// ValidateCredential refuses a credential that would be sent in the clear, or that is no header's value.
func (s Source) ValidateCredential(username, token string) error {
	plain := func(text string) bool {
		return len(text) <= maxToken && !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
	}
	switch {
	case username+token == "":
		return nil
	case token == "":
		return invalid("token", "there is a user name, but no token")
	case !strings.HasPrefix(s.URL, "https://"):
		return invalid("url", "credentials would be sent in the clear to an http URL").Try("use https")
	case s.APIURL != "" && !strings.HasPrefix(s.APIURL, "https://"):
		return invalid("apiUrl", "credentials would be sent in the clear to an http URL").Try("use https")
	case !plain(username) || strings.Contains(username, ":"):
		return invalid("username", "the user name has a colon or a control character, or is too long")
	case !plain(token):
		return invalid("token", "the token has a control character, or is too long").Try("a line's end may have come with it")
	}
	return nil
}
