// Package receivewebhook is the routes of the receive-webhook function.
package receivewebhook

import (
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
)

// New serves the operations that si implements. Query parameters are the sender's own business: some hosts add theirs.
func New(si ServerInterface) http.Handler {
	mux := http.NewServeMux()
	HandlerWithOptions(si, StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: openapi.WriteParameterProblem})
	return openapi.Routes(mux)
}
