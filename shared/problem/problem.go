// Package problem is what a user did wrong, or what Swell could not do, said so that a person can act and a program can branch.
package problem

import (
	"errors"
	"fmt"
	"net/http"
)

// Problem is an error for the caller of the API. It is rendered as an RFC 9457 problem document and never carries a secret.
type Problem struct {
	Status int    // HTTP status, 4xx or 503
	Code   string // stable, kebab-case: what a program branches on (docs/problems.md lists all)
	Detail string // what is wrong with which input, one sentence
	Field  string // the path of the field in the request, such as "valueOverrides.pke-demo"; empty if none
	Remedy string // what the caller can do, one sentence; empty if Detail says it
}

func (p *Problem) Error() string {
	s := p.Code + ": " + p.Detail
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	return s
}

// At returns a copy that names the field.
func (p *Problem) At(field string) *Problem {
	q := *p
	q.Field = field
	return &q
}

// Try returns a copy that names the remedy.
func (p *Problem) Try(format string, args ...any) *Problem {
	q := *p
	q.Remedy = fmt.Sprintf(format, args...)
	return &q
}

// Invalid is a 422: well-formed, but not acceptable.
func Invalid(code, format string, args ...any) *Problem {
	return of(http.StatusUnprocessableEntity, code, format, args...)
}

// Malformed is a 400: it cannot be read at all.
func Malformed(code, format string, args ...any) *Problem {
	return of(http.StatusBadRequest, code, format, args...)
}

// NotFound is a 404.
func NotFound(code, format string, args ...any) *Problem {
	return of(http.StatusNotFound, code, format, args...)
}

// Conflict is a 409: it would be acceptable, were the state another.
func Conflict(code, format string, args ...any) *Problem {
	return of(http.StatusConflict, code, format, args...)
}

// TooLarge is a 413.
func TooLarge(code, format string, args ...any) *Problem {
	return of(http.StatusRequestEntityTooLarge, code, format, args...)
}

// With is any other status.
func With(status int, code, format string, args ...any) *Problem {
	return of(status, code, format, args...)
}

func of(status int, code, format string, args ...any) *Problem {
	return &Problem{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// From finds the Problem in err's chain.
func From(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}

// Is says whether err's chain has a Problem of that code.
func Is(err error, code string) bool {
	p, ok := From(err)
	return ok && p.Code == code
}
