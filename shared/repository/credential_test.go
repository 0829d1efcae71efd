package repository_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"encoding/pem"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

func TestValidateCredential(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	tests := map[string]struct {
		url        string
		credential repository.Credential
		field      string // empty: valid
	}{
		"None":             {"http://charts.example.com", repository.Credential{}, ""},
		"Basic":            {"https://charts.example.com", repository.Credential{Username: "u", Password: "hunter2"}, ""},
		"Registry":         {"oci://charts.example.com/org", repository.Credential{Username: "u", Password: "hunter2"}, ""},
		"CA":               {"https://charts.example.com", repository.Credential{CA: ca + "\n" + ca}, ""},
		"In the clear":     {"http://charts.example.com", repository.Credential{Username: "u", Password: "hunter2"}, "url"},
		"CA without TLS":   {"http://charts.example.com", repository.Credential{CA: ca}, "url"},
		"No user":          {"https://charts.example.com", repository.Credential{Password: "hunter2"}, "username"},
		"No password":      {"https://charts.example.com", repository.Credential{Username: "u"}, "password"},
		"Colon":            {"https://charts.example.com", repository.Credential{Username: "u:v", Password: "hunter2"}, "username"},
		"Line":             {"https://charts.example.com", repository.Credential{Username: "u", Password: "hunter2\n"}, "password"},
		"Long":             {"https://charts.example.com", repository.Credential{Username: "u", Password: strings.Repeat("x", 4097)}, "password"},
		"CA by path":       {"https://charts.example.com", repository.Credential{CA: "/etc/ssl/ca.pem"}, "tls.ca"},
		"CA with more":     {"https://charts.example.com", repository.Credential{CA: "hunter2\n" + ca}, "tls.ca"},
		"CA with a tail":   {"https://charts.example.com", repository.Credential{CA: ca + "hunter2"}, "tls.ca"},
		"CA is a key":      {"https://charts.example.com", repository.Credential{CA: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "tls.ca"},
		"CA broken":        {"https://charts.example.com", repository.Credential{CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "tls.ca"},
		"CA large":         {"https://charts.example.com", repository.Credential{CA: strings.Repeat(ca, 50)}, "tls.ca"},
		"Key alone":        {"https://charts.example.com", repository.Credential{Key: "hunter2"}, "tls.certificate"},
		"Certificate":      {"https://charts.example.com", repository.Credential{Certificate: ca}, "tls.key"},
		"Key by path":      {"https://charts.example.com", repository.Credential{Certificate: ca, Key: "/etc/hunter2"}, "tls.key"},
		"Another's key":    {"https://charts.example.com", repository.Credential{Certificate: ca, Key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "tls.key"},
		"Encrypted header": {"https://charts.example.com", repository.Credential{Certificate: ca, Key: ca}, "tls.key"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := tc.credential.Validate(repository.Repository{Name: "stable", URL: tc.url})
			p, ok := problem.From(err)
			if ok != (tc.field != "") || (ok && (p.Field != tc.field || p.Code != "repository-invalid")) {
				t.Errorf("got %v, want a problem of field %q", err, tc.field)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// A credential is used with the record that it was given with, and with no other.
func TestCredentialBelongsToItsRecord(t *testing.T) {
	c := repository.Credential{ID: "one", Username: "u", Password: "hunter2", CA: "x"}
	raw, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (repository.Repository{Name: "stable", CredentialID: "one"}).ReadCredential(raw); err != nil || got != c {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{"", "two"} {
		if got, err := (repository.Repository{Name: "stable", CredentialID: id}).ReadCredential(raw); !problem.Is(err, "repository-credential-missing") || !got.Empty() {
			t.Errorf("record %q: got %v", id, err)
		}
	}
}

func TestCredentialPrintsNothing(t *testing.T) {
	c := repository.Credential{ID: "hunter2", Username: "hunter2", Password: "hunter2", Key: "hunter2"}
	raw, err := json.Marshal(struct{ C repository.Credential }{c})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c)
	if text := fmt.Sprintf("%v %+v %#v %s %x %q", c, c, c, c, c, []any{&c}) + string(raw) + log.String(); strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
		t.Errorf("it is printed: %s", text)
	}
}

func TestAuthority(t *testing.T) {
	for url, want := range map[string]string{
		"https://Charts.Example.com/x": "charts.example.com:443", "oci://ghcr.io/org": "ghcr.io:443", "oci://127.0.0.1:5000": "127.0.0.1:5000", "http://a.b": "",
	} {
		if got := (repository.Repository{URL: url}).Authority(); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}
