package repository

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/swell-sh/swell/shared/problem"
)

// Credential is what a repository is read with. It prints as [redacted] everywhere; only Marshal gives it away.
type Credential struct {
	// ID is the repository's CredentialID: a credential is used with the URL alone that it was given for, whoever changed what when.
	ID       string
	Username string
	Password string

	// PEM, each empty or whole. A CA replaces the system's roots; certificate and key are the client's.
	CA, Certificate, Key string
}

const (
	redacted = "[redacted]"
	maxText  = 4 << 10
	maxPEM   = 16 << 10 // of each; Secrets Manager keeps 64 KiB
)

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
	ID          string `json:"id"`
	Username    string `json:"username,omitempty"`
	Password    string `json:"password,omitempty"`
	CA          string `json:"ca,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

// Marshal is the credential in clear, for Secrets Manager alone.
func (c Credential) Marshal() ([]byte, error) {
	return json.Marshal(stored(c)) //nolint:gosec // giving the password away is what Marshal is for
}

// ReadCredential reads what Marshal wrote, and refuses a credential that is not the repository's: it may be of the URL before.
func (r Repository) ReadCredential(raw []byte) (Credential, error) {
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil || s.ID != r.CredentialID {
		return Credential{}, r.WithoutCredential()
	}
	return Credential(s), nil
}

// WithoutCredential says that a repository's credential is not there: the change that should have kept it was cut short, or is under way.
func (r Repository) WithoutCredential() *problem.Problem {
	return problem.Conflict("repository-credential-missing", "the credential of repository %s was not kept", r.Name).
		Try("give the repository its credentials again with PUT helm/repos/{repo}")
}

// HasTLS says whether it holds more than the system's roots.
func (c Credential) HasTLS() bool { return c.CA+c.Certificate+c.Key != "" }

// Empty says that there is nothing in it.
func (c Credential) Empty() bool { return c.Username+c.Password == "" && !c.HasTLS() }

// Validate refuses a credential that could not be used with the repository.
func (c Credential) Validate(r Repository) error {
	switch {
	case c.Empty():
		return nil
	case r.Authority() == "":
		return problem.Invalid(codeInvalid, "credentials would be sent in the clear to an http URL").At("url").Try("use https")
	case c.Username == "" && c.Password != "":
		return problem.Invalid(codeInvalid, "there is a password, but no user name").At("username").Try("give both; a registry's token goes with the user name that its maker says")
	case c.Username != "" && c.Password == "":
		return problem.Invalid(codeInvalid, "there is a user name, but no password").At("password").Try("give both, or none")
	case strings.Contains(c.Username, ":") || !plain(c.Username):
		return problem.Invalid(codeInvalid, "the user name has a colon or a control character, or is too long").At("username")
	case !plain(c.Password):
		return problem.Invalid(codeInvalid, "the password has a control character, or is too long").At("password").Try("a line's end may have come with it")
	}
	_, err := c.TLS()
	return err
}

func plain(text string) bool {
	return len(text) <= maxText && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// TLS is how the repository's host is asked.
func (c Credential) TLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		config.RootCAs = x509.NewCertPool()
		authorities, err := certificates(c.CA)
		if err != nil {
			return nil, tlsProblem("ca", err)
		}
		for _, authority := range authorities {
			config.RootCAs.AddCert(authority)
		}
	}
	switch {
	case c.Certificate == "" && c.Key == "":
		return config, nil
	case c.Certificate == "":
		return nil, problem.Invalid(codeInvalid, "there is a key, but no certificate").At("tls.certificate").Try("give both, or none")
	case c.Key == "":
		return nil, problem.Invalid(codeInvalid, "there is a certificate, but no key").At("tls.key").Try("give both, or none")
	}
	if _, err := certificates(c.Certificate); err != nil {
		return nil, tlsProblem("certificate", err)
	}
	if block, rest := pem.Decode([]byte(c.Key)); block == nil || len(c.Key) > maxPEM || !strings.HasSuffix(block.Type, "PRIVATE KEY") || strings.TrimSpace(string(rest)) != "" {
		return nil, tlsProblem("key", errors.New("it is not one private key"))
	}
	pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key))
	if err != nil { // its text may quote the key
		return nil, tlsProblem("key", errors.New("it is encrypted, or not the certificate's"))
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// certificates reads PEM strictly: nothing but certificates, each of which can be read. A path to a file is none.
func certificates(text string) (found []*x509.Certificate, err error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("it is over %d KiB", maxPEM>>10)
	}
	for rest := bytes.TrimSpace([]byte(text)); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		begins := bytes.HasPrefix(rest, []byte("-----BEGIN "))
		if block, rest = pem.Decode(rest); !begins || block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("it has something that is no certificate")
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it cannot be read", len(found)+1)
		}
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, errors.New("it is empty")
	}
	return found, nil
}

func tlsProblem(field string, err error) error {
	return problem.Invalid(codeInvalid, "the PEM cannot be used: %v", err).At("tls." + field).Try("give the PEM itself, not the path of a file; a key without a passphrase")
}
