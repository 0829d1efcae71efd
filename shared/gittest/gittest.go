// Package gittest serves a real Git repository over HTTP, as git itself does, for tests.
package gittest

import (
	"net/http"
	"net/http/cgi" //nolint:gosec // the fault it is known for was mended in Go 1.6.3
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

	tb   testing.TB
	root string
}

// New makes an empty one, which goes with the test.
func New(tb testing.TB) *Repository {
	tb.Helper()
	programs, err := exec.CommandContext(tb.Context(), "git", "--exec-path").Output()
	if err != nil {
		tb.Fatalf("this test needs git: %v", err)
	}
	r := &Repository{tb: tb, root: tb.TempDir()}
	r.Handler = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + r.root, "GIT_HTTP_EXPORT_ALL=1"},
	}
	if err := os.MkdirAll(r.Dir(), 0o700); err != nil {
		tb.Fatal(err)
	}
	r.Git("init", "-q", "-b", "main")
	return r
}

// Dir is the work tree.
func (r *Repository) Dir() string { return filepath.Join(r.root, filepath.FromSlash(Path)) }

// Git runs git there and returns what it prints.
func (r *Repository) Git(args ...string) string {
	r.tb.Helper()
	cmd := exec.CommandContext(r.tb.Context(), "git", args...) //nolint:gosec // a test says them
	cmd.Dir = r.Dir()
	cmd.Env = append(cmd.Environ(), "HOME="+r.root, "XDG_CONFIG_HOME="+r.root, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@acme.example", "GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@acme.example")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.tb.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit writes the files on the branch that is checked out, and returns the commit.
func (r *Repository) Commit(files map[string]string) string {
	r.tb.Helper()
	for name, text := range files {
		path := filepath.Join(r.Dir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.tb.Fatal(err)
		}
	}
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", "x")
	return r.Git("rev-parse", "HEAD")
}
