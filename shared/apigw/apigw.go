// Package apigw serves an http.Handler to API Gateway: HTTP APIs, payload version 2.0.
package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/openapi"
)

// Function is what lambda.Start takes.
type Function func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Handle makes a function of a handler. The request's id goes into its context. Cookies are not carried: the API has none.
func Handle(handler http.Handler) Function {
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		r, err := Request(ctx, event)
		if err != nil {
			return events.APIGatewayV2HTTPResponse{}, err
		}
		w := &answer{header: http.Header{}}
		handler.ServeHTTP(w, r)
		return w.response(), nil
	}
}

// Request makes a request of an event.
func Request(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, fmt.Errorf("decoding the body of request %s: %w", event.RequestContext.RequestID, err)
		}
		body = decoded
	}
	ctx = openapi.WithRequestID(ctx, event.RequestContext.RequestID)
	r, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, "/", io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("reading request %s: %w", event.RequestContext.RequestID, err)
	}
	r.URL = target(event)
	r.RequestURI = r.URL.RequestURI()
	r.ContentLength = int64(len(body))
	for name, value := range event.Headers { // a header given more than once comes joined by commas, as HTTP allows
		r.Header.Set(name, value)
	}
	r.Host = event.RequestContext.DomainName
	r.RemoteAddr = event.RequestContext.HTTP.SourceIP
	return r, nil
}

// target is the path and query, without the stage that the path begins with unless the stage is $default.
func target(event events.APIGatewayV2HTTPRequest) *url.URL {
	raw := event.RawPath
	if stage := event.RequestContext.Stage; stage != "" && stage != "$default" {
		if rest, ok := strings.CutPrefix(raw, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			raw = rest
		}
	}
	if raw == "" {
		raw = "/"
	}
	u := &url.URL{Path: raw, RawQuery: event.RawQueryString}
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath = path, raw
	}
	return u
}

// answer keeps what a handler writes. It is an http.ResponseWriter.
type answer struct {
	header http.Header
	sent   http.Header // the header as it was when the status was written
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// response is the answer as API Gateway takes it: text as it is, anything else in base64.
func (a *answer) response() events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)
	out := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: make(map[string]string, len(a.sent))}
	for name, values := range a.sent {
		out.Headers[name] = strings.Join(values, ", ") // the payload has no place for a header twice; ours may all be joined
	}
	if body := a.body.Bytes(); utf8.Valid(body) && a.sent.Get("Content-Encoding") == "" {
		out.Body = string(body)
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return out
}
