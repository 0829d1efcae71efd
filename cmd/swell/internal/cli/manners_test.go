package cli_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/swell-sh/swell/cmd/swell/internal/cli"
)

// wire is what stands between the command line and an installation: it notes requests, and cuts off the first lose answers to a POST of a
// deployment, as a network may.
type wire struct {
	next http.Handler
	lose int

	mu   sync.Mutex
	seen []*http.Request
}

func (n *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.seen = append(n.seen, r)
	lost := n.lose > 0 && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/deployments")
	if lost {
		n.lose--
	}
	n.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler)
	}
	n.next.ServeHTTP(w, r)
}

// headers are those of that name of the requests with the method and the end of the path.
func (n *wire) headers(method, path, name string) (found []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.seen {
		if r.Method == method && strings.HasSuffix(r.URL.Path, path) {
			found = append(found, r.Header.Get(name))
		}
	}
	return found
}

func swellOn(t *testing.T, n *wire, args ...string) (code int, out string) {
	t.Helper()
	if n.next == nil {
		n.next = newInstallation(filepath.Join(t.TempDir(), "last.json"))
	}
	server := httptest.NewServer(n)
	defer server.Close()
	var said bytes.Buffer
	env := map[string]string{"SWELL_URL": server.URL + "/_aws/execute-api/x/$default", "SWELL_TOKEN": "good"}
	code = cli.Main(t.Context(), cli.Process{Args: append(args, "--interval", "1ms"), In: strings.NewReader("kubeconfig"), Out: &said, Err: &said,
		Getenv: func(name string) string { return env[name] }})
	return code, said.String()
}

func mustSwell(t *testing.T, n *wire, args ...string) {
	t.Helper()
	if code, said := swellOn(t, n, args...); code != 0 {
		t.Fatalf("swell %v: exit %d: %s", args, code, said)
	}
}

// A deploy whose answer was lost is sent again under the same key; another deploy has another.
func TestDeployIsSentAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	n := &wire{lose: 2}
	mustSwell(t, n, "cluster", "import", "a", "--kubeconfig", "-")
	mustSwell(t, n, "group", "create", "demo", "--member", "a")
	mustSwell(t, n, "deploy", "web", "--group", "demo", "--chart", "podinfo/podinfo")
	keys := n.headers(http.MethodPost, "/deployments", "Idempotency-Key")
	if len(keys) != 3 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("the keys are %q", keys)
	}
	mustSwell(t, n, "deploy", "web", "--group", "demo", "--set", "a=b")
	if update := n.headers(http.MethodPut, "/deployments/web", "Idempotency-Key"); len(update) != 1 || update[0] == "" || update[0] == keys[0] {
		t.Errorf("the update's keys are %q", update)
	}
	n = &wire{lose: 9}
	mustSwell(t, n, "cluster", "import", "a", "--kubeconfig", "-")
	mustSwell(t, n, "group", "create", "demo", "--member", "a")
	code, said := swellOn(t, n, "deploy", "web", "--group", "demo", "--chart", "podinfo/podinfo")
	keys = n.headers(http.MethodPost, "/deployments", "Idempotency-Key")
	if code != 3 || len(keys) < 3 || len(keys) > 5 { // net/http repeats a request with such a key itself, where a kept connection breaks
		t.Errorf("exit %d after %d requests: %s", code, len(keys), said)
	}
}

// What is read to be changed is changed only if it is still so.
func TestGroupUpdateSendsTheETag(t *testing.T) {
	t.Parallel()
	n := &wire{}
	mustSwell(t, n, "cluster", "import", "a", "--kubeconfig", "-")
	mustSwell(t, n, "group", "create", "demo")
	mustSwell(t, n, "group", "update", "demo", "--add", "a")
	if tags := n.headers(http.MethodPut, "", "If-Match"); len(tags) != 1 || !strings.HasPrefix(tags[0], `"`) {
		t.Errorf("If-Match is %q", tags)
	}
}

func TestListFlagsAreSent(t *testing.T) {
	t.Parallel()
	n := &wire{}
	mustSwell(t, n, "cluster", "list", "-l", "tier=edge", "--status", "RUNNING", "--cloud", "amazon", "--name-prefix", "e", "--sort", "-name")
	mustSwell(t, n, "runs", "--trigger", "reconcile", "--since", "24h")
	got := n.seen[0].URL.Query().Encode()
	if want := "cloud=amazon&labelSelector=tier%3Dedge&namePrefix=e&sort=-name&status=RUNNING"; got != want {
		t.Errorf("clusters are asked for by %s, want %s", got, want)
	}
	if query := n.seen[1].URL.Query(); query.Get("trigger") != "reconcile" || query.Get("createdAfter") == "" {
		t.Errorf("runs are asked for by %s", query.Encode())
	}
	if code, said := swellOn(t, n, "cluster", "list", "--sort", "age"); code != 3 || !strings.Contains(said, "invalid-parameter") {
		t.Errorf("an unknown order: exit %d, %s", code, said)
	}
}
