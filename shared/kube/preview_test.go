package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
)

// told is a preview in lines, for comparison.
func told(objects []diff.Object) []string {
	var lines []string
	for _, o := range objects {
		lines = append(lines, string(o.Action)+" "+o.Kind+" "+o.Name)
		for _, c := range o.Changes {
			lines = append(lines, "  "+string(c.Op)+" "+c.Path.String())
		}
		for _, why := range o.Destructive {
			lines = append(lines, "  ! "+why)
		}
		if o.Note != "" {
			lines = append(lines, "  ("+o.Note+")")
		}
	}
	return lines
}

// ours is an object as the release "web" in namespace demo made it.
func ours(kind, name, rest string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: %s
metadata: {name: %s, namespace: demo, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: web, meta.helm.sh/release-namespace: demo%s}}
`, kind, name, rest)
}

// plain is that object in the manifest.
func plain(kind, name, rest string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: %s\nmetadata: {name: %s%s}\n", kind, name, rest)
}

func TestPreview(t *testing.T) {
	const demo = "apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n"
	one := plain("ConfigMap", "one", "")
	const webhook = `admission webhook "x" does not support dry run`
	ordered := func(marks, env string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: demo" + marks + "}\n" +
			"spec: {replicas: 1, template: {spec: {containers: [{name: one, env: [" + env + "]}]}}}\n"
	}
	const a, b = "{name: A, value: x}", "{name: B, value: x}"
	cases := map[string]struct {
		live    string // documents, the first of them after "demo"
		preview kube.Preview
		refuse  string // the method that the cluster refuses, and its words
		want    []string
	}{
		"nothing changes": {ours("ConfigMap", "one", "") + "data: {a: x}\n", kube.Preview{Before: one, After: one}, "", []string{"unchanged ConfigMap one"}},
		"a field that only the live object has stays": {ours("ConfigMap", "one", "") + "data: {a: x}\n", kube.Preview{Before: one, After: one + "data: {b: y}\n"}, "",
			[]string{"update ConfigMap one", "  added data.b"}},
		"a field changed by hand comes back": {ours("ConfigMap", "one", "") + "data: {a: x}\n", kube.Preview{Before: one + "data: {a: y}\n", After: one + "data: {a: y}\n"}, "",
			[]string{"update ConfigMap one", "  changed data.a"}},
		"a field that the release has no more": {ours("ConfigMap", "one", "") + "data: {a: x}\n", kube.Preview{Before: one + "data: {a: x}\n", After: one}, "",
			[]string{"update ConfigMap one", "  removed data"}},
		"a field that every reader drops": {ours("ConfigMap", "one", ", kubectl.kubernetes.io/last-applied-configuration: x") + "data: {a: x}\n",
			kube.Preview{Before: one, After: plain("ConfigMap", "one", ", annotations: {kubectl.kubernetes.io/last-applied-configuration: y}")}, "", []string{"unchanged ConfigMap one"}},
		"a list in another order": {ordered(", labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: web, meta.helm.sh/release-namespace: demo}", a+", "+b),
			kube.Preview{Before: ordered("", a+", "+b), After: ordered("", b+", "+a)}, "", []string{"update Deployment web", "  (items of a list change their order)"}},
		"what is made shows its fields":        {"", kube.Preview{After: plain("ConfigMap", "one", ", labels: {a: b}") + "data: {a: x}\n"}, "", []string{"create ConfigMap one", "  added data", "  added metadata"}},
		"what was deleted by hand comes again": {"", kube.Preview{Before: one, After: one}, "", []string{"create ConfigMap one"}},
		"what its release made before is adopted": {ours("ConfigMap", "one", "") + "data: {a: x}\n", kube.Preview{After: one + "data: {a: y}\n"}, "",
			[]string{"update ConfigMap one", "  changed data.a"}},
		"what another release made is refused": {strings.Replace(ours("ConfigMap", "one", ""), "release-name: web", "release-name: other", 1), kube.Preview{After: one}, "",
			[]string{"update ConfigMap one", "  ! refused: it exists and belongs to release other in namespace demo"}},
		"a creation that the cluster refuses": {"", kube.Preview{After: one}, "POST exceeded quota", []string{"create ConfigMap one", "  ! refused: exceeded quota"}},
		"an update that the cluster refuses": {ours("ConfigMap", "one", ""), kube.Preview{Before: one + "data: {a: x}\n", After: one + "data: {a: y}\n"}, "PATCH exceeded quota",
			[]string{"update ConfigMap one", "  changed data.a", "  ! refused: exceeded quota"}},
		"an admission that cannot be tried": {ours("ConfigMap", "one", ""), kube.Preview{Before: one + "data: {a: x}\n", After: one + "data: {a: y}\n"}, "PATCH " + webhook,
			[]string{"update ConfigMap one", "  changed data.a", "  (the cluster could not check it: " + webhook + ")"}},
		"deleted and kept": {ours("ConfigMap", "gone", "") + "---\n" + ours("Secret", "kept", ", helm.sh/resource-policy: keep"),
			kube.Preview{Before: plain("ConfigMap", "gone", "") + plain("Secret", "kept", "") + plain("ConfigMap", "long gone", "")}, "",
			[]string{"delete ConfigMap gone", "  ! deleted", "keep Secret kept", "  (its resource policy keeps it)"}},
		"the end of a release asks the manifest what to keep": {ours("ConfigMap", "gone", ", helm.sh/resource-policy: keep") + "---\n" + ours("ConfigMap", "kept", ""),
			kube.Preview{Uninstall: true, Before: plain("ConfigMap", "gone", "") + plain("ConfigMap", "kept", ", annotations: {helm.sh/resource-policy: Keep}")}, "",
			[]string{"delete ConfigMap gone", "  ! deleted", "keep ConfigMap kept", "  (its resource policy keeps it)"}},
		"what failed revisions left goes, if it is the release's": {ours("ConfigMap", "left", "") + "---\n" + strings.Replace(ours("ConfigMap", "others", ""), "release-name: web", "release-name: other", 1),
			kube.Preview{Failed: []string{plain("ConfigMap", "left", "") + plain("ConfigMap", "others", "")}}, "", []string{"delete ConfigMap left", "  ! deleted"}},
		"a type that went with an older version of Kubernetes": {"", kube.Preview{Before: "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\n"}, "",
			[]string{"delete PodSecurityPolicy p", "  ! refused: the cluster does not have the type PodSecurityPolicy of policy/v1beta1"}},
		"a namespace that is not there yet": {"", kube.Preview{Namespace: "new", After: one + plain("Namespace", "more", "")}, "",
			[]string{"create Namespace new", "  (it is made before the release)", "create ConfigMap one", "  (the cluster could not check it: namespace new is not there yet)", "create Namespace more"}},
		"a chart that brings its own namespace": {"", kube.Preview{Namespace: "new", After: plain("Namespace", "new", "")}, "",
			[]string{"create Namespace new", "  (it is made before the release)", "create Namespace new", "  ! refused: it is made before the release, and so does not belong to it"}},
		"types that the chart brings": {"", kube.Preview{CRDs: []string{crd("widgets", "Widget")}, After: "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"}, "",
			[]string{"create CustomResourceDefinition widgets.example.com", "create Widget w", "  (the cluster could not check it: its type comes with the chart's CRDs)"}},
		"types that the chart brings and that are there": {crd("widgets", "Widget"), kube.Preview{CRDs: []string{crd("widgets", "Widget")}, After: "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"}, "",
			[]string{"unchanged CustomResourceDefinition widgets.example.com", "  (it is there; one of a chart's crds folder is never changed)", "create Widget w"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, client := newServer(t, kubetest.Options{})
			put(t, server, demo)
			if c.live != "" {
				put(t, server, strings.ReplaceAll(c.live, "---\n", "\n---\n"))
			}
			if method, words, refuses := strings.Cut(c.refuse, " "); refuses {
				server.Fail(func(r *http.Request) *metav1.Status {
					if r.Method == method {
						return &metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: words}
					}
					return nil
				})
			}
			c.preview.Release = "web"
			if c.preview.Namespace == "" {
				c.preview.Namespace = "demo"
			}
			got, err := client.Preview(t.Context(), c.preview)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, told(got)); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
			for _, r := range server.Requests() {
				if r.Method != http.MethodGet && !strings.Contains(r.Query, "dryRun=All") {
					t.Errorf("it would change something: %s %s", r.Method, r.Path)
				}
			}
		})
	}
}

// A manifest of 600 KB: at most two requests an object and a few more, at most 16 under way.
func TestPreviewOfMuch(t *testing.T) {
	const many, changed = 300, 20
	server := kubetest.New(t, kubetest.Options{})
	var under, most atomic.Int32
	client := newClient(t, server.Credential(), kube.WrapTransport(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			now := under.Add(1)
			defer under.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			return next.RoundTrip(r)
		})
	}))
	put(t, server, "apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n")
	var before, after strings.Builder
	for i := range many {
		name, text := fmt.Sprintf("c%d", i), strings.Repeat("x", 2000)
		put(t, server, ours("ConfigMap", name, "")+"data: {a: "+text+"}\n")
		before.WriteString(plain("ConfigMap", name, "") + "data: {a: " + text + "}\n")
		if i < changed {
			text += "y"
		}
		after.WriteString(plain("ConfigMap", name, "") + "data: {a: " + text + "}\n")
	}
	got, err := client.Preview(t.Context(), kube.Preview{Release: "web", Namespace: "demo", Before: before.String(), After: after.String()})
	if err != nil {
		t.Fatal(err)
	}
	actions := map[diff.Action]int{}
	for _, o := range got {
		actions[o.Action]++
	}
	if d := cmp.Diff(map[diff.Action]int{diff.Update: changed, diff.Unchanged: many - changed}, actions); d != "" || after.Len() < 600_000 {
		t.Errorf("of %d bytes (-want +got):\n%s", after.Len(), d)
	}
	if n, want := len(server.Requests()), 2+1+many+changed; n != want { // discovery, namespace, one read each, one patch
		t.Errorf("%d requests, want %d", n, want)
	}
	if most.Load() > 16 {
		t.Errorf("%d requests at once", most.Load())
	}
}

func TestPreviewNeedsTheCluster(t *testing.T) {
	manifest := plain("ConfigMap", "one", "")
	for want, answer := range map[string]*metav1.Status{
		"ClusterUnauthorized": {Code: http.StatusUnauthorized, Reason: metav1.StatusReasonUnauthorized, Message: "who are you"},
		"ClusterUnreachable":  {Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable, Message: "overloaded"},
	} {
		t.Run(want, func(t *testing.T) {
			server, client := newServer(t, kubetest.Options{})
			server.Fail(func(r *http.Request) *metav1.Status {
				if strings.Contains(r.URL.Path, "configmaps") {
					return answer
				}
				return nil
			})
			_, err := client.Preview(t.Context(), kube.Preview{Release: "web", Namespace: "default", After: manifest})
			if name(err) != want {
				t.Errorf("got %v", err)
			}
		})
	}
	_, client := newServer(t, kubetest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Preview(ctx, kube.Preview{Release: "web", Namespace: "default", After: manifest}); err == nil {
		t.Error("it went on after the end")
	}
}
