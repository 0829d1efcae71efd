package helm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// guard stands in the transport of a verb: it counts requests, and refuses every mutation from stopAt on, by wall clock (a frozen
// process thaws with an old monotonic one), or once halt was called. What it cannot take back are requests in flight: one, or as many
// as are sent side by side for one kind of object.
type guard struct {
	stopAt   time.Time
	requests atomic.Int64
	halted   atomic.Pointer[Error]
	lost     atomic.Pointer[error] // the last failure to get an answer that counts
}

// wrap puts the guard before next.
func (g *guard) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if err := g.refuse(req); err != nil {
			if req.Body != nil {
				err = errors.Join(err, req.Body.Close())
			}
			return nil, err
		}
		g.requests.Add(1)
		res, err := next.RoundTrip(g.late(req))
		if lost := unanswered(req, res, err); lost != nil {
			g.lost.Store(&lost)
		}
		return res, err
	})
}

// unanswered says why a request got no answer that counts: none at all, or one of a server that had no time for an object. An API that is not
// served for now is none of it: a cluster whose metrics are away answers 503 to each look at what it serves.
func unanswered(req *http.Request, res *http.Response, err error) error {
	if err != nil {
		return err
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if strings.Count(req.URL.Path, "/") > strings.Count("/apis/group/version", "/") {
			return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, res.Status)
		}
	}
	return nil
}

// late looks again when a mutation's body is sent, which may be long after RoundTrip began: the process may have been frozen in between.
// A server acts on no request whose body does not end.
func (g *guard) late(req *http.Request) *http.Request {
	if !mutates(req) || req.Body == nil || req.Body == http.NoBody {
		return req
	}
	watched := *req
	watched.Body = &watchedBody{req.Body, g, req}
	if get := req.GetBody; get != nil {
		watched.GetBody = func() (io.ReadCloser, error) {
			body, err := get()
			return &watchedBody{body, g, req}, err
		}
	}
	return &watched
}

type watchedBody struct {
	io.ReadCloser
	guard *guard
	req   *http.Request
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if refused := b.guard.refuse(b.req); refused != nil {
		return 0, refused
	}
	return n, err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (g *guard) refuse(req *http.Request) error {
	if !mutates(req) {
		return nil
	}
	if now := time.Now(); !now.Round(0).Before(g.stopAt) {
		g.halt(errorf(CodeMutationRefused, "the lease is about to end, so nothing is written any more; the next run repairs what is left"))
	}
	if err := g.halted.Load(); err != nil {
		return fmt.Errorf("refusing %s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// halt refuses every later mutation. The first reason stays.
func (g *guard) halt(why *Error) { g.halted.CompareAndSwap(nil, why) }

// mutates: reviews of oneself are POSTs that store nothing.
func mutates(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	case http.MethodPost:
		for _, review := range []string{"/selfsubjectreviews", "/selfsubjectaccessreviews", "/selfsubjectrulesreviews"} {
			if strings.HasSuffix(req.URL.Path, review) {
				return false
			}
		}
	}
	return true
}
