// Package client calls the HTTP API: the generated client, and how to make one.
package client

import (
	"context"
	"net/http"

	"github.com/swell-sh/swell/shared/idempotency"
)

// New returns a client of the installation at url, with that key.
func New(url, key string, doer HttpRequestDoer) (*ClientWithResponses, error) {
	return NewClientWithResponses(url, WithHTTPClient(doer), WithRequestEditorFn(omitEmpty), WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			return nil
		}))
}

// WithIdempotencyKey sends a change under that key, so that it may be sent again.
func WithIdempotencyKey(key string) RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(idempotency.Header, key)
		return nil
	}
}

// omitEmpty takes out the parameters that were not set: the generated code sends optional ones also when they are empty.
func omitEmpty(_ context.Context, r *http.Request) error {
	query := r.URL.Query()
	for name, values := range query {
		if len(values) == 1 && (values[0] == "" || (name == "limit" || name == "to") && values[0] == "0") {
			query.Del(name)
		}
	}
	r.URL.RawQuery = query.Encode()
	for name := range r.Header {
		if r.Header.Get(name) == "" {
			r.Header.Del(name)
		}
	}
	return nil
}
