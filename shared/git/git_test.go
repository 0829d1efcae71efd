package git_test

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/git"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

// host serves real repositories as git itself does, to who has the token.
type host struct {
	*httptest.Server
	dir   string
	token string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{dir: t.TempDir()}
	core, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("this test needs git: %v", err)
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); h.token != "" && password != h.token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	git.Open(policy.HTTPClient(20 * time.Second))
	return h
}

func (h *host) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", filepath.Join(h.dir, "acme", "shop.git")}, args...)...)
	cmd.Env = []string{"HOME=" + h.dir, "PATH=" + os.Getenv("PATH"), "GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@acme.example", "GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@acme.example"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit puts the files on a branch of the repository acme/shop.
func (h *host) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(h.dir, "acme", "shop.git")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		h.git(t, "init", "-q", "-b", "main")
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.git(t, "add", "-A")
	h.git(t, "commit", "-q", "--allow-empty", "-m", "x")
	return h.git(t, "rev-parse", "HEAD")
}

func (h *host) url() string { return h.URL + "/acme/shop.git" }

func TestFetch(t *testing.T) {
	h := newHost(t)
	first := h.commit(t, map[string]string{"deploy/values.yaml": "replicas: 1\n", "deploy/clusters/a.yaml": "replicas: 2\n", "chart/Chart.yaml": "name: shop\n"})
	h.git(t, "tag", "-a", "v1.0.0", "-m", "x")
	if err := os.Symlink("/etc/hostname", filepath.Join(h.dir, "acme", "shop.git", "link")); err != nil {
		t.Fatal(err)
	}
	second := h.commit(t, map[string]string{"deploy/values.yaml": "replicas: 3\n"})

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
		h.commit(t, files)
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
	h.commit(t, map[string]string{"a": "b"})
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
	h.commit(t, map[string]string{"zeros": strings.Repeat("\x00", 128<<20+1)})
	if _, err := git.Fetch(t.Context(), h.url(), "refs/heads/main", git.Credential{}); !problem.Is(err, "source-too-large") {
		t.Errorf("a bomb: %v", err)
	}
}
