//go:build stack

package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// OfSource reads what Put kept.
func (v *vault) OfSource(_ context.Context, s source.Source) (source.Secret, error) {
	return s.ReadSecret([]byte(v.kept[source.SecretName(s.Org, s.Name)]))
}

// The record, the secret and the key of a source belong together, wherever a request dies between them.
func TestSourceAndItsSecrets(t *testing.T) {
	s, secrets, log := newScene(t), &vault{kept: map[string]string{}}, &strings.Builder{}
	h := api.New(handler{store: s.store, secrets: secrets, sourceSecrets: secrets, log: slog.New(slog.NewJSONHandler(log, nil)), now: time.Now})
	send := func(method, path, body string, status int, code string, headers ...string) openapi.Source {
		t.Helper()
		r := httptest.NewRequest(method, "/api/v1/orgs/default/sources"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if len(headers) == 2 {
			r.Header.Set(headers[0], headers[1])
		}
		r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann", Role: openapi.RoleAdmin}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status || !strings.Contains(w.Body.String(), code) || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s %s answered %d %s, want %d %s", method, path, w.Code, w.Body, status, code)
		}
		var doc openapi.Source
		_ = json.Unmarshal(w.Body.Bytes(), &doc)
		return doc
	}
	read := func() source.Secret {
		t.Helper()
		found, err := s.store.FindSource(t.Context(), "default", "shop")
		must(t, err)
		secret, err := secrets.OfSource(t.Context(), found)
		must(t, err)
		return secret
	}
	const rules = `"rules": [{"group": "eu", "releaseName": "shop", "branch": "main", "path": "values.yaml"}]`
	const create = `{"name": "shop", "kind": "github", "url": "https://github.com/acme/shop", "secret": "hunter2-hunter2-hunter2", "token": "hunter2", ` + rules + `}`

	secrets.closed = true
	send(http.MethodPost, "", create, 500, "internal")
	send(http.MethodGet, "/shop", "", 404, "source-not-found")
	secrets.closed = false
	created := send(http.MethodPost, "", create, 201, "")
	if created.HookPath != "/hooks/v1/orgs/default/sources/shop" || !created.HasCredentials || len(created.Rules) != 1 {
		t.Errorf("created %+v", created)
	}
	first := read()
	if first.Token != "hunter2" || len(first.Hooks(time.Now())) != 1 {
		t.Error("the secrets were not kept")
	}
	key, err := s.store.FindKey(t.Context(), hashOf(first.Key))
	if err != nil || key.Org != "default" || key.Role != openapi.RoleDeployer || key.Principal != "source/shop" {
		t.Errorf("the key is %+v, %v", key, err)
	}
	send(http.MethodPost, "", create, 409, "source-name-taken")

	send(http.MethodPost, "/shop/rotate", `{"secret": "hunter2-another-hunter2"}`, 200, "")
	rotated := read()
	if got := rotated.Hooks(time.Now()); len(got) != 2 || got[1] != first.Hook || rotated.Token != "hunter2" || rotated.Key != first.Key {
		t.Error("a rotation lost something")
	}
	send(http.MethodPut, "/shop", `{"url": "https://github.com/acme/other", `+rules+`}`, 200, "")
	if got := read(); got.Token != "" || got.Hook != rotated.Hook || got.Older != first.Hook {
		t.Error("a token went to another URL, or the hook's secret was lost")
	}
	send(http.MethodPut, "/shop", `{"url": "https://github.com/acme/other", `+rules+`}`, 412, "precondition-failed", "If-Match", `"1-x"`)

	secrets.closed = true
	send(http.MethodPut, "/shop", `{"url": "https://github.com/acme/shop", "token": "hunter2", `+rules+`}`, 500, "internal")
	secrets.closed = false
	send(http.MethodPut, "/shop", `{"url": "https://github.com/acme/shop", "token": "hunter2", `+rules+`}`, 409, "source-secret-missing")
	send(http.MethodPost, "/shop/rotate", `{"secret": "hunter2-again-hunter2"}`, 200, "")
	send(http.MethodPut, "/shop", `{"url": "https://github.com/acme/shop", "token": "hunter2", `+rules+`}`, 200, "")

	send(http.MethodGet, "", "", 200, `"shop"`)
	send(http.MethodGet, "/shop/deliveries", "", 200, "")
	send(http.MethodGet, "/none/deliveries", "", 404, "source-not-found")
	last := read()
	send(http.MethodDelete, "/shop", "", 204, "")
	send(http.MethodDelete, "/shop", "", 404, "source-not-found")
	if _, err := s.store.FindKey(t.Context(), hashOf(last.Key)); !problem.Is(err, "key-not-found") || len(secrets.kept) != 0 {
		t.Errorf("the key or the secret of a source that is gone is kept: %v", err)
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has a secret: %s", log)
	}
}
