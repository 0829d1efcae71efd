package openapi

import (
	"bytes"
	"maps"
	"net/http"
)

// recording is an answer that is looked at before it is sent.
type recording struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// record lets next answer to a recording.
func record(next http.Handler, r *http.Request) *recording {
	a := &recording{header: http.Header{}}
	next.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK)
	return a
}

func (a *recording) Header() http.Header { return a.header }

func (a *recording) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *recording) Write(body []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(body)
}

func (a *recording) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}
