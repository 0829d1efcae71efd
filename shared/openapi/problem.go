package openapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/swell-sh/swell/shared/problem"
)

const problemType = "https://github.com/swell-sh/swell/blob/main/docs/problems.md#"

type requestIDKey struct{}

// WithRequestID gives a request's context the id that a person can quote and a log can be searched for.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request's id, or nothing.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WriteProblem answers err: a problem.Problem as its document; anything else as 500 with the request's id and nothing of the error's text,
// which the caller logs.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	id := RequestID(r.Context())
	p, ok := problem.From(err)
	if !ok {
		p = problem.With(http.StatusInternalServerError, "internal", "something went wrong in Swell").
			Try("try again; if it stays, look for the request's id in the logs of the installation")
	}
	doc := Problem{
		Type: problemType + p.Code, Title: http.StatusText(p.Status), Status: p.Status,
		Detail: p.Detail, Code: p.Code, Field: p.Field, Remedy: p.Remedy,
	}
	if id != "" {
		doc.Instance = "request:" + id
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="swell"`)
	}
	write(w, p.Status, "application/problem+json", doc)
}

// Write answers body as JSON. A required list or map that is nil is written empty, as the document says.
func Write(w http.ResponseWriter, status int, body any) {
	write(w, status, "application/json", fill(body))
}

func write(w http.ResponseWriter, status int, contentType string, body any) {
	raw, err := json.Marshal(body)
	if err != nil { // only a value that JSON has no word for, such as a NaN in values
		status, contentType = http.StatusInternalServerError, "application/problem+json"
		raw = []byte(`{"type":"` + problemType + `internal","title":"Internal Server Error","status":500,"code":"internal","detail":"something went wrong in Swell"}`)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}
