// Package keepreceivers is the routes of the keep-receivers function.
package keepreceivers

import (
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
)

// New serves the operations that si implements, and refuses what the contract does not have.
func New(si ServerInterface) http.Handler {
	mux := http.NewServeMux()
	HandlerWithOptions(si, StdHTTPServerOptions{
		BaseRouter:       mux,
		Middlewares:      []MiddlewareFunc{openapi.CheckParameters},
		ErrorHandlerFunc: openapi.WriteParameterProblem,
	})
	return openapi.Routes(mux)
}
