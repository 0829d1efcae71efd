package git_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/git"
	"github.com/swell-sh/swell/shared/gittest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

// host serves real repositories as git itself does, to who has the token.
type host struct {
	*httptest.Server
	*gittest.Repository
	token string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{Repository: gittest.New(t)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); h.token != "" && password != h.token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	git.Open(policy.HTTPClient(20 * time.Second))
	return h
}

func (h *host) url() string { return h.URL + gittest.Path }

func TestFetch(t *testing.T) {
	h := newHost(t)
	first := h.Commit(map[string]string{"deploy/values.yaml": "replicas: 1\n", "deploy/clusters/a.yaml": "replicas: 2\n", "chart/Chart.yaml": "name: shop\n"})
	h.Git("tag", "-a", "v1.0.0", "-m", "x")
	if err := os.Symlink("/etc/hostname", filepath.Join(h.Dir(), "link")); err != nil {
		t.Fatal(err)
	}
	second := h.Commit(map[string]string{"deploy/values.yaml": "replicas: 3\n"})

	s, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.File("deploy/values.yaml")
	if s.Commit != second || err != nil || string(raw) != "replicas: 3\n" {
		t.Errorf("commit %s, want %s; file %q, %v", s.Commit, second, raw, err)
	}
	files, err := s.Dir("deploy")
	if diff := cmp.Diff(map[string][]byte{"values.yaml": []byte("replicas: 3\n"), "clusters/a.yaml": []byte("replicas: 2\n")}, files); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	for _, name := range []string{"none", "link", "deploy"} {
		if _, err := s.File(name); !problem.Is(err, "source-path-missing") {
			t.Errorf("file %s: %v", name, err)
		}
	}
	if _, err := s.Dir("none"); !problem.Is(err, "source-path-missing") {
		t.Errorf("no directory: %v", err)
	}
	if s, err = git.Fetch(t.Context(), h.url(), "refs/tags/v1.0.0", git.Credential{}); err != nil || s.Commit != first {
		t.Errorf("an annotated tag is at %v, %v; want %s", s, err, first)
	}
	refs, err := git.Refs(t.Context(), h.url(), git.Credential{})
	if err != nil || refs["refs/heads/main"] != second || refs["refs/tags/v1.0.0"] != first {
		t.Errorf("refs %v, %v", refs, err)
	}
	if diff := cmp.Diff([]string{"v1.0.0"}, git.Names(refs)); diff != "" {
		t.Error(diff)
	}
}

func TestADirectoryThatIsTooLarge(t *testing.T) {
	h := newHost(t)
	many, large, fits := map[string]string{}, map[string]string{}, map[string]string{}
	for n := range 1001 {
		many[fmt.Sprint("many/", n)] = ""
	}
	for n := range 17 {
		large[fmt.Sprint("large/", n)] = strings.Repeat(fmt.Sprintln(n), 1<<20)[:1<<20]
	}
	for n := range 16 {
		fits[fmt.Sprint("fits/", n)] = large[fmt.Sprint("large/", n)]
	}
	for _, files := range []map[string]string{many, large, fits, {"huge/one": strings.Repeat("x", 1<<20+1)}} {
		h.Commit(files)
	}
	s, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	for dir, refused := range map[string]bool{"many": true, "large": true, "huge": true, "fits": false} {
		if _, err := s.Dir(dir); problem.Is(err, "source-too-large") != refused || !refused && err != nil {
			t.Errorf("directory %s: %v", dir, err)
		}
	}
}

func TestFetchRefused(t *testing.T) {
	h := newHost(t)
	h.Commit(map[string]string{"a": "b"})
	if _, err := git.Fetch(t.Context(), h.url(), "refs/heads/none", git.Credential{}); !problem.Is(err, "source-ref-missing") {
		t.Errorf("no branch: %v", err)
	}
	h.token = "hunter2"
	for _, token := range []string{"", "wrong"} {
		_, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{Token: token})
		if !problem.Is(err, "source-unauthorized") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if _, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{Token: "hunter2"}); err != nil {
		t.Error(err)
	}
	moved := httptest.NewServer(http.RedirectHandler(h.URL+"/acme/shop.git/info/refs?service=git-upload-pack", http.StatusFound))
	defer moved.Close()
	if _, err := git.Fetch(t.Context(), moved.URL+"/acme/shop.git", "refs/heads/main", git.Credential{Token: "hunter2"}); !problem.Is(err, "source-moved") {
		t.Errorf("moved to another host: %v", err)
	}
	if _, err := git.Fetch(t.Context(), "http://10.1.2.3/acme/shop.git", "refs/heads/main", git.Credential{}); !problem.Is(err, "url-refused") {
		t.Errorf("an address that may not be reached: %v", err)
	}
}

// A pack of a few kilobytes that unpacks to more than a function has.
func TestFetchOfABomb(t *testing.T) {
	h := newHost(t)
	h.Commit(map[string]string{"zeros": strings.Repeat("\x00", 128<<20+1)})
	if _, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{}); !problem.Is(err, "source-too-large") {
		t.Errorf("a bomb: %v", err)
	}
}
