// Package openapi is the contract of the HTTP API: its document, the types generated from it, and what every function does alike with a
// request and an answer.
package openapi

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.gen.json
var document []byte

// ServeDocument answers the document.
func ServeDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document)
}
