//go:build stack

package kube_test

import (
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/kube"
)

// real is a client of the local Kubernetes control plane, through its kubeconfig as a user would upload it.
func real(t *testing.T) *kube.Client {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("SWELL_TEST_KUBECONFIG"))
	if err != nil {
		t.Fatalf("SWELL_TEST_KUBECONFIG names the kubeconfig of a cluster for tests: %v", err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, cred)
}

// apply creates an object of apps/v1 as a deployment.
func apply(t *testing.T, client *kube.Client, namespace, manifest string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dynamic().Resource(deployments).Namespace(namespace).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	widget      = schema.GroupKind{Group: "example.com", Kind: "Widget"}
)

// eventually asks until yes, for at most a minute.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for range 600 {
		if yes() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("never came: %s", what)
}

func TestRealCluster(t *testing.T) {
	client := real(t)
	p, err := client.Probe(t.Context())
	if err != nil || p.UID == "" || !strings.HasPrefix(p.Version, "v1.") || p.Nodes == 0 {
		t.Fatalf("Probe: %+v, %v", p, err)
	}
	const namespace = "swell-kube-test"
	defer func() {
		_ = client.Kubernetes().CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{})
	}()
	eventually(t, "the namespace", func() bool {
		_, err := client.EnsureNamespace(t.Context(), namespace)
		return err == nil
	})

	manifest := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "example.com/web:1"}]}
`
	apply(t, client, namespace, manifest)
	eventually(t, "a ready deployment", func() bool {
		r, err := client.Readiness(t.Context(), []byte(manifest), namespace, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Ready
	})

	stuck := strings.NewReplacer("name: web}", "name: stuck}", "app: web", "app: stuck", "containers:", "nodeSelector: {no: such}, containers:").Replace(manifest)
	apply(t, client, namespace, stuck)
	var last kube.Readiness
	eventually(t, "the reason of a deployment that cannot be scheduled", func() bool {
		last, err = client.Readiness(t.Context(), []byte(stuck), namespace, nil)
		return err == nil && !last.Ready && strings.Contains(last.Objects[0].Reason, "Unschedulable")
	})
	if last.Failed {
		t.Errorf("it has not failed yet: %+v", last)
	}
}

func TestRealCRDs(t *testing.T) {
	client := real(t)
	names, err := client.ApplyCRDs(t.Context(), []byte(crd("widgets", "Widget")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = client.Dynamic().Resource(definitions).Delete(t.Context(), names[0], metav1.DeleteOptions{})
	}()
	eventually(t, "an established type", func() bool {
		waiting, err := client.CRDsEstablished(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		return len(waiting) == 0
	})
	mapper, _ := client.Getter("").ToRESTMapper()
	if _, err := mapper.RESTMapping(widget); err != nil {
		t.Errorf("Widget is not mapped: %v", err)
	}
	if _, err := client.ApplyCRDs(t.Context(), []byte(crd("widgets", "Widget"))); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
