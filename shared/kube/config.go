package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/swell-sh/swell/shared/netguard"
)

const (
	userAgent      = "swell"
	requestTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // a cluster is a stranger too: no answer may fill the memory
)

// Option changes a Client that is being made.
type Option func(*options)

type options struct {
	wraps   []func(http.RoundTripper) http.RoundTripper
	timeout time.Duration
}

// WrapTransport puts wrap around the connection to the API server, under the authentication: for counting, for a simulated
// distance, for the fence that refuses mutations near the end of a lease. The last one given sees a request first.
func WrapTransport(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(o *options) { o.wraps = append(o.wraps, wrap) }
}

// timeout limits each request but watches; requestTimeout if not given.
func timeout(d time.Duration) Option {
	return func(o *options) { o.timeout = d }
}

// NewConfig makes the only kind of rest.Config there is in Swell: it dials through the policy, runs no plugins, reads no
// files and no environment, has no client-side rate limit, and shares one transport, so that the many REST clients
// that Helm makes share one connection and one TLS handshake.
func NewConfig(cred Credential, policy netguard.Policy, opts ...Option) (*rest.Config, error) {
	o := options{timeout: requestTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	server, err := url.Parse(cred.Server)
	if err != nil || server.Host == "" {
		return nil, errors.New("making a cluster's client: its server is not a URL")
	}
	if server.Scheme != "https" {
		return nil, errors.New("making a cluster's client: its server is not https")
	}
	if err := policy.CheckURL(server); err != nil {
		return nil, fmt.Errorf("making a cluster's client: %w", err)
	}
	base, err := newTransport(cred, policy)
	if err != nil {
		return nil, err
	}
	var transport http.RoundTripper = &bounds{next: base, host: server.Host, timeout: o.timeout}
	for _, wrap := range o.wraps {
		transport = wrap(transport)
	}
	return &rest.Config{
		Host:           cred.Server,
		BearerToken:    cred.Token,
		Username:       cred.Username,
		Password:       cred.Password,
		UserAgent:      userAgent,
		QPS:            -1,
		Transport:      transport,
		WarningHandler: rest.NoWarnings{}, // a deprecation is the chart's author's business
	}, nil
}

func newTransport(cred Credential, policy netguard.Policy) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cred.TLSServerName}
	if len(cred.CAData) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(cred.CAData) {
			return nil, errors.New("making a cluster's client: its CA holds no certificate")
		}
	}
	if len(cred.ClientCertData) > 0 {
		pair, err := tls.X509KeyPair(cred.ClientCertData, cred.ClientKeyData)
		if err != nil {
			return nil, errors.New("making a cluster's client: its client certificate and key do not match")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{
		DialContext:            policy.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
	}, nil
}

// bounds keeps a request on its host, an answer within its size and both within a time.
type bounds struct {
	next    http.RoundTripper
	host    string
	timeout time.Duration
}

// RoundTrip refuses another host: a redirect must not carry the credential away, which client-go would add to it.
func (b *bounds) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != b.host || r.URL.Scheme != "https" {
		return nil, errors.New("the API server redirects to another host")
	}
	watch := r.URL.Query().Get("watch")
	if b.timeout <= 0 || watch == "true" || watch == "1" {
		return b.limit(b.next.RoundTrip(r))
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	resp, err := b.limit(b.next.RoundTrip(r.WithContext(ctx)))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &ending{ReadCloser: resp.Body, end: cancel}
	return resp, nil
}

func (b *bounds) limit(resp *http.Response, err error) (*http.Response, error) {
	if err == nil {
		netguard.LimitBody(resp, maxAnswer)
	}
	return resp, err
}

// ending releases a request's time limit once its body was read.
type ending struct {
	io.ReadCloser
	end  context.CancelFunc
	once sync.Once
}

// Close closes the body and ends the time limit.
func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.once.Do(e.end)
	return err
}
