// Package client calls the HTTP API: the generated client, and how to make one.
package client

import (
	"context"
	"net/http"
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

// omitEmpty takes out the parameters that were not set: the generated code sends optional ones also when they are empty.
func omitEmpty(_ context.Context, r *http.Request) error {
	query := r.URL.Query()
	for name, values := range query {
		if len(values) == 1 && (values[0] == "" || name == "limit" && values[0] == "0") {
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
