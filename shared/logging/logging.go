// Package logging is how Swell logs: one JSON line each, with what the context knows, and without secrets.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// New makes a logger. Lines logged with a context carry the request's id and whatever With added.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})})
}

type fieldsKey struct{}

// With returns a context whose lines carry the attributes too; args are as slog's.
func With(ctx context.Context, args ...any) context.Context {
	var r slog.Record
	r.Add(args...)
	fields := slices.Clone(fieldsOf(ctx))
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, a)
		return true
	})
	return context.WithValue(ctx, fieldsKey{}, fields)
}

func fieldsOf(ctx context.Context) []slog.Attr {
	fields, _ := ctx.Value(fieldsKey{}).([]slog.Attr)
	return fields
}

// handler adds what the context knows.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("requestId", lc.AwsRequestID))
	}
	r.AddAttrs(fieldsOf(ctx)...)
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// The names that are never logged with their value, whatever stands around them.
var secretNames = []string{"token", "kubeconfig", "password", "secret", "authorization", "credential", "apikey"}

// redact is the last net: types that hold secrets print nothing by themselves. It sees names of attributes, not of a struct's fields.
func redact(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(a.Key)
	secret := name == "values" || name == "valueoverrides" ||
		slices.ContainsFunc(secretNames, func(s string) bool { return strings.Contains(name, s) })
	if secret {
		return slog.String(a.Key, "[redacted]")
	}
	return a
}
