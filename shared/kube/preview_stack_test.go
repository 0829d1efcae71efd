//go:build stack

package kube_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/kube"
)

// resourceOf is where an object is served.
func resourceOf(t *testing.T, client *kube.Client, u *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	mapper, err := client.Getter("").ToRESTMapper()
	if err != nil {
		t.Fatal(err)
	}
	gvk := u.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		t.Fatal(err)
	}
	if u.GetNamespace() == "" {
		return client.Dynamic().Resource(mapping.Resource)
	}
	return client.Dynamic().Resource(mapping.Resource).Namespace(u.GetNamespace())
}

// documents are a manifest's objects.
func documents(t *testing.T, manifest string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for doc := range strings.SplitSeq(manifest, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// install creates a manifest's objects as Helm does, and returns them.
func install(t *testing.T, client *kube.Client, manifest, release, namespace string) []*unstructured.Unstructured {
	t.Helper()
	all := documents(t, manifest)
	for i, u := range all {
		u.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "Helm"})
		annotations := maps.Clone(u.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["meta.helm.sh/release-name"], annotations["meta.helm.sh/release-namespace"] = release, namespace
		u.SetAnnotations(annotations)
		made, err := resourceOf(t, client, u).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "helm"})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = made
	}
	return all
}

const previewed = `apiVersion: v1
kind: Secret
metadata: {name: key, namespace: swell-preview}
data: {password: b2xkLXBhc3N3b3Jk}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same, namespace: swell-preview}
data: {a: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gone, namespace: swell-preview}
data: {a: "1"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept, namespace: swell-preview, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: lost, namespace: swell-preview}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: swell-preview}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: swell-preview}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "example.com/web:1", env: [{name: A, value: "1"}, {name: B, value: "1"}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: fixed, namespace: swell-preview}
spec:
  replicas: 0
  selector: {matchLabels: {app: fixed}}
  template:
    metadata: {labels: {app: fixed}}
    spec: {containers: [{name: main, image: "example.com/web:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: swell-preview}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: "example.com/db:1"}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]`

// TestPreviewOnARealServer holds what is foreseen against the server's own words, and the server against having changed.
func TestPreviewOnARealServer(t *testing.T) {
	client := real(t)
	const namespace, release = "swell-preview", "web"
	defer func() {
		_ = client.Kubernetes().CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{})
	}()
	eventually(t, "the namespace", func() bool {
		_, err := client.EnsureNamespace(t.Context(), namespace)
		return err == nil
	})
	names, err := client.ApplyCRDs(t.Context(), []byte(strings.Replace(crd("gadgets", "Gadget"), "type: object", "type: object, x-kubernetes-preserve-unknown-fields: true", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = client.Dynamic().Resource(definitions).Delete(t.Context(), names[0], metav1.DeleteOptions{})
	}()
	eventually(t, "an established type", func() bool {
		waiting, err := client.CRDsEstablished(t.Context(), names)
		return err == nil && len(waiting) == 0
	})
	gadget := "\n---\napiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g, namespace: swell-preview}\nspec: {size: 1}"
	before := previewed + gadget
	live := install(t, client, before, release, namespace)
	foreign := documents(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign, namespace: swell-preview}")[0]
	if _, err := resourceOf(t, client, foreign).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	after := documents(t, before)
	after = slices.DeleteFunc(after, func(u *unstructured.Unstructured) bool {
		return slices.Contains([]string{"gone", "kept", "lost"}, u.GetName())
	})
	text := ""
	for _, u := range after {
		raw, err := yaml.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		text += "---\n" + string(raw)
	}
	text = strings.NewReplacer("b2xkLXBhc3N3b3Jk", "bmV3LXBhc3N3b3Jk", "replicas: 2", "replicas: 3", `- name: A
          value: "1"`, `- name: A
          value: "2"`, "app: fixed", "app: other", "size: 1", "size: 2", "storage: 1Gi", "storage: 2Gi").Replace(text) + `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: foreign}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: new}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, namespace: swell-not-there}
---
apiVersion: v1
kind: Service
metadata: {name: wrong}
spec: {ports: [{port: 99999, targetPort: 80}]}
---
apiVersion: example.com/v1
kind: Unheard
metadata: {name: u}
`
	got, err := client.Preview(t.Context(), kube.Preview{Release: release, Namespace: namespace, Before: before, After: text})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"update Secret key", "  changed data.password",
		"unchanged ConfigMap same",
		"unchanged Service web",
		"update Deployment web", "  changed spec.replicas", "  changed spec.template.spec.containers[name=main].env[name=A].value",
		"update Deployment fixed", "  changed spec.selector.matchLabels.app", "  changed spec.template.metadata.labels.app",
		"  ! immutable: spec.selector: Invalid value: field is immutable",
		"update StatefulSet db", "  changed spec.volumeClaimTemplates[0].spec.resources.requests.storage",
		"  ! immutable: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
		"update Gadget g", "  changed spec.size",
		"update ConfigMap foreign", "  ! refused: it exists and was not made by this release",
		"create ConfigMap new",
		"create ConfigMap elsewhere", `  (the cluster could not check it: namespaces "swell-not-there" not found)`,
		"create Service wrong", "  added spec", "  ! refused: spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive",
		"create Unheard u", "  ! refused: the cluster does not have the type Unheard of example.com/v1",
		"delete ConfigMap gone", "  ! deleted",
		"keep PersistentVolumeClaim kept", "  (its resource policy keeps it)",
		"delete PersistentVolumeClaim lost", "  ! deleted: its volume's data may go with it",
	}
	if d := cmp.Diff(want, told(got)); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
	for _, u := range live {
		now, err := resourceOf(t, client, u).Get(t.Context(), u.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
			continue
		}
		// A controller writes no more than status and annotations, and leaves these alone.
		untouched := slices.Contains([]string{"Secret", "ConfigMap", "Service", "Gadget"}, u.GetKind())
		if now.GetGeneration() != u.GetGeneration() || untouched && now.GetResourceVersion() != u.GetResourceVersion() {
			t.Errorf("%s %s was changed", u.GetKind(), u.GetName())
		}
	}
}
