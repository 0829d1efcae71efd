package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/swell-sh/swell/shared/openapi"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// refusedError is a problem that the API answered.
type refusedError struct{ problem openapi.Problem }

func (e *refusedError) Error() string { return e.problem.Code + ": " + e.problem.Detail }

// unansweredError is an API that did not answer, or something else did.
type unansweredError struct{ cause error }

func (e *unansweredError) Error() string { return e.cause.Error() }
func (e *unansweredError) Unwrap() error { return e.cause }

// endedError is a run that ended otherwise than Succeeded.
type endedError struct{ run openapi.Run }

func (e *endedError) Error() string { return fmt.Sprintf("run %s ended %s", e.run.ID, e.run.Status) }

// read turns an answer of the generated client into a T. Without a body T stays empty.
func read[T any](answer *http.Response, err error) (T, error) {
	var body T
	if err != nil {
		return body, &unansweredError{inner(err)}
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return body, &unansweredError{fmt.Errorf("reading the answer: %w", err)}
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case answer.StatusCode == http.StatusNoContent, answer.StatusCode == http.StatusNotModified:
		return body, nil
	case answer.StatusCode >= http.StatusBadRequest && kind == "application/problem+json":
		refused := &refusedError{}
		if err := json.Unmarshal(raw, &refused.problem); err == nil {
			return body, refused
		}
	case answer.StatusCode < http.StatusBadRequest && kind == "application/json":
		if err := json.Unmarshal(raw, &body); err == nil {
			return body, nil
		}
	}
	return body, &unansweredError{fmt.Errorf("what answers at %s is not Swell: %s", answer.Request.URL.Redacted(), answer.Status)}
}

// inner takes the method and URL off an error of net/http, which may be long; the host stays in the error below.
func inner(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fmt.Errorf("no answer in time from %s", e.URL)
		}
		return e.Err
	}
	return err
}

func isProblem(err error, status int) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && refused.problem.Status == status
}

// explain says on Err why a command ended.
func (a *app) explain(ctx context.Context, err error) {
	var refused *refusedError
	var unanswered *unansweredError
	var ended *endedError
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.Err, "swell: interrupted; a run that was started goes on")
	case errors.As(err, &ended): // the watch has said it
	case errors.As(err, &refused):
		p := refused.problem
		fmt.Fprintf(a.Err, "swell: %s\n", sentence(p.Detail))
		if p.Remedy != "" {
			fmt.Fprintf(a.Err, "       %s\n", sentence(p.Remedy))
		}
		fmt.Fprintf(a.Err, "       (%s)\n", strings.Join(notEmpty(p.Code, p.Field, p.Instance), ", "))
	case errors.As(err, &unanswered):
		fmt.Fprintf(a.Err, "swell: the API did not answer: %s\n       Is SWELL_URL (%s) right, and is it up?\n", unanswered, a.url)
	default:
		fmt.Fprintf(a.Err, "swell: %s\n       See swell --help, or --help of a command.\n", sentence(err.Error()))
	}
}

// sentence ends s with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

func notEmpty(all ...string) []string {
	var some []string
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}
