package catalog

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/net/publicsuffix"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/repository"
)

// Source is a repository and what it is read with. The zero Source is of a chart that needs none.
type Source struct {
	repository.Repository
	Credential repository.Credential
}

func (s Source) String() string { return "repository " + s.Name }

// inRegistry names a chart of a repository that is a path in a registry.
func (s Source) inRegistry(name string) Ref {
	path := strings.TrimSuffix(strings.TrimPrefix(s.URL, "oci://"), "/")
	return Ref{OCI: path + "/" + name, Name: name}
}

func (s Source) owns(u *url.URL) bool {
	own, err := url.Parse(s.URL)
	return err == nil && s.URL != "" && repository.Authority(own) == repository.Authority(u)
}

func (s Source) authenticator() authn.Authenticator {
	if s.Credential.Password == "" {
		return authn.Anonymous
	}
	return &authn.Basic{Username: s.Credential.Username, Password: s.Credential.Password}
}

// reading is a Fetcher that has what the source is read with.
func (f *Fetcher) reading(source Source) (*Fetcher, error) {
	client := *f.client
	if !source.Credential.Empty() {
		trust, err := source.Credential.TLS()
		if err != nil {
			return nil, err
		}
		others := client.Transport
		if others == nil {
			others = http.DefaultTransport
		}
		client.Transport = scoped{source: source, own: f.trust(trust), others: others}
	}
	return &Fetcher{client: &client, trust: f.trust, source: source}, nil
}

// scoped sends a credential to the one host that it was given for, over TLS. Redirects, the URLs in an index and a registry's token service may
// name any host; each hop of each comes by here.
type scoped struct {
	source      Source
	own, others http.RoundTripper
}

func (s scoped) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, problem.Invalid(CodeTLS, "%s has credentials, and is not read without TLS", s.source).Try("Let its server speak https, and point to https alone.")
	}
	if !s.source.owns(r.URL) {
		if !s.mayAuthenticateAt(r) {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
		}
		return s.others.RoundTrip(r)
	}
	if s.source.Type() == repository.HTTP && s.source.Credential.Password != "" && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.SetBasicAuth(s.source.Credential.Username, s.source.Credential.Password)
	}
	return s.own.RoundTrip(r)
}

// mayAuthenticateAt says whether the request is for a token, at a service of the registry's own site. The registry named the service, over TLS
// with the repository's authority; its bearer token goes to the registry alone.
func (s scoped) mayAuthenticateAt(r *http.Request) bool {
	registry, err := url.Parse(s.source.URL)
	return err == nil && s.source.Type() == repository.OCI && r.Method == http.MethodGet &&
		strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") && sameSite(registry.Hostname(), r.URL.Hostname())
}

// sameSite is what a browser calls so: registry.gitlab.com and gitlab.com, but not two users of one public suffix.
func sameSite(a, b string) bool {
	for _, host := range []string{a, b} {
		if _, err := netip.ParseAddr(host); err == nil {
			return false
		}
	}
	siteA, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a))
	siteB, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b))
	return errA == nil && errB == nil && siteA == siteB
}

// unauthorized says who did not accept what.
func (f *Fetcher) unauthorized(where string, at *url.URL) error {
	p := problem.Invalid(CodeUnauthorized, "%s does not accept the credentials", where).At("chart")
	switch {
	case f.source.Name == "":
		return p.Try("Add it as a repository with its credentials: POST helm/repos.")
	case !f.source.owns(at):
		p.Detail = where + " wants credentials of its own"
		return p.Try("The repository points to another host, to which its credentials are not sent: upload the archive with POST helm/charts.")
	case f.source.Credential.Password == "":
		p.Detail = where + " wants credentials, or refuses those there are"
	}
	return p.Try("Give the repository its username and password with PUT helm/repos/{repo}.")
}

// rejected says whether a registry refused the credentials of the source.
func (f *Fetcher) rejected(refused *transport.Error) bool {
	return f.source.Name != "" && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden)
}

// distrust is why one side did not accept the other's certificate; empty where that is not what went wrong.
func distrust(err error) string {
	if ours, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ours.Err.Error()
	}
	// A server's refusal is an alert whose type is not exported.
	if _, alert, ok := strings.Cut(err.Error(), "remote error: tls: "); ok {
		alert, _, _ = strings.Cut(alert, ";")
		return "its server refuses the client's certificate, or misses one: " + alert
	}
	return ""
}
