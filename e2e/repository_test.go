//go:build stack

package e2e_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
)

// guarded is a server with a certificate of its own authority, which only a user with the password may read.
func guarded(t *testing.T, password *string, next http.Handler) (host, ca string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "robot" || pass != *password {
			w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// moveTo publishes other bytes under version 1.0.0, as a careless publisher does.
func moveTo(t *testing.T, dir, text string) string {
	t.Helper()
	archive := helmtest.ConfigMaps(1).With("Chart.yaml", helmtest.Meta("shop", "1.0.0")).With("NOTES.md", text).Archive(t)
	path := filepath.Join(dir, "shop-1.0.0.tgz")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A private repository with an authority of its own: what is wrong with its credentials is said, what is right is kept secret, and a version that
// was published anew is not taken in silence.
func TestPrivateRepository(t *testing.T) {
	t.Parallel()
	password := "canary" + strings.ReplaceAll(id.New(), "-", "")
	dir := packages(t)
	helm(t, clusterA, "default", "repo", "index", dir)
	host, ca := guarded(t, &password, http.FileServer(http.Dir(dir)))
	url, name := "https://"+host, unique("private")
	path := "/helm/repos/" + name
	must(t, http.StatusCreated, http.MethodPost, "/helm/repos", values{"name": name, "url": url}, nil)
	refused := func(code string) {
		t.Helper()
		refusal{method: http.MethodGet, path: path + "/charts", status: 422, code: code, field: "repo"}.wantRefused(t)
	}
	refused("repository-tls")
	must(t, http.StatusOK, http.MethodPut, path, values{"url": url, "tls": values{"ca": ca}}, nil)
	refused("repository-unauthorized")
	must(t, http.StatusOK, http.MethodPut, path, values{"url": url, "username": "robot", "password": "wrong-" + password, "tls": values{"ca": ca}}, nil)
	refused("repository-unauthorized")
	right := values{"url": url, "username": "robot", "password": password, "tls": values{"ca": ca}}
	answer := must(t, http.StatusOK, http.MethodPut, path, right, nil)
	var repository openapi.Repository
	got := must(t, http.StatusOK, http.MethodGet, path, nil, &repository)
	if text := string(answer.raw) + string(got.raw); !repository.HasCredentials || !repository.HasTLS || strings.Contains(text, password) || strings.Contains(text, "robot") || strings.Contains(text, "CERTIFICATE") {
		t.Errorf("the repository is answered as %s", text)
	}
	refusal{method: http.MethodPut, path: path, body: right, headers: []string{"If-Match", `"1-x"`}, status: 412, code: "precondition-failed", field: "If-Match"}.wantRefused(t)

	var charts openapi.ListedChartList
	must(t, http.StatusOK, http.MethodGet, path+"/charts?query=shop", nil, &charts)
	if len(charts.Items) != 1 || charts.Items[0].Name != "shop" || charts.Items[0].Version != "1.2.0" {
		t.Errorf("the charts are %+v", charts.Items)
	}
	refusal{method: http.MethodGet, path: path + "/charts/none", status: 404, code: "chart-not-found", field: "chart"}.wantRefused(t)
	refusal{method: http.MethodGet, path: path + "/charts?cursor=%25", status: 400, code: "cursor-invalid", field: "cursor"}.wantRefused(t)
	var versions openapi.ChartVersionList
	must(t, http.StatusOK, http.MethodGet, path+"/charts/shop?limit=1&provenance=true", nil, &versions)
	if len(versions.Items) != 1 || versions.Items[0].Version != "1.2.0" || versions.Items[0].Provenance != openapi.ChartProvenanceAbsent {
		t.Fatalf("the versions are %+v", versions.Items)
	}
	must(t, http.StatusOK, http.MethodGet, path+"/charts/shop?cursor="+versions.NextCursor, nil, &versions)

	a := newApp(t, newGroup(t, newInMemory(t).id), "private")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": name + "/shop", "version": "1.0.0"})
	if len(versions.Items) != 1 || versions.Items[0].Digest != a.get().ChartDigest {
		t.Errorf("%s was deployed, of %+v", a.get().ChartDigest, versions.Items)
	}
	moveTo(t, dir, "moved")
	refusal{method: http.MethodPut, path: a.path(), body: intent{"name": name + "/shop", "version": "1.0.0"}, status: 422, code: "chart-digest-mismatch", field: "name"}.wantRefused(t)
	helm(t, clusterA, "default", "repo", "index", dir)
	wantMovedOnce(t, a, intent{"name": name + "/shop", "version": "1.0.0"})

	must(t, http.StatusNoContent, http.MethodDelete, path, nil, nil)
	secret := "swell/default/repository/" + name
	_, err := secretsmanager.NewFromConfig(swell.aws).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	if notFound := new(types.ResourceNotFoundException); !errors.As(err, &notFound) {
		t.Errorf("the secret is still there: %v", err)
	}
	absent := func(where, text string) {
		t.Helper()
		if strings.Contains(text, password) {
			t.Errorf("the password is in %s", where)
		}
	}
	searchLogs(t, absent)
	searchTable(t, absent, a.name)
}

// wantMovedOnce wants a moved version refused, taken when that is accepted, and no longer called moved after that.
func wantMovedOnce(t *testing.T, a app, in intent) {
	t.Helper()
	before := a.get().ChartDigest
	moved := refusal{method: http.MethodPut, path: a.path(), body: in, status: 409, code: "chart-version-moved", field: "version"}.wantRefused(t)
	if !strings.Contains(moved.problem.Detail, before) {
		t.Errorf("it does not name the digest %s: %s", before, moved.problem.Detail)
	}
	a.put(openapi.RunStatusSucceeded, in.with(intent{"acceptMovedChart": true}))
	if a.get().ChartDigest == before {
		t.Error("the moved chart was not taken")
	}
	a.put(openapi.RunStatusSucceeded, in)
}

// A private registry is a repository, too.
func TestPrivateRegistry(t *testing.T) {
	t.Parallel()
	password := "canary" + strings.ReplaceAll(id.New(), "-", "")
	dir := packages(t)
	stored := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	open := httptest.NewServer(stored) // to push by
	t.Cleanup(open.Close)
	publish := func(path string) {
		t.Helper()
		helm(t, clusterA, "default", "push", path, "oci://"+strings.TrimPrefix(open.URL, "http://")+"/charts", "--plain-http")
	}
	publish(filepath.Join(dir, "shop-1.0.0.tgz"))
	publish(filepath.Join(dir, "shop-1.2.0.tgz"))
	host, ca := guarded(t, &password, stored)
	name := unique("registry")
	path := "/helm/repos/" + name
	must(t, http.StatusCreated, http.MethodPost, "/helm/repos",
		values{"name": name, "type": "oci", "url": "oci://" + host + "/charts", "username": "robot", "password": password, "tls": values{"ca": ca}}, nil)
	refusal{method: http.MethodGet, path: path + "/charts", status: 422, code: "repository-not-listed", field: "repo"}.wantRefused(t)
	var versions openapi.ChartVersionList
	must(t, http.StatusOK, http.MethodGet, path+"/charts/shop", nil, &versions)
	if len(versions.Items) != 2 || versions.Items[0].Version != "1.2.0" {
		t.Fatalf("the versions are %+v", versions.Items)
	}
	a := newApp(t, newGroup(t, newInMemory(t).id), "registry")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": name + "/shop", "version": "1.0.0"})
	if got := a.get().ChartDigest; got != versions.Items[1].Digest {
		t.Errorf("%s was deployed, of %+v", got, versions.Items)
	}
	publish(moveTo(t, dir, "moved"))
	wantMovedOnce(t, a, intent{"name": name + "/shop", "version": "1.0.0"})
	if text, code := cli(t, "chart", "versions", name+"/shop"); code != 0 || !strings.Contains(text, a.get().ChartDigest) {
		t.Errorf("swell chart versions said %s", text)
	}
	must(t, http.StatusNoContent, http.MethodDelete, path, nil, nil)
}

func TestBadRepositories(t *testing.T) {
	t.Parallel()
	name := unique("bad")
	cases := map[string]struct {
		repository  values
		status      int
		code, field string
	}{
		"user without password": {values{"url": "https://charts.example.com", "username": "robot"}, 422, "repository-invalid", "password"},
		"in the clear":          {values{"url": "http://charts.example.com", "username": "robot", "password": "x"}, 422, "repository-invalid", "url"},
		"a path for a PEM":      {values{"url": "https://charts.example.com", "tls": values{"ca": "/etc/ssl/ca.pem"}}, 422, "repository-invalid", "tls.ca"},
		"unchecked":             {values{"url": "https://charts.example.com", "tls": values{"insecure": true}}, 422, "unknown-field", "tls.insecure"},
		"another type":          {values{"url": "https://charts.example.com", "type": "oci"}, 422, "repository-invalid", "type"},
		"no such type":          {values{"url": "https://charts.example.com", "type": "git"}, 422, "invalid-value", "type"},
		"a file":                {values{"url": "file:///charts"}, 422, "repository-invalid", "url"},
	}
	for why, tc := range cases {
		t.Run(why, func(t *testing.T) {
			tc.repository["name"] = name
			refusal{method: http.MethodPost, path: "/helm/repos", body: tc.repository, status: tc.status, code: tc.code, field: tc.field}.wantRefused(t)
		})
	}
	refusal{method: http.MethodGet, path: "/helm/repos/" + name, status: 404, code: "repository-not-found"}.wantRefused(t)
	refusal{method: http.MethodGet, path: "/helm/repos/" + name + "/charts", status: 404, code: "repository-not-found"}.wantRefused(t)
	refusal{method: http.MethodPut, path: "/helm/repos/" + name, body: values{"url": "https://charts.example.com"}, status: 404, code: "repository-not-found"}.wantRefused(t)
}
