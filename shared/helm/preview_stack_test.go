//go:build stack

package helm_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
)

const partDefinition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parts.preview.example.com}
spec:
  group: preview.example.com
  scope: Namespaced
  names: {plural: parts, kind: Part}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`

// foretold is a chart with an object of every way in which Helm changes one.
func foretold() helmtest.Chart {
	return helmtest.Workload().With("values.yaml", "replicas: 1\nimage: registry.example/web:1\nsize: 1\nold: true\nenv: a\n").
		With("templates/env.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: env}
spec:
  selector: {matchLabels: {app: env}}
  template:
    metadata: {labels: {app: env}}
    spec:
      containers:
        - name: one
          image: registry.example/web:1
          env: [{name: A, value: {{ .Values.env | quote }}}{{ if .Values.old }}, {name: OLD, value: "1"}{{ end }}]
`).
		With("templates/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {word: {{ .Values.env | quote }}}\n").
		With("templates/map.yaml", "{{ if .Values.old }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\ndata: {a: b}\n{{ end }}").
		With("templates/kept.yaml", "{{ if .Values.old }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n{{ end }}").
		With("templates/new.yaml", "{{ if not .Values.old }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n{{ end }}").
		With("templates/part.yaml", "apiVersion: preview.example.com/v1\nkind: Part\nmetadata: {name: part}\nspec: {size: {{ .Values.size }}, list: [{name: a, size: {{ .Values.size }}}]}\n").
		With("crds/part.yaml", partDefinition)
}

// TestStackPreviewForetells holds what is foreseen of an install, an upgrade over changes by hand, and an uninstall against what they did.
func TestStackPreviewForetells(t *testing.T) {
	s := newStack(t)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(s.cred, policy)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	names, err := client.ApplyCRDs(t.Context(), []byte(partDefinition))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = client.Dynamic().Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
			Delete(context.WithoutCancel(t.Context()), names[0], metav1.DeleteOptions{})
	}()
	for waiting := names; len(waiting) > 0; {
		if waiting, err = client.CRDsEstablished(t.Context(), names); err != nil {
			t.Fatal(err)
		}
	}
	chart := foretold()
	first, second := map[string]any{}, map[string]any{"replicas": 3, "size": 2, "old": false, "env": "b"}

	foretell(t, s, client, kube.Preview{After: s.rendered(t, chart, first)}, func() { apply(t, s.op(t, release.Install, 1, chart, first)) })
	before := recorded(t, s)
	foretell(t, s, client, kube.Preview{Before: before, After: before}, func() { apply(t, s.op(t, release.Upgrade, 2, chart, first)) })

	change := func(resource schema.GroupVersionResource, object, patch string) {
		t.Helper()
		if _, err := client.Dynamic().Resource(resource).Namespace(s.namespace).Patch(t.Context(), object, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	change(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, name, `{"spec":{"replicas":5,"paused":true}}`)
	change(schema.GroupVersionResource{Group: "preview.example.com", Version: "v1", Resource: "parts"}, "part", `{"spec":{"size":9,"more":1}}`)
	foretell(t, s, client, kube.Preview{Before: before, After: s.rendered(t, chart, second)}, func() { apply(t, s.op(t, release.Upgrade, 3, chart, second)) })
	foretell(t, s, client, kube.Preview{Before: recorded(t, s), Uninstall: true}, func() { apply(t, s.op(t, release.Uninstall, 4, nil, nil)) })
}

// rendered is the manifest of the chart with values.
func (s stack) rendered(t *testing.T, chart helmtest.Chart, values map[string]any) string {
	t.Helper()
	got, err := helm.Render(t.Context(), helm.Request{Archive: chart.Archive(t), Values: values, Release: name, Namespace: s.namespace, Show: true})
	if err != nil {
		t.Fatal(err)
	}
	return got.Shown.Manifest
}

// recorded is the manifest of the revision that is deployed.
func recorded(t *testing.T, s stack) string {
	t.Helper()
	rel, err := byHand(t, s.cred, s.namespace).Deployed(name)
	if err != nil {
		t.Fatal(err)
	}
	return rel.Manifest
}

// foretell previews a verb, runs it, and compares what was said with what came of it.
func foretell(t *testing.T, s stack, client *kube.Client, p kube.Preview, verb func()) {
	t.Helper()
	p.Release, p.Namespace = name, s.namespace
	said, err := client.Preview(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	before := live(t, client, said)
	verb()
	after := live(t, client, said)
	for i, o := range said {
		happened := diff.Object{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Action: diff.Unchanged, Note: o.Note, Destructive: o.Destructive}
		switch {
		case before[i] == nil && after[i] != nil:
			happened.Action, happened.Changes = diff.Create, o.Changes // as the manifest has it
		case before[i] != nil && after[i] == nil:
			happened.Action = diff.Delete
		case o.Action == diff.Keep:
			happened.Action = diff.Keep
		default:
			if happened.Changes = diff.Compare(before[i], after[i]); len(happened.Changes) > 0 {
				happened.Action = diff.Update
			}
		}
		if d := cmp.Diff(happened, o); d != "" {
			t.Errorf("%s %s (-happened +said):\n%s", o.Kind, o.Name, d)
		}
	}
}

// live are the objects as they are, without what the server and its controllers fill in; nil for one that is not there, or is going.
func live(t *testing.T, client *kube.Client, objects []diff.Object) []map[string]any {
	t.Helper()
	mapper, err := client.Getter("").ToRESTMapper()
	if err != nil {
		t.Fatal(err)
	}
	found := make([]map[string]any, len(objects))
	for i, o := range objects {
		gvk := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind)
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			t.Fatal(err)
		}
		u, err := client.Dynamic().Resource(mapping.Resource).Namespace(o.Namespace).Get(t.Context(), o.Name, metav1.GetOptions{})
		if err != nil || u.GetDeletionTimestamp() != nil {
			continue
		}
		for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"} {
			unstructured.RemoveNestedField(u.Object, "metadata", field)
		}
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations", "deployment.kubernetes.io/revision") // its controller's
		unstructured.RemoveNestedField(u.Object, "status")
		found[i] = u.Object
	}
	return found
}
