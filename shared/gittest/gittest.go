// Package gittest serves a real Git repository over HTTP, as git itself does, for tests.
package gittest

import (
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Path is where a Repository is on the server that it handles the requests of.
const Path = "/acme/shop.git"

// Repository is one with a work tree, whose first branch is main. It needs the program git, and nobody's settings of it.
type Repository struct {
	http.Handler

	t    testing.TB
	root string
}

// New makes an empty one, which goes with the test.
func New(t testing.TB) *Repository {
	t.Helper()
	programs, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("this test needs git: %v", err)
	}
	r := &Repository{t: t, root: t.TempDir()}
	r.Handler = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + r.root, "GIT_HTTP_EXPORT_ALL=1"},
	}
	if err := os.MkdirAll(r.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	r.Git("init", "-q", "-b", "main")
	return r
}

// Dir is the work tree.
func (r *Repository) Dir() string { return filepath.Join(r.root, filepath.FromSlash(Path)) }

// Git runs git there and returns what it prints.
func (r *Repository) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.Dir()
	cmd.Env = []string{
		"HOME=" + r.root, "PATH=" + os.Getenv("PATH"),
		"GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@acme.example", "GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@acme.example",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit writes the files on the branch that is checked out, and returns the commit.
func (r *Repository) Commit(files map[string]string) string {
	r.t.Helper()
	for name, text := range files {
		path := filepath.Join(r.Dir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", "x")
	return r.Git("rev-parse", "HEAD")
}
