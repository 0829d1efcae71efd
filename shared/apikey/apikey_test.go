package apikey_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/secrets"
)

// memory is the table and Secrets Manager; reads counts what was asked of both.
type memory struct {
	keys    map[string]dynamo.APIKey
	install string
	err     error
	reads   int
}

func (m *memory) FindKey(_ context.Context, hash string) (dynamo.APIKey, error) {
	m.reads++
	key, ok := m.keys[hash]
	if !ok {
		return key, problem.NotFound("key-not-found", "there is no such API key")
	}
	return key, nil
}

func (m *memory) Get(_ context.Context, name string) (secrets.Secret, error) {
	m.reads++
	if name != "install-key" {
		return secrets.Secret{}, errors.New("another secret was asked for")
	}
	return secrets.Of([]byte(m.install)), m.err
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestVerify(t *testing.T) {
	cases := map[string]struct {
		install, token string
		err            error
		want           openapi.Principal
		status         int // of the problem; 0 with fails: an error of Swell's own
		fails          bool
	}{
		"the installation's key": {install: "first", token: "first", want: openapi.Principal{Org: "default", Name: "installer", Role: "admin"}},
		"a key of the table":     {install: "first", token: "ann's", want: openapi.Principal{Org: "acme", Name: "ann", Role: "member"}},
		"nobody's key":           {install: "first", token: "first ", status: http.StatusUnauthorized, fails: true},
		"no installation's key":  {install: "", token: "", status: http.StatusUnauthorized, fails: true},
		"its secret is gone":     {install: "first", token: "first", err: errors.New("access denied"), fails: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{install: c.install, err: c.err, keys: map[string]dynamo.APIKey{hashOf("ann's"): {Org: "acme", Principal: "ann", Role: "member"}}}
			var log bytes.Buffer
			v := &apikey.Verifier{Keys: m, Secrets: m, InstallKey: "install-key", Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))}
			got, err := v.Verify(t.Context(), c.token)
			if got != c.want || (err != nil) != c.fails {
				t.Fatalf("got %+v, %v", got, err)
			}
			if p, _ := problem.From(err); c.fails && (p == nil) != (c.status == 0) || p != nil && p.Status != c.status {
				t.Errorf("error %v, want status %d", err, c.status)
			}
			if logged := log.Len() > 0; logged != (c.err != nil) || c.token != "" && strings.Contains(log.String(), "token") {
				t.Errorf("logged: %s", log.String())
			}
		})
	}
}

func TestAKeyIsBelievedForAMinute(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m := &memory{install: "first", keys: map[string]dynamo.APIKey{hashOf("ann's"): {Org: "acme", Principal: "ann"}}}
	v := &apikey.Verifier{Keys: m, Secrets: m, InstallKey: "install-key", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	verify := func(wantErr bool, wantReads int) {
		t.Helper()
		m.reads = 0
		if _, err := v.Verify(t.Context(), "ann's"); (err != nil) != wantErr || m.reads != wantReads {
			t.Errorf("at %s: %v after %d reads, want an error %v after %d", now.Format(time.TimeOnly), err, m.reads, wantErr, wantReads)
		}
	}
	verify(false, 2)
	verify(false, 0)
	delete(m.keys, hashOf("ann's")) // it is revoked
	now = now.Add(59 * time.Second)
	verify(false, 0)
	now = now.Add(time.Second)
	verify(true, 2)
	verify(true, 2) // what is refused is not remembered
}
