package netguard

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/problem"
)

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
)

// CheckURL refuses what can be refused before anything is resolved. It is a courtesy to the user, who learns it at once;
// the dialer is what protects. Plain http passes here if any network is allowed, and is refused on dialling any other.
func (p Policy) CheckURL(u *url.URL) error {
	if u.Scheme != "https" && (u.Scheme != "http" || len(p.Allowed) == 0) {
		return problem.Invalid("url-refused", "the URL's scheme is not https").Try("Use https.")
	}
	if u.User != nil {
		return problem.Invalid("url-refused", "the URL holds a user name or password")
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if u.Opaque != "" || host == "" {
		return problem.Invalid("url-refused", "the URL has no host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return problem.Invalid("url-refused", "the URL's port is not a number from 1 to 65535")
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return checkName(host)
	}
	if addr.Zone() != "" {
		return problem.Invalid("url-refused", "the URL's address has a zone")
	}
	check := p.Check
	if u.Scheme == "http" {
		check = p.checkPlain
	}
	if err := check(addr); err != nil {
		return problem.Invalid("url-refused", "the URL's host is %v", err).
			Try("Give an address that Swell may reach: the installation's parameter AllowedNetworks names the private networks that it may.")
	}
	return nil
}

// checkName refuses a host that a C library would read as an address and Go as a name: 2130706433, 0x7f.1, 0177.0.0.1.
func checkName(host string) error {
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	_, err := strconv.ParseUint(last, 0, 64)
	if err == nil || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return problem.Invalid("url-refused", "the URL's host is an address in an unusual spelling").Try("Write it as a.b.c.d or as a name.")
	}
	return nil
}

// HTTPClient is a client for URLs that users give: guarded at every dial and every redirect, of which it follows three,
// without the environment's proxy and without cookies. What the caller sets on a request (Authorization, any other header,
// a body) never reaches a second host. The answer's size is the caller's to limit, with LimitBody.
func (p Policy) HTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: checkRedirect,
		Transport:     p.Transport(nil),
	}
}

// Transport is that of HTTPClient, with the TLS given; nil is the system's. It knows no redirect: who follows one keeps to checkRedirect's rules.
func (p Policy) Transport(trust *tls.Config) http.RoundTripper {
	return &transport{
		policy: p,
		tls:    newTransport(p.dial(p.Check), trust),
		plain:  newTransport(p.dial(p.checkPlain), nil),
	}
}

func newTransport(dial func(context.Context, string, string) (net.Conn, error), trust *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        trust,
		DialContext:            dial,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
	}
}

// transport is two, since a dialer does not know which scheme it is dialling for.
type transport struct {
	policy     Policy
	tls, plain *http.Transport
}

// RoundTrip checks the URL of every hop, the first and the redirected ones.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.policy.CheckURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	if r.URL.Scheme == "http" {
		return t.plain.RoundTrip(r)
	}
	return t.tls.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() {
	t.tls.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// harmless are the headers that a second host may see.
var harmless = []string{"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Range"}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return problem.Invalid("url-refused", "the URL redirects more than %d times", maxRedirects)
	}
	r.Header.Del("Referer") // it would carry the query of a presigned URL to the next host
	previous := via[len(via)-1]
	if previous.URL.Scheme == "https" && r.URL.Scheme != "https" {
		return problem.Invalid("url-refused", "the URL redirects from https to %s", r.URL.Scheme)
	}
	left := false
	for _, hop := range append(via[1:len(via):len(via)], r) {
		left = left || hop.URL.Scheme != via[0].URL.Scheme || hop.URL.Host != via[0].URL.Host
	}
	if !left {
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return problem.Invalid("url-refused", "the URL redirects a %s to another host", r.Method)
	}
	kept := http.Header{}
	for _, name := range harmless {
		if values := r.Header.Values(name); len(values) > 0 {
			kept[name] = values
		}
	}
	r.Header = kept //nolint:gosec // this removes headers
	return nil
}

// TooLargeError is an answer that is longer than its reader takes.
type TooLargeError struct {
	Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer is longer than %d bytes", e.Limit)
}

// LimitBody makes reading the answer's body fail with a TooLargeError after limit bytes. An answer that announces more
// fails at its first read. The count is of what the caller reads: after decompression, if the transport did any.
func LimitBody(resp *http.Response, limit int64) {
	left := limit
	if resp.ContentLength > limit {
		left = -1
	}
	resp.Body = &limited{ReadCloser: resp.Body, limit: limit, left: left}
}

type limited struct {
	io.ReadCloser
	limit, left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, &TooLargeError{Limit: l.limit}
	}
	// One byte more than is left tells an answer that fits exactly from one that is too long.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n - 1, &TooLargeError{Limit: l.limit}
	}
	return n, err
}
