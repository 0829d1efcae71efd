package openapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/idempotency"
	"github.com/swell-sh/swell/shared/openapi"
)

// claims are the table: by id, as long as they live.
type claims struct {
	held  map[string]idempotency.Claim
	calls int
	err   error
}

func (c *claims) ClaimKey(_ context.Context, claim idempotency.Claim) (idempotency.Claim, bool, error) {
	c.calls++
	if held, ok := c.held[claim.ID]; ok && time.Now().Before(held.ExpiresAt) {
		return held, false, c.err
	}
	c.held[claim.ID] = claim
	return claim, true, c.err
}

func (c *claims) SettleKey(_ context.Context, claim idempotency.Claim) error {
	c.calls++
	if c.held[claim.ID].Attempt == claim.Attempt {
		c.held[claim.ID] = claim
	}
	return nil
}

// counter answers with the number of the call and what it read; a body "refuse" is refused.
type counter struct{ calls int }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls++
	body, _ := io.ReadAll(r.Body)
	if strings.HasPrefix(string(body), "refuse") {
		w.WriteHeader(http.StatusConflict)
		return
	}
	w.Header().Set("Location", "/runs/1")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte(strings.Repeat("i", c.calls) + " " + string(body)))
}

func sendWith(handler http.Handler, method, target, body, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r = r.WithContext(openapi.WithPrincipal(r.Context(), openapi.Principal{Org: "default", Name: "ann"}))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	type request struct{ method, target, body, key string }
	first := request{"POST", "/deployments", "a", "k"}
	cases := map[string]struct {
		second   request
		calls    int // of the handler
		status   int
		body     string
		replayed bool
	}{
		"TheSame":        {first, 1, 202, "i a", true},
		"AnotherKey":     {request{"POST", "/deployments", "a", "l"}, 2, 202, "ii a", false},
		"NoKey":          {request{"POST", "/deployments", "a", ""}, 2, 202, "ii a", false},
		"AnotherBody":    {request{"POST", "/deployments", "b", "k"}, 1, 422, `"idempotency-key-reused"`, false},
		"AnotherMethod":  {request{"PUT", "/deployments", "a", "k"}, 1, 422, `"idempotency-key-reused"`, false},
		"AnotherPath":    {request{"POST", "/deployment", "a", "k"}, 1, 422, `"idempotency-key-reused"`, false},
		"AnotherQuery":   {request{"POST", "/deployments?field=name", "a", "k"}, 1, 422, `"idempotency-key-reused"`, false},
		"ARead":          {request{"GET", "/deployments", "", "k"}, 2, 202, "ii ", false},
		"AKeyThatIsNone": {request{"POST", "/deployments", "a", "a b"}, 1, 400, `"idempotency-key-invalid"`, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := &counter{}
			handler := openapi.Idempotent(work, &claims{held: map[string]idempotency.Claim{}}, slog.New(slog.DiscardHandler))
			if w := sendWith(handler, first.method, first.target, first.body, first.key); w.Code != 202 || w.Header().Get("Idempotency-Replayed") != "" {
				t.Fatalf("first: %d %v", w.Code, w.Header())
			}
			w := sendWith(handler, c.second.method, c.second.target, c.second.body, c.second.key)
			if work.calls != c.calls || w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || (w.Header().Get("Idempotency-Replayed") == "true") != c.replayed {
				t.Errorf("%d calls, %d %q %v", work.calls, w.Code, w.Body, w.Header())
			}
			if c.replayed && (w.Header().Get("Location") != "/runs/1" || w.Header().Get("Content-Type") != "application/json") {
				t.Errorf("replayed with %v", w.Header())
			}
		})
	}
}

func TestAKeyUnderWay(t *testing.T) {
	t.Parallel()
	kept := &claims{held: map[string]idempotency.Claim{}}
	var second *httptest.ResponseRecorder
	var handler http.Handler
	handler = openapi.Idempotent(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		second = sendWith(handler, "POST", "/x", "a", "k")
		w.WriteHeader(http.StatusNoContent)
	}), kept, slog.New(slog.DiscardHandler))
	if w := sendWith(handler, "POST", "/x", "a", "k"); w.Code != http.StatusNoContent {
		t.Errorf("the first got %d", w.Code)
	}
	if second.Code != http.StatusConflict || second.Header().Get("Retry-After") == "" || !strings.Contains(second.Body.String(), "idempotency-key-in-use") {
		t.Errorf("the second got %d %v %s", second.Code, second.Header(), second.Body)
	}
}

// A refusal changed nothing, so the corrected request may have the same key; an attempt that died frees its key with time.
func TestAKeyIsFreed(t *testing.T) {
	t.Parallel()
	work, kept := &counter{}, &claims{held: map[string]idempotency.Claim{}}
	handler := openapi.Idempotent(work, kept, slog.New(slog.DiscardHandler))
	for _, body := range []string{"refuse", "refuse more"} {
		if w := sendWith(handler, "POST", "/x", body, "k"); w.Code != http.StatusConflict {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
		for _, claim := range kept.held {
			if time.Since(claim.ExpiresAt) > time.Hour {
				t.Errorf("it expired on %s: what is older than five years, a table does not clear away", claim.ExpiresAt)
			}
		}
	}
	if w := sendWith(handler, "POST", "/x", "good", "k"); w.Code != 202 || work.calls != 3 {
		t.Errorf("after refusals: %d, %d calls", w.Code, work.calls)
	}
	for id, claim := range kept.held { // the attempt died, a minute ago
		claim.Answer, claim.ExpiresAt = nil, time.Now().Add(-time.Second)
		kept.held[id] = claim
	}
	if w := sendWith(handler, "POST", "/x", "good", "k"); w.Code != 202 || work.calls != 4 {
		t.Errorf("after a death: %d, %d calls", w.Code, work.calls)
	}
}

func TestWithoutAKeyTheTableIsNotAsked(t *testing.T) {
	t.Parallel()
	kept := &claims{held: map[string]idempotency.Claim{}, err: errors.New("no table")}
	handler := openapi.Idempotent(&counter{}, kept, slog.New(slog.DiscardHandler))
	if sendWith(handler, "POST", "/x", "a", ""); kept.calls != 0 {
		t.Errorf("%d calls of the table", kept.calls)
	}
	if w := sendWith(handler, "POST", "/x", "a", "k"); w.Code != http.StatusInternalServerError {
		t.Errorf("without a table: %d", w.Code)
	}
}
