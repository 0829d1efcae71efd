package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	server "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/registry"
)

func TestHighest(t *testing.T) {
	tags := []string{"latest", "1.2.3", "v1.10.0", "1.9.9", "2.0.0", "2.1.0-rc.1", "1.10.0_build.1", "sha-abcdef", "1.2"}
	for within, want := range map[string]string{"^1.2": "v1.10.0", "~1.2": "1.2.3", ">=2": "2.0.0", ">=2.1.0-0": "2.1.0-rc.1", "^3": "", "*": "2.0.0"} {
		if got, err := registry.Highest(tags, within); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", within, got, err, want)
		}
	}
	if _, err := registry.Highest(tags, "newest"); !problem.Is(err, "source-invalid") {
		t.Errorf("no range: %v", err)
	}
	for want, tags := range map[string][]string{"v2.0.0": {"v1.0.0", "v2.0.0", "v3.0.0-rc.1"}, "v3.0.0-rc.1": {"v3.0.0-rc.1", "x"}, "": {"x"}} {
		if got := registry.HighestOf(tags); got != want {
			t.Errorf("%v: %q, want %q", tags, got, want)
		}
	}
}

func TestTags(t *testing.T) {
	token := ""
	images := server.New(server.Logger(log.New(io.Discard, "", 0)))
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	defer host.Close()
	for n := range 3 {
		ref, err := name.ParseReference(fmt.Sprintf("%s/acme/shop:1.%d.0", host.Listener.Addr(), n))
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, empty.Image); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	guarded := policy.HTTPClient(10 * time.Second)
	token = "hunter2"
	got, err := registry.Tags(t.Context(), guarded, host.URL, "acme/shop", registry.Credential{Token: "hunter2"})
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0", "1.2.0"}, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	if _, err := registry.Tags(t.Context(), guarded, host.URL, "acme/shop", registry.Credential{}); !problem.Is(err, "source-unauthorized") {
		t.Errorf("without the token: %v", err)
	}
	token = ""
	if _, err := registry.Tags(t.Context(), guarded, host.URL, "acme/none", registry.Credential{}); !problem.Is(err, "source-image-missing") {
		t.Errorf("no image: %v", err)
	}
	if _, err := registry.Tags(t.Context(), netguard.Policy{}.HTTPClient(time.Second), host.URL, "acme/shop", registry.Credential{}); !problem.Is(err, "url-refused") {
		t.Errorf("an address that may not be reached: %v", err)
	}
}

// A registry sends whoever asks to a token service. Over https it may not name one over http, where the token would be seen.
func TestTheTokenGoesNowhereInTheClear(t *testing.T) {
	asked := 0
	tokens := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked++
		_, _ = w.Write([]byte(`{"token": "t"}`))
	})
	plain := httptest.NewServer(tokens)
	defer plain.Close()
	realm := ""
	registries := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			tokens(w, r)
		case r.Header.Get("Authorization") != "Bearer t":
			w.Header().Set("WWW-Authenticate", `Bearer service="x",realm="`+realm+`"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte(`{"name": "acme/shop", "tags": ["1.0.0"]}`))
		}
	})
	overHTTP, overTLS := httptest.NewServer(registries), httptest.NewTLSServer(registries)
	defer overHTTP.Close()
	defer overTLS.Close()
	roots := x509.NewCertPool()
	roots.AddCert(overTLS.Certificate())
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		registry, realm string
		refused         bool
	}{
		"https to http":   {overTLS.URL, plain.URL + "/token", true},
		"https to HTTP":   {overTLS.URL, strings.Replace(plain.URL, "http", "HTTP", 1) + "/token", true},
		"https to itself": {overTLS.URL, overTLS.URL + "/token", false},
		"http to itself":  {overHTTP.URL, overHTTP.URL + "/token", false},
	} {
		t.Run(name, func(t *testing.T) {
			asked, realm = 0, c.realm
			guarded := policy.HTTPClient(10 * time.Second)
			guarded.Transport = policy.Transport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
			tags, err := registry.Tags(t.Context(), guarded, c.registry, "acme/shop", registry.Credential{Token: "hunter2"})
			if problem.Is(err, "url-refused") != c.refused || (asked == 0) != c.refused || (len(tags) == 0) != c.refused {
				t.Errorf("%v, %v; the token was sent %d times", tags, err, asked)
			}
		})
	}
}
