package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Credential is how one cluster is reached: exactly what Swell takes over from a kubeconfig, and nothing that could run a
// program, read a file or skip a check. It prints as [redacted] everywhere; only Marshal gives it away.
type Credential struct {
	Server         string // https://host[:port][/path]
	CAData         []byte // PEM; empty means the system's roots
	ClientCertData []byte // PEM
	ClientKeyData  []byte // PEM
	Token          string
	Username       string
	Password       string
	TLSServerName  string
}

const redacted = "[redacted]"

// String, GoString, Format, LogValue, MarshalJSON and MarshalText all hide the whole value: even the server's name is the
// user's business, and one rule is easier to trust than a list of fields.
func (Credential) String() string { return redacted }

// GoString is %#v.
func (Credential) GoString() string { return redacted }

// Format covers every verb, %+v and %x among them.
func (Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is what slog prints.
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value: a credential inside another struct must not leak into a payload. Use Marshal.
func (Credential) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText is what encoders other than JSON use.
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// stored is the form kept in Secrets Manager.
type stored struct {
	Server         string `json:"server"`
	CAData         []byte `json:"caData,omitempty"`
	ClientCertData []byte `json:"clientCertData,omitempty"`
	ClientKeyData  []byte `json:"clientKeyData,omitempty"`
	Token          string `json:"token,omitempty"`
	Username       string `json:"username,omitempty"`
	Password       string `json:"password,omitempty"`
	TLSServerName  string `json:"tlsServerName,omitempty"`
}

// Marshal is the credential in clear, for Secrets Manager and for the pipe to a child process alone.
func (c Credential) Marshal() ([]byte, error) {
	raw, err := json.Marshal(stored(c)) //nolint:gosec // giving the password away is what Marshal is for
	if err != nil {
		return nil, fmt.Errorf("encoding a cluster credential: %w", err)
	}
	return raw, nil
}

// UnmarshalCredential reads what Marshal wrote. Its error never quotes the input.
func UnmarshalCredential(raw []byte) (Credential, error) {
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil {
		return Credential{}, fmt.Errorf("decoding a cluster credential: %T", err)
	}
	return Credential(s), nil
}
