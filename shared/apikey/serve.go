package apikey

import (
	"log/slog"
	"net/http"

	"github.com/swell-sh/swell/shared/apigw"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/secrets"
)

// Serve makes a function of one that serves operations: who asks is known by key, and what is asked twice is done once.
func Serve(server http.Handler, store *dynamo.Store, keep *secrets.Store, installKey string, log *slog.Logger) apigw.Function {
	once := openapi.Idempotent(server, store, log)
	return apigw.Handle(openapi.Authenticate(once, Open(store, keep, installKey, log).Verify))
}
