package openapi

import (
	"log/slog"
	"net/http"

	"github.com/swell-sh/swell/shared/problem"
)

// Fail answers err as a problem; what is not the caller's fault is logged, once, here.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if _, ok := problem.From(err); !ok {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "request", RequestID(r.Context()), "error", err.Error())
	}
	WriteProblem(w, r, err)
}
