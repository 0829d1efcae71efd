package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

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

// answer is what every answer of the generated client has.
type answer interface {
	StatusCode() int
	Status() string
	ContentType() string
	GetBody() []byte
}

// read turns an answer into a T. Without a body T stays empty.
func read[T any, A answer](got A, err error) (T, error) {
	var body T
	if err != nil {
		return body, &unansweredError{inner(err)}
	}
	kind, _, _ := mime.ParseMediaType(got.ContentType())
	switch status := got.StatusCode(); {
	case status == http.StatusNoContent, status == http.StatusNotModified:
		return body, nil
	case status >= http.StatusBadRequest && kind == "application/problem+json":
		refused := &refusedError{}
		if err := json.Unmarshal(got.GetBody(), &refused.problem); err == nil {
			return body, refused
		}
	case status < http.StatusBadRequest && kind == "application/json":
		if err := json.Unmarshal(got.GetBody(), &body); err == nil {
			return body, nil
		}
	}
	return body, &unansweredError{fmt.Errorf("what answers is not Swell: %s", got.Status())}
}

// once makes a change under an idempotency key, and again under the same one where no answer came: it is done once all the same.
func once[T any, A answer](ctx context.Context, a *app, call func(key client.RequestEditorFn) (A, error)) (T, error) {
	const tries = 3
	key := client.WithIdempotencyKey(id.New())
	for try := 1; ; try++ {
		body, err := read[T](call(key))
		_, lost := errors.AsType[*unansweredError](err)
		refused, ok := errors.AsType[*refusedError](err)
		again := lost || ok && refused.problem.Code == "idempotency-key-in-use"
		if !again || try == tries || ctx.Err() != nil {
			return body, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(a.interval):
		}
	}
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
func (a *app) explain(ctx context.Context, cmd *cobra.Command, err error) {
	var refused *refusedError
	var unanswered *unansweredError
	var ended *endedError
	switch {
	case ctx.Err() != nil:
		a.complain("swell: interrupted; a run that was started goes on")
	case errors.As(err, &ended): // the watch has said it
	case errors.As(err, &refused):
		p := refused.problem
		a.complain("swell: %s", sentence(p.Detail))
		if p.Remedy != "" {
			a.complain("       %s", sentence(strings.ToUpper(p.Remedy[:1])+p.Remedy[1:]))
		}
		if known := notEmpty(p.Code, p.Field, p.Instance); len(known) > 0 { // nothing, where it was not the API that refused
			a.complain("       (%s)", strings.Join(known, ", "))
		}
	case errors.As(err, &unanswered):
		a.complain("swell: the API did not answer: %s", unanswered)
		a.complain("       Is SWELL_URL (%s) right, and is it up?", a.url)
	default:
		a.complain("swell: %s", sentence(err.Error()))
		if cmd.HasParent() {
			a.complain("       Usage: %s", cmd.UseLine())
		}
		a.complain("       See %s --help.", cmd.CommandPath())
	}
}

// complain writes a line to Err.
func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Err, format+"\n", args...)
}

// sentence ends s with a full stop.
func sentence(s string) string {
	if s = oneLine(s); s == "" {
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
