package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/keepreceivers"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

// world is the table, the secrets and the receivers, in memory.
type world struct {
	receivers map[string]receiver.Receiver
	secrets   map[string][]byte
	full      error // of the secrets
	refuses   error // of the receivers
	sent      []notify.Delivery
}

func (w *world) CreateReceiver(_ context.Context, r receiver.Receiver) error {
	if _, ok := w.receivers[r.Name]; ok {
		return problem.Conflict("receiver-name-taken", "taken").At("name")
	}
	w.receivers[r.Name] = r
	return nil
}

func (w *world) ReplaceReceiver(_ context.Context, r receiver.Receiver, expected int64) error {
	if w.receivers[r.Name].Version != expected {
		return problem.Conflict("receiver-changed", "changed")
	}
	w.receivers[r.Name] = r
	return nil
}

func (w *world) FindReceiver(_ context.Context, _, name string) (receiver.Receiver, error) {
	r, ok := w.receivers[name]
	if !ok {
		return r, problem.NotFound("receiver-not-found", "none")
	}
	return r, nil
}

func (w *world) ListReceivers(context.Context, string, dynamo.Page) (all []receiver.Receiver, next string, err error) {
	for _, r := range w.receivers {
		all = append(all, r)
	}
	return all, "", nil
}

func (w *world) DeleteReceiver(_ context.Context, _, name string, expected int64) error {
	if w.receivers[name].Version != expected {
		return problem.Conflict("receiver-changed", "changed")
	}
	delete(w.receivers, name)
	return nil
}

func (w *world) SetReceiverState(_ context.Context, r receiver.Receiver, state receiver.State) error {
	r.State = state
	w.receivers[r.Name] = r
	return nil
}

func (w *world) Put(_ context.Context, name string, value []byte) error {
	if w.full == nil {
		w.secrets[name] = value
	}
	return w.full
}

func (w *world) Delete(_ context.Context, name string) error {
	delete(w.secrets, name)
	return nil
}

func (w *world) OfReceiver(_ context.Context, r receiver.Receiver) (receiver.Credential, error) {
	if r.CredentialID == "" {
		return receiver.Credential{}, nil
	}
	return r.ReadCredential(w.secrets[receiver.SecretName(r.Org, r.Name)])
}

func (w *world) Send(_ context.Context, d notify.Delivery) error {
	w.sent = append(w.sent, d)
	return w.refuses
}

func given() *world {
	return &world{receivers: map[string]receiver.Receiver{}, secrets: map[string][]byte{}}
}

func (w *world) call(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	h := handler{store: w, secrets: w, senders: w, networks: netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC) }}
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1/orgs/acme/receivers"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer x")
	out := httptest.NewRecorder()
	openapi.Authenticate(keepreceivers.New(h), func(context.Context, string) (openapi.Principal, error) {
		return openapi.Principal{Org: "acme", Name: "ann", Role: openapi.RoleAdmin}, nil
	}).ServeHTTP(out, r)
	if strings.Contains(out.Body.String(), "hunter2") {
		t.Errorf("%s %s tells a secret: %s", method, path, out.Body)
	}
	return out
}

func (w *world) want(t *testing.T, status int, code, method, path, body string) {
	t.Helper()
	out := w.call(t, method, path, body)
	var p openapi.Problem
	_ = json.Unmarshal(out.Body.Bytes(), &p) // an answer without one has no code
	if out.Code != status || p.Code != code {
		t.Errorf("%s %s %s: answered %d %s, want %d %s", method, path, body, out.Code, out.Body, status, code)
	}
}

const slack = `{"name": "ops", "kind": "slack", "url": "https://hooks.slack.com/hunter2"`

func TestReceiversAreKept(t *testing.T) {
	w := given()
	w.want(t, 201, "", "POST", "", slack+`}`)
	ops := w.receivers["ops"]
	if ops.Host != "hooks.slack.com" || ops.CreatedBy != "ann" || len(ops.Events) != len(receiver.Default) || !strings.Contains(string(w.secrets["swell/acme/receiver/ops"]), "hunter2") {
		t.Errorf("kept %+v", ops)
	}
	w.want(t, 409, "receiver-name-taken", "POST", "", slack+`}`)
	w.want(t, 200, "", "GET", "/ops", "")
	w.want(t, 200, "", "GET", "", "")

	w.want(t, 200, "", "PUT", "/ops", `{"events": ["run.*"], "filter": {"groups": ["prod"]}}`)
	if is := w.receivers["ops"]; is.CredentialID != ops.CredentialID || is.Host != ops.Host || is.Version != 2 || is.Filter.Groups[0] != "prod" {
		t.Errorf("its URL did not stay: %+v", is)
	}
	w.want(t, 200, "", "PUT", "/ops", `{"url": "http://127.0.0.1:8065/hunter2"}`)
	if is := w.receivers["ops"]; is.CredentialID == ops.CredentialID || is.Host != "127.0.0.1:8065" {
		t.Errorf("its URL did not change: %+v", is)
	}
	w.want(t, 204, "", "DELETE", "/ops", "")
	if len(w.receivers)+len(w.secrets) != 0 {
		t.Errorf("left are %v", w.receivers)
	}
	w.want(t, 404, "receiver-not-found", "GET", "/ops", "")
}

func TestWhatIsRefused(t *testing.T) {
	w := given()
	w.want(t, 201, "", "POST", "", slack+`}`)
	for body, code := range map[string]string{
		`{"name": "x", "kind": "slack"}`:                                                            "receiver-invalid",
		`{"name": "x", "kind": "slack", "url": "http://hooks.slack.com/hunter2"}`:                   "", // plain http is for the dialer to refuse where some network is allowed
		`{"name": "y", "kind": "slack", "url": "https://169.254.169.254/hunter2"}`:                  "url-refused",
		`{"name": "y", "kind": "webhook", "url": "https://a.example/hunter2", "secret": "hunter2"}`: "receiver-invalid",
		`{"name": "y", "kind": "email", "url": "https://a.example/hunter2"}`:                        "receiver-invalid",
		`{"name": "y", "kind": "email", "events": ["run.fail"]}`:                                    "event-unknown",
		`{"name": "y", "kind": "email", "template": "{{.hunter"}`:                                   "template-invalid",
		`{"name": "y", "kind": "email", "template": "{{.run.idd}}", "events": ["run.failed"]}`:      "template-invalid",
		`{"name": "y/z", "kind": "email"}`:                                                          "receiver-invalid",
	} {
		status := 422
		if code == "" {
			status = 201
		}
		w.want(t, status, code, "POST", "", body)
	}
	w.want(t, 422, "receiver-invalid", "PUT", "/ops", `{"name": "dev"}`)
	w.want(t, 422, "receiver-invalid", "PUT", "/ops", `{"kind": "teams"}`)
	w.want(t, 404, "receiver-not-found", "PUT", "/none", `{}`)
	w.want(t, 404, "receiver-not-found", "DELETE", "/none", "")
	w.want(t, 404, "receiver-not-found", "POST", "/none/test", "")
}

func TestAURLThatCouldNotBeKept(t *testing.T) {
	w := given()
	w.full = errors.New("throttled")
	if out := w.call(t, "POST", "", slack+`}`); out.Code != http.StatusInternalServerError || len(w.receivers) != 0 {
		t.Errorf("answered %d, kept %v", out.Code, w.receivers)
	}
}

func TestATestIsSent(t *testing.T) {
	w := given()
	w.want(t, 201, "", "POST", "", slack+`}`)
	if out := w.call(t, "POST", "/ops/test", ""); out.Code != 200 || !strings.Contains(out.Body.String(), `"sent":true`) || w.receivers["ops"].State.LastSentAt.IsZero() ||
		!strings.Contains(w.sent[0].Message.Title, "test") || w.sent[0].Credential.URL == "" {
		t.Errorf("answered %d %s", out.Code, out.Body)
	}
	w.refuses = errors.New("it answered 404 Not Found: no_service")
	if out := w.call(t, "POST", "/ops/test", ""); !strings.Contains(out.Body.String(), `"sent":false`) || !strings.Contains(out.Body.String(), "no_service") || w.receivers["ops"].State.FailingSince.IsZero() {
		t.Errorf("answered %d %s", out.Code, out.Body)
	}
	w.secrets["swell/acme/receiver/ops"] = []byte(`{"id": "other"}`)
	if out := w.call(t, "POST", "/ops/test", ""); !strings.Contains(out.Body.String(), "receiver-credential-missing") {
		t.Errorf("answered %d %s", out.Code, out.Body)
	}
}
