package openapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"

	"github.com/swell-sh/swell/shared/problem"
)

// Decode reads a JSON body of at most limit bytes. Whatever T does not have is refused, as is what T requires and the body lacks: a field
// is required where its tag has no omitempty. It does not judge values beyond their type and enumeration; the domain does.
func Decode[T any](r *http.Request, limit int64) (T, error) {
	var body T
	raw, err := ReadBody(r, "application/json", limit)
	if err != nil {
		return body, err
	}
	if !json.Valid(raw) {
		return body, notJSON(raw)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if null, err := checkValue(decoder, reflect.TypeFor[T](), ""); err != nil || null {
		return body, cmp.Or(err, notA("an object", "null", ""))
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return body, problem.Invalid("wrong-type", "the body does not fit: a number is out of range, or a time is not RFC 3339").
			Try("see /openapi.json for the type of each field")
	}
	return body, nil
}

// ReadBody reads a body of that content type and at most limit bytes.
func ReadBody(r *http.Request, contentType string, limit int64) ([]byte, error) {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || got != contentType {
		return nil, problem.With(http.StatusUnsupportedMediaType, "wrong-content-type", "the content type is %q", r.Header.Get("Content-Type")).
			At("Content-Type").Try("send %s", contentType)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, problem.TooLarge("body-too-large", "the body is over %s", size(limit)).Try("send %s at most", size(limit))
	}
	if err != nil {
		return nil, problem.Malformed("body-unreadable", "the body ended before it was complete").Try("send it again")
	}
	return raw, nil
}

func size(bytes int64) string {
	if bytes >= 1<<20 && bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	if bytes >= 1<<10 && bytes%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

func notJSON(raw []byte) error {
	p := problem.Malformed("not-json", "the body is not a JSON document").Try("send one JSON object")
	var any json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(raw, &any)); ok {
		p.Detail = fmt.Sprintf("the body is not a JSON document: it breaks at byte %d", e.Offset)
	}
	return p
}
