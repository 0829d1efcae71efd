package openapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/idempotency"
	"github.com/swell-sh/swell/shared/problem"
)

// Claims keeps the claims of idempotency keys.
type Claims interface {
	// ClaimKey keeps c unless another claim that has not expired has the key: then it returns that one.
	ClaimKey(ctx context.Context, c idempotency.Claim) (held idempotency.Claim, ours bool, err error)
	// SettleKey replaces the claim of the same attempt.
	SettleKey(ctx context.Context, c idempotency.Claim) error
}

const (
	maxIdempotentBody = 8 << 20 // API Gateway lets 6 MiB through
	retryAfter        = "2"
)

// Idempotent does a change once for each Idempotency-Key, and answers its repetition as it was answered. Only a success is kept: after any
// other answer the key is free, since nothing was changed. An attempt that died in the middle frees its key after idempotency.Lease;
// what it did is found by the repetition, whose writes are conditional. Without the header it costs nothing.
func Idempotent(next http.Handler, claims Claims, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys := r.Header.Values(idempotency.Header)
		if len(keys) == 0 || safe(r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		claim, err := claimOf(r, keys[0])
		if err != nil {
			Fail(w, r, log, err)
			return
		}
		held, ours, err := claims.ClaimKey(r.Context(), claim)
		if err != nil {
			Fail(w, r, log, err)
			return
		}
		if !ours {
			replay(w, r, log, claim, held)
			return
		}
		a := record(next, r)
		claim.ExpiresAt = time.Now().Add(-time.Minute) // free, and not so long ago that the table's TTL overlooks it
		if a.status < http.StatusMultipleChoices {
			claim.Answer, claim.ExpiresAt = a.answer(), time.Now().Add(idempotency.Keep)
		}
		if err := claims.SettleKey(context.WithoutCancel(r.Context()), claim); err != nil {
			log.ErrorContext(r.Context(), "keeping the answer of an idempotency key", "request", RequestID(r.Context()), "error", err.Error())
		}
		a.send(w)
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// claimOf reads the request whole, and puts its body back.
func claimOf(r *http.Request, key string) (idempotency.Claim, error) {
	if err := idempotency.Validate(key); err != nil {
		return idempotency.Claim{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxIdempotentBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return idempotency.Claim{}, problem.TooLarge("body-too-large", "the body is over %s", size(maxIdempotentBody)).Try("send less")
	}
	if err != nil {
		return idempotency.Claim{}, problem.Malformed("body-unreadable", "the body ended before it was complete").Try("send it again")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	who := PrincipalOf(r.Context())
	claim := idempotency.New(who.Org, who.Name, key, id.New(), r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"),
		r.Header.Get("If-Match"), string(body))
	claim.ExpiresAt = time.Now().Add(idempotency.Lease)
	return claim, nil
}

func replay(w http.ResponseWriter, r *http.Request, log *slog.Logger, claim, held idempotency.Claim) {
	answer, err := claim.Replay(held)
	if problem.Is(err, "idempotency-key-in-use") {
		w.Header().Set("Retry-After", retryAfter)
	}
	if err != nil {
		Fail(w, r, log, err)
		return
	}
	for name, value := range answer.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

func (a *recording) answer() *idempotency.Answer {
	kept := &idempotency.Answer{Status: a.status, Header: map[string]string{}, Body: a.body.Bytes()}
	for name := range a.header {
		kept.Header[name] = a.header.Get(name)
	}
	return kept
}
