package secrets

import (
	"fmt"
	"log/slog"
)

// Secret is what must not be printed. However it is formatted, logged or encoded, it says [redacted].
type Secret struct{ bytes []byte }

const redacted = "[redacted]"

// Of makes a Secret.
func Of(b []byte) Secret { return Secret{b} }

// Reveal returns the secret itself, for the one who needs it.
func (s Secret) Reveal() []byte { return s.bytes }

// String hides it.
func (s Secret) String() string { return redacted }

// GoString hides it from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides it from every other verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides it from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides it from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
