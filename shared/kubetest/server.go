// Package kubetest is a small Kubernetes API server in memory, over real HTTP and TLS, that counts what it is asked.
//
// It knows the usual types and those of the CustomResourceDefinitions it is given; it keeps objects with resourceVersions,
// answers watches, and reports workloads ready at once. It has no controllers (no Pods appear for a Deployment), no
// validation against schemas, no admission and no server-side-apply ownership: what needs those is tested on a real one.
package kubetest

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/swell-sh/swell/shared/kube"
)

// Options are the server's properties at its start; the zero value is a ready cluster of three nodes.
type Options struct {
	Version  string        // gitVersion of /version; v1.36.3 if empty
	UID      string        // of the kube-system namespace; random if empty
	Nodes    int           // 3 if zero, none if negative
	Delay    time.Duration // before every answer: the simulated round trip
	NotReady bool          // workloads are stored, but never become ready
}

// Request is one request that the server received.
type Request struct {
	Method      string
	Verb        string // get list watch create update patch delete deletecollection; discovery, openapi, version; else the method
	Group       string
	Resource    string // plural, such as "deployments"; empty for a non-resource path
	Namespace   string
	Name        string
	Subresource string
	Path        string
	Query       string
	UserAgent   string
	Accept      string
}

// Server is the API server. All methods may be called at any time from any goroutine.
type Server struct {
	http  *httptest.Server
	token string
	opts  Options

	connections atomic.Int64

	mu       sync.Mutex
	objects  map[schema.GroupVersionResource]map[key]object
	events   []event
	changed  chan struct{} // closed and replaced at every change
	version  int64
	requests []Request
	delay    time.Duration
	notReady bool
	log      string
	fail     func(*http.Request) *metav1.Status
	lose     func(*http.Request) bool
}

// connection is the key of the net.Conn in a request's context.
type connection struct{}

// New starts a server. If t is not nil, its end closes the server.
func New(t interface{ Cleanup(func()) }, opts Options) *Server {
	if opts.Version == "" {
		opts.Version = "v1.36.3"
	}
	if opts.Nodes == 0 {
		opts.Nodes = 3
	}
	if opts.UID == "" {
		opts.UID = uuid.NewString()
	}
	s := &Server{
		token: rand.Text(), opts: opts, delay: opts.Delay, notReady: opts.NotReady,
		objects: map[schema.GroupVersionResource]map[key]object{}, changed: make(chan struct{}),
	}
	s.seed()
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.EnableHTTP2 = true
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	s.http.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connection{}, conn)
	}
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.http.StartTLS()
	if t != nil {
		t.Cleanup(s.Close)
	}
	return s
}

func (s *Server) seed() {
	for _, name := range []string{"default", "kube-public", "kube-system"} {
		s.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
	}
	for i := range max(s.opts.Nodes, 0) {
		s.Put(map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": fmt.Sprintf("node-%d", i+1)}})
	}
}

// Close stops the server; requests under way, watches among them, are cut.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the server's address, https on loopback.
func (s *Server) URL() string { return s.http.URL }

// UID is that of the kube-system namespace: the cluster's identity.
func (s *Server) UID() string { return s.opts.UID }

// CA is the certificate to trust, as PEM.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
}

// Credential reaches the server with all rights.
func (s *Server) Credential() kube.Credential {
	return kube.Credential{Server: s.URL(), CAData: s.CA(), Token: s.token}
}

// Kubeconfig is Credential as a user would upload it.
func (s *Server) Kubeconfig() []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: test, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, s.URL(), base64Text(s.CA()), s.token)
}

// SetDelay sets the time before every later answer.
func (s *Server) SetDelay(d time.Duration) { s.locked(func() { s.delay = d }) }

// SetReady says whether workloads that are written from now on report themselves ready.
func (s *Server) SetReady(ready bool) { s.locked(func() { s.notReady = !ready }) }

// Fail sets the fault hook: a request for which it returns a status is answered with it. Nil removes the hook.
func (s *Server) Fail(hook func(*http.Request) *metav1.Status) { s.locked(func() { s.fail = hook }) }

// Lose sets the hook of lost answers: a request for which it returns true is carried out, and then its connection is cut. Nil removes the hook.
func (s *Server) Lose(hook func(*http.Request) bool) { s.locked(func() { s.lose = hook }) }

// Cut ends the connection that the request came on, with all that is under way there. In a hook given to Fail it is the end of the request.
func Cut(r *http.Request) {
	if conn, ok := r.Context().Value(connection{}).(net.Conn); ok {
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // net/http ends the request by it, not the process
}

// Requests are all requests since the start or the last reset, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ResetRequests forgets the requests.
func (s *Server) ResetRequests() { s.locked(func() { s.requests = nil }) }

// Count counts the requests with that verb on that resource; an empty argument matches all.
func (s *Server) Count(verb, resource string) int {
	n := 0
	for _, r := range s.Requests() {
		if (verb == "" || r.Verb == verb) && (resource == "" || r.Resource == resource) {
			n++
		}
	}
	return n
}

// Connections is how many connections were ever opened.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Writes counts the requests that change something: a dry run does not.
func (s *Server) Writes() int {
	n := 0
	for _, r := range s.Requests() {
		switch r.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			if !strings.Contains(r.Query, "dryRun=All") {
				n++
			}
		}
	}
	return n
}

func (s *Server) locked(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	at := parsePath(r)
	s.mu.Lock()
	s.requests = append(s.requests, at.request(r))
	delay, fail, lose := s.delay, s.fail, s.lose
	s.mu.Unlock()

	if !sleep(r.Context(), delay) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		writeStatus(w, status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized"))
		return
	}
	if fail != nil {
		if st := fail(r); st != nil {
			writeStatus(w, st)
			return
		}
	}
	if lose != nil && lose(r) {
		s.answer(httptest.NewRecorder(), r, at)
		Cut(r)
	}
	s.answer(w, r, at)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, at place) {
	switch {
	case at.verb == "discovery":
		s.discover(w, r)
	case at.verb == "openapi":
		s.openapi(w, r)
	case at.verb == "version":
		major, minor, _ := strings.Cut(strings.TrimPrefix(s.opts.Version, "v"), ".")
		minor, _, _ = strings.Cut(minor, ".")
		writeJSON(w, http.StatusOK, map[string]any{
			"major": major, "minor": minor, "gitVersion": s.opts.Version, "gitCommit": "", "gitTreeState": "clean",
			"buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
		})
	case at.resource == "pods" && at.subresource == "log":
		s.writeLog(w, r)
	case at.resource != "":
		s.serveResource(w, r, at)
	default:
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource"))
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
