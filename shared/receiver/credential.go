package receiver

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/webhook"
)

// Credential is where a receiver is reached, and what is signed with. It prints as [redacted] everywhere; only Marshal gives it away.
type Credential struct {
	ID  string // the receiver's CredentialID: a URL is used with the receiver alone that it was given for, whoever changed what when
	URL string
	Key string // whsec_…, of a webhook
}

const redacted = "[redacted]"

// String hides it, as all the others do.
func (Credential) String() string { return redacted }

// GoString is %#v.
func (Credential) GoString() string { return redacted }

// Format covers every verb.
func (Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what slog prints.
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value: a credential inside another struct must not leak into a payload. Use Marshal.
func (Credential) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

type stored struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	Key string `json:"key,omitempty"`
}

// Marshal is the credential in clear, for Secrets Manager alone.
func (c Credential) Marshal() ([]byte, error) { return json.Marshal(stored(c)) }

// ReadCredential reads what Marshal wrote, and refuses a credential that is not the receiver's: it may be of the URL before.
func (r Receiver) ReadCredential(raw []byte) (Credential, error) {
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil || s.ID != r.CredentialID {
		return Credential{}, r.WithoutCredential()
	}
	return Credential(s), nil
}

// WithoutCredential says that a receiver's URL is not there: the change that should have kept it was cut short, or is under way.
func (r Receiver) WithoutCredential() *problem.Problem {
	return problem.Conflict("receiver-credential-missing", "the URL of receiver %s was not kept", r.Name).
		Try("give the receiver its URL again with PUT receivers/{receiver}")
}

// Validate refuses a credential that the receiver could not be told with. Whether its host may be reached is for the dialer to say.
func (c Credential) Validate(kind Kind) error {
	switch {
	case !kind.HasURL() && c.URL+c.Key != "":
		return problem.Invalid(codeInvalid, "a receiver of kind %s has no URL and no secret", kind).At("url").Try("leave both out; subscribe addresses to the installation's topic")
	case !kind.HasURL():
		return nil
	case kind != Webhook && c.Key != "":
		return problem.Invalid(codeInvalid, "nothing is signed for a receiver of kind %s", kind).At("secret").Try("leave it out: the URL is the secret")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || len(c.URL) > 2000 { // its text would quote the URL
		return problem.Invalid(codeInvalid, "the URL cannot be read, or has over 2000 characters").At("url").Try("give the URL whole, beginning with https://")
	}
	if kind == Webhook {
		if _, err := webhook.ParseKey(c.Key); err != nil {
			return problem.Invalid(codeInvalid, "a webhook needs the secret that its requests are signed with, and this is no key of Standard Webhooks").At("secret").
				Try(`give "whsec_" and the base64 of 24 to 64 random bytes; swell receiver create makes one`)
		}
	}
	return nil
}

// Host is the part of the URL that is shown.
func (c Credential) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Host
}
