package catalog_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

const (
	configured = "charts.example.com"
	password   = "hunter2hunter2"
)

// world is the hosts of a private internet with an authority of its own, and what each was sent.
type world struct {
	t       *testing.T
	server  *httptest.Server
	ca      authority
	hosts   map[string]http.HandlerFunc
	require map[string]bool // hosts that ask for a client's certificate

	mu   sync.Mutex
	sent map[string][]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ca: newAuthority(t), hosts: map[string]http.HandlerFunc{}, require: map[string]bool{}, sent: map[string][]string{}}
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		sent := r.Header.Get("Authorization")
		if len(r.TLS.PeerCertificates) > 0 {
			sent += " certificate"
		}
		w.sent[r.Host] = append(w.sent[r.Host], sent)
		w.mu.Unlock()
		if serve, ok := w.hosts[r.Host]; ok {
			serve(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	certificate, key := w.ca.issue(t, "*.example.com", "*.example.org", "example.com", "127.0.0.1")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	must(t, err)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	w.server.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config := w.server.TLS.Clone()
		config.GetConfigForClient, config.ClientAuth, config.ClientCAs = nil, tls.RequestClientCert, w.ca.pool()
		if w.require[hello.ServerName] {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return config, nil
	}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

// fetcher dials the one server for every host. Its own TLS trusts the authority, as the public ones are trusted; it has no redirect policy.
func (w *world) fetcher() *catalog.Fetcher {
	transport := func(trust *tls.Config) http.RoundTripper {
		return &http.Transport{TLSClientConfig: trust, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.server.Listener.Addr().String())
		}}
	}
	return catalog.NewFetcher(&http.Client{Transport: transport(&tls.Config{RootCAs: w.ca.pool(), MinVersion: tls.VersionTLS12})}, transport)
}

func (w *world) source(url string) catalog.Source {
	certificate, key := w.ca.issue(w.t, "client")
	return catalog.Source{
		Repository: repository.Repository{Name: "stable", URL: url, HasPassword: true, HasTLS: true},
		Credential: repository.Credential{Username: "robot", Password: password, CA: w.ca.pem(), Certificate: certificate, Key: key},
	}
}

// wantScoped looks at what each host was sent: the configured one all of it, the others nothing.
func (w *world) wantScoped(others ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for host, sent := range w.sent {
		for _, one := range sent {
			if host != configured && strings.TrimSpace(one) != "" {
				w.t.Errorf("%s was sent %q", host, one)
			}
			if host == configured && !strings.HasSuffix(one, " certificate") {
				w.t.Errorf("%s was sent %q without a certificate", host, one)
			}
		}
	}
	for _, host := range append(others, configured) {
		if len(w.sent[host]) == 0 {
			w.t.Errorf("%s was not asked at all", host)
		}
	}
}

func basic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "robot" || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func entryAt(url, digest string) string {
	return fmt.Sprintf("entries:\n  web:\n  - version: 1.2.3\n    digest: %q\n    urls: [%q]\n", digest, url)
}

func pages(pages map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		status, to, moved := strings.Cut(page, " -> ")
		switch {
		case !ok:
			http.NotFound(w, r)
		case moved:
			code := 0
			_, _ = fmt.Sscan(status, &code)
			http.Redirect(w, r, to, code)
		default:
			_, _ = io.WriteString(w, page)
		}
	}
}

// Wherever an index, an archive or a provenance file lies: the credentials go to the configured host alone.
func TestCredentialsStayAtTheirHost(t *testing.T) {
	t.Parallel()
	archive := string(archiveOf(t, ""))
	index, digest := entryAt("web.tgz", chart.Digest([]byte(archive))), chart.Digest([]byte(archive))
	const elsewhere, sibling, port = "other.example.org", "cdn.example.com", "charts.example.com:8443"
	cases := map[string]struct {
		configured map[string]string
		others     map[string]map[string]string
	}{
		"All at home":             {map[string]string{"/index.yaml": index, "/web.tgz": archive}, nil},
		"Archive named":           {map[string]string{"/index.yaml": entryAt("https://"+elsewhere+"/web.tgz", digest)}, map[string]map[string]string{elsewhere: {"/web.tgz": archive}}},
		"Archive at a sibling":    {map[string]string{"/index.yaml": entryAt("https://"+sibling+"/web.tgz", digest)}, map[string]map[string]string{sibling: {"/web.tgz": archive}}},
		"Archive at another port": {map[string]string{"/index.yaml": entryAt("https://"+port+"/web.tgz", digest)}, map[string]map[string]string{port: {"/web.tgz": archive}}},
		"Archive by //host":       {map[string]string{"/index.yaml": entryAt("//"+elsewhere+"/web.tgz", digest)}, map[string]map[string]string{elsewhere: {"/web.tgz": archive}}},
		"There and back": {
			map[string]string{"/index.yaml": index, "/web.tgz": "302 -> https://" + elsewhere + "/web.tgz", "/real.tgz": archive},
			map[string]map[string]string{elsewhere: {"/web.tgz": "302 -> https://" + configured + "/real.tgz"}},
		},
	}
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		cases["Archive moved by "+status] = struct {
			configured map[string]string
			others     map[string]map[string]string
		}{map[string]string{"/index.yaml": index, "/web.tgz": status + " -> https://" + elsewhere + "/web.tgz"}, map[string]map[string]string{elsewhere: {"/web.tgz": archive}}}
		cases["Index moved by "+status] = struct {
			configured map[string]string
			others     map[string]map[string]string
		}{map[string]string{"/index.yaml": status + " -> https://" + sibling + "/index.yaml", "/web.tgz": archive}, map[string]map[string]string{sibling: {"/index.yaml": index}}}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.hosts[configured], w.require[configured] = basic(pages(tc.configured)), tc.others[port] == nil
			var others []string
			for host, at := range tc.others {
				w.hosts[host], others = pages(at), append(others, host)
			}
			source := w.source("https://" + configured)
			found, err := w.fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "", source)
			must(t, err)
			got, err := w.fetcher().Fetch(t.Context(), found, source)
			must(t, err)
			if string(got) != archive {
				t.Errorf("got %d bytes", len(got))
			}
			_, _, err = w.fetcher().Versions(t.Context(), source, "web", catalog.Page{Limit: 5, Provenance: true})
			must(t, err)
			w.wantScoped(others...)
		})
	}
}

// An index may name a registry: at home it is read with the credentials, elsewhere without.
func TestCredentialsOfAnIndexThatNamesARegistry(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t, "")
	stored := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(stored)
	t.Cleanup(plain.Close)
	push(t, strings.TrimPrefix(plain.URL, "http://"), "org/web", "1.2.3", helmConfig, helmLayer, archive)
	for host, public := range map[string]bool{configured: false, "registry.example.com": true, "registry.example.org": true, "private.example.com": false} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			home := pages(map[string]string{"/index.yaml": entryAt("oci://"+host+"/org/web:1.2.3", "")})
			w.hosts[host] = stored.ServeHTTP
			if !public {
				w.hosts[host] = basic(stored.ServeHTTP)
			}
			registry := w.hosts[host]
			w.hosts[configured] = basic(func(rw http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/v2/") {
					registry(rw, r)
					return
				}
				home(rw, r)
			})
			source := w.source("https://" + configured)
			found, err := w.fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "", source)
			if host != configured && !public {
				wantCode(t, err, catalog.CodeUnauthorized)
				w.wantScoped(host)
				return
			}
			must(t, err)
			got, err := w.fetcher().Fetch(t.Context(), found, source)
			must(t, err)
			if chart.Digest(got) != chart.Digest(archive) {
				t.Errorf("got %d bytes", len(got))
			}
			w.wantScoped(host)
		})
	}
}

func TestCredentialsAreNotSentInTheClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosts[configured] = pages(map[string]string{"/index.yaml": "302 -> http://" + configured + "/index.yaml"})
	_, err := w.fetcher().Charts(t.Context(), w.source("https://"+configured), "")
	wantCode(t, err, catalog.CodeTLS)
	w.wantScoped()
}

// A registry has its tokens from itself, or from a service of its own site; from no other.
func TestRegistryCredentials(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t, "")
	stored := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(stored)
	t.Cleanup(plain.Close)
	push(t, strings.TrimPrefix(plain.URL, "http://"), "org/web", "1.2.3", helmConfig, helmLayer, archive)
	const token = "short-lived"
	tests := map[string]struct {
		realm, blobs string // hosts; no realm: basic authentication
		code         string
	}{
		"Basic":             {"", "", ""},
		"Own tokens":        {configured, "", ""},
		"Same site":         {"auth.example.com", "", ""},
		"Another site":      {"auth.example.org", "", catalog.CodeUnauthorized},
		"Blobs elsewhere":   {configured, "cdn.example.org", ""},
		"Blobs at the site": {configured, "cdn.example.com", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.require[configured] = true
			serve := stored.ServeHTTP
			if tc.blobs != "" {
				w.hosts[tc.blobs] = serve
			}
			home := func(rw http.ResponseWriter, r *http.Request) {
				if tc.blobs != "" && strings.Contains(r.URL.Path, "/blobs/") {
					http.Redirect(rw, r, "https://"+tc.blobs+r.URL.Path, http.StatusTemporaryRedirect)
					return
				}
				serve(rw, r)
			}
			w.hosts[configured] = basic(home)
			if tc.realm != "" {
				w.hosts[tc.realm] = basic(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"token":"`+token+`"}`) })
				tokens := w.hosts[tc.realm]
				w.hosts[configured] = func(rw http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/token":
						tokens(rw, r)
					case r.Header.Get("Authorization") == "Bearer "+token:
						home(rw, r)
					default:
						rw.Header().Set("WWW-Authenticate", `Bearer realm="https://`+tc.realm+`/token",service="charts"`)
						rw.WriteHeader(http.StatusUnauthorized)
					}
				}
			}
			source := w.source("oci://" + configured + "/org")
			found, err := w.fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "1.2.3", source)
			if tc.code != "" {
				wantCode(t, err, tc.code)
				w.wantScoped()
				return
			}
			must(t, err)
			got, err := w.fetcher().Fetch(t.Context(), found, source)
			must(t, err)
			if chart.Digest(got) != chart.Digest(archive) || found.Ref.Repository != "stable" {
				t.Errorf("got %d bytes of %+v", len(got), found)
			}
			delete(w.sent, map[bool]string{true: "auth.example.com"}[tc.realm == "auth.example.com"])
			w.wantScoped()
		})
	}
}

// Each refusal has its code and says what helps; none repeats what is secret.
func TestRefusalsOfARepository(t *testing.T) {
	t.Parallel()
	other := newAuthority(t)
	tests := map[string]struct {
		change func(*catalog.Source)
		code   string
	}{
		"Wrong password":        {func(s *catalog.Source) { s.Credential.Password = "another-" + password }, catalog.CodeUnauthorized},
		"No password":           {func(s *catalog.Source) { s.Credential.Username, s.Credential.Password = "", "" }, catalog.CodeUnauthorized},
		"Wrong authority":       {func(s *catalog.Source) { s.Credential.CA = other.pem() }, catalog.CodeTLS},
		"No client certificate": {func(s *catalog.Source) { s.Credential.Certificate, s.Credential.Key = "", "" }, catalog.CodeTLS},
		"Another's certificate": {func(s *catalog.Source) { s.Credential.Certificate, s.Credential.Key = other.issue(t, "client") }, catalog.CodeTLS},
	}
	for _, url := range []string{"https://" + configured, "oci://" + configured + "/org"} {
		for name, tc := range tests {
			t.Run(name+" "+url[:3], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.require[configured] = true
				w.hosts[configured] = basic(pages(map[string]string{"/index.yaml": "entries: {}"}))
				source := w.source(url)
				tc.change(&source)
				_, err := w.fetcher().Resolve(t.Context(), catalog.Ref{Repository: "stable", Name: "web"}, "1.2.3", source)
				wantCode(t, err, tc.code)
				if p, _ := problem.From(err); p != nil && (p.Remedy == "" || p.Status != http.StatusUnprocessableEntity) {
					t.Errorf("%d without a remedy: %v", p.Status, err)
				}
				if text := fmt.Sprintf("%v %+v", err, source.Credential); strings.Contains(text, password) || strings.Contains(text, "PRIVATE") {
					t.Errorf("it tells what is secret: %s", text)
				}
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if !problem.Is(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	certificate, err := x509.ParseCertificate(raw)
	must(t, err)
	return authority{certificate, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a authority) pem() string { return encode("CERTIFICATE", a.certificate.Raw) }

func (a authority) issue(t *testing.T, names ...string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return encode("CERTIFICATE", raw), encode("PRIVATE KEY", der)
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
