//go:build stack

package kube_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	intent "github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/kube"
)

// On a real API server, with real controllers: what does not pass is final, and pods of a revision before do not fail a good roll-out.
func TestRealWorkloadsFailFast(t *testing.T) {
	client := real(t)
	const namespace = "swell-kube-health"
	defer func() {
		_ = client.Kubernetes().CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{})
	}()
	eventually(t, "the namespace", func() bool {
		_, err := client.EnsureNamespace(t.Context(), namespace)
		return err == nil
	})
	workload := func(kind, name, image string) string {
		more := map[string]string{"Deployment": "replicas: 1, ", "StatefulSet": "replicas: 1, serviceName: x, ", "DaemonSet": ""}[kind]
		return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%sselector: {matchLabels: {app: %s}}, template: {metadata: {labels: {app: %s}}, spec: {containers: [{name: main, image: %q}]}}}",
			kind, name, more, name, name, image)
	}
	readiness := func(manifest string) kube.Readiness {
		t.Helper()
		r, err := client.Readiness(t.Context(), []byte(manifest), namespace, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for kind, resource := range map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"} {
		for tag, code := range map[string]string{"missing": "image-pull", "crash": "crash-loop", "oom": "oom-killed"} {
			name := strings.ToLower(kind) + "-" + tag
			bad := workload(kind, name, "example.com/web:"+tag)
			objects := client.Dynamic().Resource(deployments.GroupVersion().WithResource(resource)).Namespace(namespace)
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(bad), &u.Object); err != nil {
				t.Fatal(err)
			}
			if _, err := objects.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			var last kube.Readiness
			eventually(t, code+" of "+kind, func() bool {
				last = readiness(bad)
				return last.Failed
			})
			if last.Code() != code || !strings.Contains(last.Message(), name) {
				t.Errorf("%s: %s: %s", name, last.Code(), last.Message())
			}
			good := workload(kind, name, "example.com/web:1")
			if _, err := objects.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"example.com/web:1"}]}}}}`), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			if kind == "StatefulSet" { // Kubernetes itself does not replace a pod that never got ready
				_ = client.Kubernetes().CoreV1().Pods(namespace).Delete(t.Context(), name+"-0", metav1.DeleteOptions{})
			}
			eventually(t, "a good "+name, func() bool {
				r := readiness(good)
				if r.Failed {
					t.Fatalf("old pods failed a good roll-out: %s: %s", r.Code(), r.Message())
				}
				return r.Ready
			})
		}
	}
}

// On a real API server: custom resources by convention and by a user's rules, for as long as their controller says nothing, too.
func TestRealCustomKinds(t *testing.T) {
	client := real(t)
	const namespace = "swell-kube-custom"
	names, err := client.ApplyCRDs(t.Context(), []byte(crd("gizmos", "Gizmo")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = client.Dynamic().Resource(definitions).Delete(t.Context(), names[0], metav1.DeleteOptions{})
		_ = client.Kubernetes().CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{})
	}()
	eventually(t, "an established type and its namespace", func() bool {
		waiting, err := client.CRDsEstablished(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.EnsureNamespace(t.Context(), namespace)
		return err == nil && len(waiting) == 0
	})
	client.Refresh()
	const manifest = "apiVersion: example.com/v1\nkind: Gizmo\nmetadata: {name: one}\n"
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	gizmos := client.Dynamic().Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gizmos"}).Namespace(namespace)
	if _, err := gizmos.Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{"": "Current", "has(spec.ready)": "InProgress", "metadata.name == 'one'": "Current"} {
		var rules kube.Rules
		if expression != "" {
			compiled, err := healthcheck.Compile([]intent.HealthCheck{{APIVersion: "example.com/v1", Kind: "Gizmo", Current: expression}}, namespace)
			if err != nil {
				t.Fatal(err)
			}
			rules = compiled
		}
		r, err := client.Readiness(t.Context(), []byte(manifest), namespace, rules)
		if err != nil || len(r.Objects) != 1 || r.Objects[0].State != want {
			t.Errorf("%q: %+v, %v", expression, r, err)
		}
	}
}
