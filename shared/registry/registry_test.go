package registry_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
