//go:build stack

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// vault keeps secrets in memory; it can be closed.
type vault struct {
	kept   map[string]string
	closed bool
}

func (v *vault) Put(_ context.Context, name string, value []byte) error {
	if v.closed {
		return errors.New("denied")
	}
	v.kept[name] = string(value)
	return nil
}

func (v *vault) Delete(_ context.Context, name string) error {
	delete(v.kept, name)
	return nil
}

// The record and the secret of a repository belong together, wherever a request dies between them.
func TestRepositoryAndItsSecret(t *testing.T) {
	s, secrets, log := newScene(t), &vault{kept: map[string]string{}}, &strings.Builder{}
	h := api.New(handler{store: s.store, secrets: secrets, log: slog.New(slog.NewJSONHandler(log, nil)), now: time.Now})
	const name = "swell/default/repository/acme"
	send := func(method, path, body string, status int) {
		t.Helper()
		r := httptest.NewRequest(method, "/api/v1/orgs/default/helm/repos"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "robot") {
			t.Errorf("%s %s answered %d %s, want %d", method, path, w.Code, w.Body, status)
		}
	}
	read := func() (repository.Credential, error) {
		t.Helper()
		r, err := s.store.FindRepository(t.Context(), "default", "acme")
		must(t, err)
		if r.CredentialID == "" {
			return repository.Credential{}, nil
		}
		return r.ReadCredential([]byte(secrets.kept[name]))
	}
	wantPassword := func(password string) {
		t.Helper()
		if c, err := read(); err != nil || c.Password != password {
			t.Errorf("the password is not %q: %v", password, err)
		}
	}
	const create = `{"name": "acme", "url": "https://one.example", "username": "robot", "password": "hunter2"}`

	secrets.closed = true
	send(http.MethodPost, "", create, 500)
	if _, err := s.store.FindRepository(t.Context(), "default", "acme"); !problem.Is(err, "repository-not-found") {
		t.Errorf("a repository without its secret was kept: %v", err)
	}
	secrets.closed = false
	send(http.MethodPost, "", create, 201)
	wantPassword("hunter2")
	send(http.MethodPost, "", strings.Replace(create, "hunter2", "hunter2-of-another", 1), 409)
	wantPassword("hunter2")

	secrets.closed = true
	const replace = `{"url": "https://two.example", "username": "robot", "password": "hunter2-new"}`
	send(http.MethodPut, "/acme", replace, 500)
	if c, err := read(); !problem.Is(err, "repository-credential-missing") || !c.Empty() {
		t.Errorf("the password of the URL before is used: %v", err)
	}
	secrets.closed = false
	send(http.MethodPut, "/acme", replace, 200)
	wantPassword("hunter2-new")

	send(http.MethodPut, "/acme", `{"url": "https://three.example"}`, 200)
	wantPassword("")
	if len(secrets.kept) != 0 {
		t.Error("a secret that nobody uses is kept")
	}
	send(http.MethodPut, "/acme", `{"url": "https://three.example", "name": "other"}`, 422)
	send(http.MethodPut, "/acme", replace, 200)
	send(http.MethodGet, "/acme", "", 200)
	send(http.MethodGet, "", "", 200)
	send(http.MethodDelete, "/acme", "", 204)
	if len(secrets.kept) != 0 {
		t.Error("the secret of a repository that is gone is kept")
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has a password: %s", log)
	}
}
