package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
)

var loopback = netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func newServer(tb testing.TB, opts kubetest.Options) (*kubetest.Server, *kube.Client) {
	tb.Helper()
	server := kubetest.New(tb, opts)
	return server, newClient(tb, server.Credential())
}

func newClient(tb testing.TB, cred kube.Credential, opts ...kube.Option) *kube.Client {
	tb.Helper()
	client, err := kube.New(cred, loopback, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// name is what a state machine would see of err.
func name(err error) string {
	var named interface{ ErrorName() string }
	if errors.As(err, &named) {
		return named.ErrorName()
	}
	return ""
}

func TestProbe(t *testing.T) {
	server, client := newServer(t, kubetest.Options{UID: "uid-1", Version: "v1.34.5", Nodes: 7})
	got, err := client.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.UID != "uid-1" || got.Version != "v1.34.5" || got.Nodes != 7 {
		t.Errorf("Probe: %+v", got)
	}
	if !slices.Contains(got.APIVersions, "apps/v1") || !slices.Contains(got.APIVersions, "apps/v1/Deployment") {
		t.Errorf("APIVersions: %v", got.APIVersions)
	}
	if n := server.Count("", ""); n != 5 { // version, /api, /apis, namespace, nodes
		t.Errorf("%d requests, want 5: %+v", n, server.Requests())
	}
}

func TestProbeWithAnUploadedKubeconfig(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{Nodes: -1})
	cred, err := kube.ParseKubeconfig(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := newClient(t, cred).Probe(t.Context()); err != nil || p.UID != server.UID() || p.Nodes != 0 {
		t.Errorf("Probe: %+v, %v", p, err)
	}
}

func TestProbeErrors(t *testing.T) {
	forbid := func(resource string) func(*kubetest.Server, *kube.Credential) {
		return func(s *kubetest.Server, _ *kube.Credential) {
			s.Fail(func(r *http.Request) *metav1.Status {
				if strings.Contains(r.URL.Path, resource) {
					return &metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: "may not"}
				}
				return nil
			})
		}
	}
	answer := func(code int32) func(*kubetest.Server, *kube.Credential) {
		return func(s *kubetest.Server, _ *kube.Credential) {
			s.Fail(func(*http.Request) *metav1.Status { return &metav1.Status{Code: code, Message: "no"} })
		}
	}
	cases := map[string]struct {
		harm func(*kubetest.Server, *kube.Credential)
		want string
	}{
		"WrongToken":  {func(_ *kubetest.Server, c *kube.Credential) { c.Token = "wrong" }, "ClusterUnauthorized"},
		"NoNamespace": {forbid("kube-system"), "ClusterUnauthorized"},
		"NoNodes":     {forbid("nodes"), "ClusterUnauthorized"},
		"Closed":      {func(s *kubetest.Server, _ *kube.Credential) { s.Close() }, "ClusterUnreachable"},
		"OtherCA":     {func(_ *kubetest.Server, c *kube.Credential) { c.CAData, _ = pair(t) }, "ClusterUnreachable"},
		"OtherName":   {func(_ *kubetest.Server, c *kube.Credential) { c.TLSServerName = "other.example" }, "ClusterUnreachable"},
		"Down":        {answer(503), "ClusterUnreachable"},
		"Broken":      {answer(500), "ClusterUnreachable"},
		"NoSuchHost":  {func(_ *kubetest.Server, c *kube.Credential) { c.Server = "https://kube.invalid" }, "ClusterUnreachable"},
	}
	for what, tc := range cases {
		t.Run(what, func(t *testing.T) {
			server := kubetest.New(t, kubetest.Options{})
			cred := server.Credential()
			tc.harm(server, &cred)
			policy := loopback
			policy.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
			}}
			client, err := kube.New(cred, policy)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Probe(t.Context())
			if name(err) != tc.want {
				t.Errorf("%q (%v), want %s", name(err), err, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), cred.Token) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

func TestProbeOfASlowCluster(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{Delay: time.Minute})
	if _, err := newClient(t, server.Credential(), kube.Timeout(20*time.Millisecond)).Probe(t.Context()); name(err) != "ClusterUnreachable" {
		t.Errorf("its own time limit: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := newClient(t, server.Credential()).Probe(ctx); name(err) != "ClusterUnreachable" {
		t.Errorf("the caller's time limit: %v", err)
	}
}

func TestNotKubernetes(t *testing.T) {
	for what, handler := range map[string]http.HandlerFunc{
		"HTML":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>") },
		"Empty": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
		"404":   http.NotFound,
	} {
		t.Run(what, func(t *testing.T) {
			other := httptest.NewTLSServer(handler)
			defer other.Close()
			server := kubetest.New(t, kubetest.Options{}) // its certificate is httptest's own, as other's is
			cred := kube.Credential{Server: other.URL, CAData: server.CA(), Token: token}
			if p, err := newClient(t, cred).Probe(t.Context()); err == nil {
				t.Errorf("was taken for a cluster: %+v", p)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	cert, _ := pair(t)
	_, key := pair(t)
	cases := map[string]kube.Credential{
		"HTTP":        {Server: "http://kube.example.com"},
		"NoServer":    {},
		"Private":     {Server: "https://10.0.0.1"},
		"LinkLocal":   {Server: "https://169.254.169.254"},
		"CA":          {Server: "https://kube.example.com", CAData: []byte("x")},
		"KeyMismatch": {Server: "https://kube.example.com", ClientCertData: cert, ClientKeyData: key},
	}
	for what, cred := range cases {
		if _, err := kube.New(cred, loopback); err == nil {
			t.Errorf("%s: was accepted", what)
		}
	}
}

// TestRefusedAddress dials a name that leads to loopback: nothing arrives, and the error does not tell where it led.
func TestRefusedAddress(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	cred := server.Credential()
	cred.Server = strings.Replace(cred.Server, "127.0.0.1", "localhost", 1)
	client, err := kube.New(cred, netguard.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Probe(t.Context())
	if name(err) != "ClusterUnreachable" || !netguard.Refused(err) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("Probe: %v", err)
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestRedirectDoesNotCarryTheCredentialAway(t *testing.T) {
	var leaked atomic.Int64
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer other.Close()
	first := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	}))
	defer first.Close()
	server := kubetest.New(t, kubetest.Options{})
	if _, err := newClient(t, kube.Credential{Server: first.URL, CAData: server.CA(), Token: token}).Probe(t.Context()); err == nil {
		t.Error("the redirect was followed")
	}
	if leaked.Load() != 0 {
		t.Error("a request reached the other host")
	}
}

func TestEnvironmentIsNotRead(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("KUBECONFIG", "/nowhere")
	server := kubetest.New(t, kubetest.Options{})
	if _, err := newClient(t, server.Credential()).Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOneDiscovery does what Helm does at the start of each verb, several times.
func TestOneDiscovery(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	for _, namespace := range []string{"a", "b", "a"} {
		getter := client.Getter(namespace)
		discovery, err := getter.ToDiscoveryClient()
		if err != nil {
			t.Fatal(err)
		}
		discovery.Invalidate()
		if _, err := discovery.ServerVersion(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := discovery.ServerGroupsAndResources(); err != nil {
			t.Fatal(err)
		}
		mapper, err := getter.ToRESTMapper()
		if err != nil {
			t.Fatal(err)
		}
		mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
		if err != nil || mapping.Resource.Resource != "deployments" {
			t.Fatalf("mapping: %+v, %v", mapping, err)
		}
		if _, err := mapper.RESTMapping(schema.GroupKind{Group: "none", Kind: "Nothing"}); err == nil {
			t.Fatal("a kind that is not there was mapped")
		}
		got, overridden, err := getter.ToRawKubeConfigLoader().Namespace()
		if got != namespace || overridden || err != nil {
			t.Errorf("Namespace: %q, %v, %v", got, overridden, err)
		}
	}
	if d, v := server.Count("discovery", ""), server.Count("version", ""); d != 2 || v != 1 {
		t.Errorf("%d discovery requests and %d of the version, want 2 (/api and /apis) and 1", d, v)
	}
}

// TestConfigSharesOneConnection makes many REST clients of copies, as kubectl's factory does.
func TestConfigSharesOneConnection(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	var seen atomic.Int64
	client := newClient(t, server.Credential(), kube.WrapTransport(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { seen.Add(1); return next.RoundTrip(r) })
	}))
	for range 3 {
		config, err := client.Getter("x").ToRESTConfig()
		if err != nil {
			t.Fatal(err)
		}
		config.APIPath, config.GroupVersion, config.NegotiatedSerializer = "/api", &schema.GroupVersion{Version: "v1"}, scheme.Codecs
		own, err := rest.UnversionedRESTClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := own.Get().AbsPath("/version").Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
		if config.UserAgent != "swell" || config.QPS != -1 || config.ExecProvider != nil {
			t.Errorf("config: %v %v", config.UserAgent, config.QPS)
		}
	}
	if seen.Load() != 3 || server.Connections() != 1 {
		t.Errorf("the wrapper saw %d requests on %d connections, want 3 on 1", seen.Load(), server.Connections())
	}
	if fresh, _ := client.Getter("x").ToRESTConfig(); fresh.APIPath != "" {
		t.Error("a caller's change reached the client's own config")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWrapTransportCanFence(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	errFenced := errors.New("fenced")
	client := newClient(t, server.Credential(), kube.WrapTransport(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				return nil, errFenced
			}
			return next.RoundTrip(r)
		})
	}))
	if _, err := client.EnsureNamespace(t.Context(), "demo"); !errors.Is(err, errFenced) {
		t.Errorf("EnsureNamespace: %v, want %v", err, errFenced)
	}
	if server.Writes() != 0 {
		t.Error("a write passed the fence")
	}
}

func TestEnsureNamespace(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	for i, wantCreated := range []bool{true, false} {
		created, err := client.EnsureNamespace(t.Context(), "demo")
		if err != nil || created != wantCreated {
			t.Errorf("call %d: created %v, %v", i, created, err)
		}
	}
	if server.Count("create", "namespaces") != 1 || server.Count("get", "namespaces") != 2 {
		t.Errorf("requests: %+v", server.Requests())
	}
	server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "going"}, "status": map[string]any{"phase": "Terminating"}})
	if _, err := client.EnsureNamespace(t.Context(), "going"); name(err) != "NamespaceTerminating" {
		t.Errorf("a namespace that is being deleted: %v", err)
	}
	server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet {
			return &metav1.Status{Code: 404, Reason: metav1.StatusReasonNotFound}
		}
		return &metav1.Status{Code: 409, Reason: metav1.StatusReasonAlreadyExists}
	})
	if created, err := client.EnsureNamespace(t.Context(), "race"); created || err != nil {
		t.Errorf("created by another meanwhile: %v, %v", created, err)
	}
}

func crd(plural, kind string) string {
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: %[1]s, kind: %[2]s}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`, plural, kind)
}

func TestCRDs(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	mapper, _ := client.Getter("").ToRESTMapper()
	widget := schema.GroupKind{Group: "example.com", Kind: "Widget"}
	if _, err := mapper.RESTMapping(widget); err == nil {
		t.Fatal("Widget is mapped before its definition")
	}
	manifests := []byte("# a comment\n---\n" + crd("widgets", "Widget") + "\n---\n\n---" + crd("gadgets", "Gadget"))
	names, err := client.ApplyCRDs(t.Context(), manifests)
	if diff := cmp.Diff([]string{"gadgets.example.com", "widgets.example.com"}, names); diff != "" || err != nil {
		t.Fatalf("ApplyCRDs: %v\n%s", err, diff)
	}
	waiting, err := client.CRDsEstablished(t.Context(), append(names, "absent.example.com"))
	if diff := cmp.Diff([]string{"absent.example.com"}, waiting); diff != "" || err != nil {
		t.Errorf("CRDsEstablished: %v\n%s", err, diff)
	}
	if waiting, err := client.CRDsEstablished(t.Context(), names); len(waiting) != 0 || err != nil {
		t.Errorf("CRDsEstablished: %v, %v", waiting, err)
	}
	if _, err := mapper.RESTMapping(widget); err != nil {
		t.Errorf("Widget is not mapped after its definition: %v", err)
	}
	server.ResetRequests()
	if _, err := client.ApplyCRDs(t.Context(), []byte(strings.ReplaceAll(string(manifests), "Widget", "Changed"))); err != nil {
		t.Error(err)
	}
	if server.Writes() != 0 || server.Count("", "") != 2 {
		t.Errorf("a second time: %d writes, %d requests; want 0 and 2", server.Writes(), server.Count("", ""))
	}
}

func TestCRDsRefused(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	for what, manifest := range map[string]string{
		"OtherKind":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}",
		"OldVersion": strings.Replace(crd("widgets", "Widget"), "k8s.io/v1", "k8s.io/v1beta1", 1),
		"NoName":     strings.Replace(crd("widgets", "Widget"), "{name: widgets.example.com}", "{}", 1),
	} {
		if _, err := client.ApplyCRDs(t.Context(), []byte(manifest)); !problem.Is(err, "chart-crds-unsupported") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if names, err := client.ApplyCRDs(t.Context(), nil); len(names) != 0 || err != nil {
		t.Errorf("no manifests: %v, %v", names, err)
	}
	if server.Writes() != 0 {
		t.Error("something was written")
	}
	server.Put(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "bad.example.com"},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "NamesAccepted", "status": "False", "reason": "PluralConflict", "message": "taken"}}},
	})
	if _, err := client.CRDsEstablished(t.Context(), []string{"bad.example.com"}); !problem.Is(err, "crd-refused") {
		t.Errorf("a definition whose names are taken: %v", err)
	}
}
