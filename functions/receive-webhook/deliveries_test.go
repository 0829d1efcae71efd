package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// shop is the table, Secrets Manager and the queue for one source.
type shop struct {
	mu     sync.Mutex
	source source.Source
	secret source.Secret
	kept   map[string]source.Record
	sent   []source.Message
	closed bool // the queue
	lost   bool // the secret
	now    time.Time
}

const hook = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"

func newShop() *shop {
	s := &shop{kept: map[string]source.Record{}, secret: source.Secret{Hook: hook}, now: time.Date(2026, 6, 4, 14, 17, 3, 0, time.UTC)}
	s.source = source.Source{Org: "default", Name: "shop", Kind: source.GitHub, URL: "https://github.com/acme/shop", Rules: []source.Rule{{Group: "eu", ReleaseName: "shop", Branch: "main", Path: "values.yaml"}}}
	return s
}

func (s *shop) FindSource(_ context.Context, org, name string) (source.Source, error) {
	if org != "default" || name != "shop" {
		return source.Source{}, problem.NotFound("source-not-found", "there is no source")
	}
	return s.source, nil
}

func (s *shop) OfSource(_ context.Context, src source.Source) (source.Secret, error) {
	if s.lost {
		return source.Secret{}, src.WithoutSecret()
	}
	return s.secret, nil
}

func (s *shop) ClaimDelivery(_ context.Context, r source.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.kept[r.Event.Delivery]
	if !there {
		s.kept[r.Event.Delivery] = r
	}
	return !there, nil
}

func (s *shop) ReleaseDelivery(_ context.Context, r source.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, r.Event.Delivery)
	return nil
}

func (s *shop) SendLater(_ context.Context, body any, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the queue is closed")
	}
	s.sent = append(s.sent, body.(source.Message))
	return nil
}

func (s *shop) handler() http.Handler {
	return receivewebhook.New(handler{sources: sources{store: s, secrets: s, deliveries: s}, now: func() time.Time { return s.now }, log: slog.New(slog.DiscardHandler)})
}

func push(tb testing.TB) []byte {
	tb.Helper()
	body, err := os.ReadFile("../../shared/source/testdata/github-push.json")
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func sum(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func deliver(h http.Handler, path, event, delivery, signature string, body []byte) (int, openapi.DeliveryTaken) {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	for name, value := range map[string]string{"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var taken openapi.DeliveryTaken
	_ = json.Unmarshal(w.Body.Bytes(), &taken)
	return w.Code, taken
}

const shopHook = "/hooks/v1/orgs/default/sources/shop"

func TestDelivery(t *testing.T) {
	s := newShop()
	h, body := s.handler(), push(t)
	for _, c := range []struct {
		path, event, id, secret string
		body                    []byte
		status                  int
		outcome, why            string
		repeated                bool
	}{
		{shopHook, "push", "d-1", hook, body, 202, "received", "", false},
		{shopHook, "push", "d-1", hook, body, 202, "received", "", true},
		{shopHook, "ping", "d-2", hook, []byte("{}"), 200, "ignored", "tried the hook", false},
		{shopHook, "star", "d-3", hook, []byte("{}"), 202, "ignored", "the event star", false},
		{shopHook, "push", "d-4", hook, bytes.Replace(body, []byte("refs/heads/main"), []byte("refs/heads/dev"), 1), 202, "ignored", "no rule is about refs/heads/dev", false},
		{shopHook, "push", "d-5", "another-secret", body, 401, "", "", false},
		{shopHook + "s", "push", "d-6", hook, body, 401, "", "", false},
		{shopHook, "push", "d-7", hook, []byte("payload=x"), 400, "", "", false},
		{shopHook, "push", "d-8", hook, make([]byte, source.MaxBody+1), 413, "", "", false},
	} {
		status, taken := deliver(h, c.path, c.event, c.id, sum(c.body, c.secret), c.body)
		if status != c.status || string(taken.Outcome) != c.outcome || !strings.Contains(taken.Why, c.why) || taken.Repeated != c.repeated {
			t.Errorf("delivery %s was answered %d, %+v", c.id, status, taken)
		}
	}
	if len(s.sent) != 1 || s.sent[0] != (source.Message{Org: "default", Source: "shop", Delivery: "d-1"}) || len(s.kept) != 4 {
		t.Errorf("sent %v, kept %d; want the first alone sent, and none kept that was refused", s.sent, len(s.kept))
	}
	s.closed = true
	if status, _ := deliver(h, shopHook, "push", "d-9", sum(body, hook), body); status != 500 {
		t.Errorf("while the queue is closed: %d", status)
	}
	s.closed = false
	if status, taken := deliver(h, shopHook, "push", "d-9", sum(body, hook), body); status != 202 || taken.Repeated || len(s.sent) != 2 {
		t.Errorf("sent again by the host: %d, %+v", status, taken)
	}
}

// Who cannot sign does not learn which sources there are, whatever state they are in.
func TestASourceWithoutItsSecret(t *testing.T) {
	s := newShop()
	body, answers := push(t), map[string]bool{}
	for _, c := range []struct {
		path string
		lost bool
	}{{shopHook, false}, {shopHook, true}, {shopHook + "s", false}} {
		s.lost = c.lost
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, c.path, bytes.NewReader(body)))
		answers[fmt.Sprint(w.Code, w.Body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("they differ: %v", answers)
	}
}

func TestDeliveriesWhileTheSecretRotates(t *testing.T) {
	s := newShop()
	h, body := s.handler(), push(t)
	s.secret = source.Secret{Hook: "another-secret-of-today"}
	old := source.Secret{Hook: hook}
	s.secret = old.Rotate("another-secret-of-today", s.now)
	for _, secret := range []string{hook, "another-secret-of-today"} {
		if status, _ := deliver(h, shopHook, "push", "of "+secret[:7], sum(body, secret), body); status != 202 {
			t.Errorf("signed with %s: %d", secret, status)
		}
	}
	s.now = s.now.Add(24 * time.Hour)
	if status, _ := deliver(h, shopHook, "push", "late", sum(body, hook), body); status != 401 {
		t.Errorf("a day later, signed with the old secret: %d", status)
	}
}

// A thousand deliveries of two hundred ids, in any order, a hundred at once: each is sent on once.
func TestDeliveriesAtOnce(t *testing.T) {
	s := newShop()
	h, body := s.handler(), push(t)
	signature := sum(body, hook)
	var wait sync.WaitGroup
	turns := make(chan struct{}, 100)
	for _, n := range rand.Perm(1000) {
		turns <- struct{}{}
		wait.Go(func() {
			defer func() { <-turns }()
			if status, _ := deliver(h, shopHook, "push", fmt.Sprint("d-", n%200), signature, body); status != 202 {
				t.Errorf("delivery %d: %d", n, status)
			}
		})
	}
	wait.Wait()
	if len(s.sent) != 200 {
		t.Errorf("%d were sent on, want 200", len(s.sent))
	}
}

// Ten thousand deliveries that somebody changed a bit of, in the body or in the signature: none is taken.
func TestForgedDeliveries(t *testing.T) {
	s := newShop()
	h, body := s.handler(), push(t)
	signature := sum(body, hook)
	for n := range 10_000 {
		forged, signed := slices.Clone(body), []byte(signature)
		if n%2 == 0 {
			forged[rand.IntN(len(forged))] ^= 1 << rand.IntN(8)
		} else {
			at := rand.IntN(len(signed))
			signed[at] = "0123456789abcdef"[(strings.IndexByte("0123456789abcdef", signed[at])+1+rand.IntN(15))%16]
		}
		if status, _ := deliver(h, shopHook, "push", fmt.Sprint("d-", n), string(signed), forged); status != 401 {
			t.Fatalf("forgery %d was answered %d", n, status)
		}
	}
	if len(s.kept)+len(s.sent) != 0 {
		t.Errorf("%d were kept, %d sent on", len(s.kept), len(s.sent))
	}
}

func BenchmarkDelivery(b *testing.B) {
	s := newShop()
	h, body := s.handler(), push(b)
	signature := sum(body, hook)
	for n := 0; b.Loop(); n++ {
		if status, _ := deliver(h, shopHook, "push", fmt.Sprint("d-", n), signature, body); status != 202 {
			b.Fatal(status)
		}
	}
}
