//go:build stack

package kube_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/swell-sh/swell/shared/child"
	intent "github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/release"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

// driftStack is a release that Swell's own verb installed on a real API server.
type driftStack struct {
	client    *kube.Client
	namespace string
	manifest  []byte
	ca        string
}

func installDrift(t *testing.T) driftStack {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("SWELL_TEST_KUBECONFIG"))
	if err != nil {
		t.Fatalf("SWELL_TEST_KUBECONFIG names the kubeconfig of a cluster for tests: %v", err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := driftStack{client: newClient(t, cred), ca: base64.StdEncoding.EncodeToString(cred.CAData)}
	namespaces := s.client.Kubernetes().CoreV1().Namespaces()
	created, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "drift-test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.namespace = created.Name
	s.manifest = []byte(strings.ReplaceAll(read(t, "testdata/drift.yaml"), "NAMESPACE", s.namespace))
	names, err := s.client.ApplyCRDs(t.Context(), []byte(read(t, "testdata/drift-crds.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the CRD", func() bool {
		waiting, err := s.client.CRDsEstablished(t.Context(), names)
		return err == nil && len(waiting) == 0
	})
	op := helm.Op{
		Credential: cred, AllowedNetworks: "127.0.0.0/8", ReleaseName: "web", Namespace: s.namespace, Action: release.Install, Fence: 1,
		Labels:          map[string]string{release.LabelOwner: "d", release.LabelInput: "i", release.LabelRun: "r"},
		Archive:         helmtest.Chart{"templates/all.yaml": string(s.manifest)}.Archive(t),
		StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: time.Second,
	}
	t.Cleanup(func() {
		op.Action, op.Archive, op.StopMutationsAt = release.Uninstall, nil, time.Now().Add(time.Minute)
		ctx := context.WithoutCancel(t.Context())
		_, err := helm.Apply(ctx, op)
		err = errors.Join(err, namespaces.Delete(ctx, s.namespace, metav1.DeleteOptions{}),
			s.client.Dynamic().Resource(definitions).Delete(ctx, names[0], metav1.DeleteOptions{}))
		if err != nil {
			t.Log(err)
		}
	})
	if _, err := helm.Apply(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	s.client.Refresh()
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// write is one write of somebody to an object, as kubectl and controllers send it.
type write struct {
	object  string // Kind/name
	manager string
	sub     string // subresource
	patch   string // a JSON patch if it is a list; empty deletes the object
}

var driftKinds = map[string]string{
	"Deployment": "apps/v1/deployments", "StatefulSet": "apps/v1/statefulsets", "DaemonSet": "apps/v1/daemonsets", "Service": "/v1/services",
	"ConfigMap": "/v1/configmaps", "Secret": "/v1/secrets", "ServiceAccount": "/v1/serviceaccounts", "PersistentVolumeClaim": "/v1/persistentvolumeclaims",
	"Ingress": "networking.k8s.io/v1/ingresses", "NetworkPolicy": "networking.k8s.io/v1/networkpolicies",
	"HorizontalPodAutoscaler": "autoscaling/v2/horizontalpodautoscalers", "PodDisruptionBudget": "policy/v1/poddisruptionbudgets",
	"Role": "rbac.authorization.k8s.io/v1/roles", "RoleBinding": "rbac.authorization.k8s.io/v1/rolebindings",
	"CronJob": "batch/v1/cronjobs", "Job": "batch/v1/jobs", "Lease": "coordination.k8s.io/v1/leases", "DriftWidget": "swell.test/v1/driftwidgets",
	"Namespace": "!/v1/namespaces", "CustomResourceDefinition": "!apiextensions.k8s.io/v1/customresourcedefinitions",
	"ValidatingWebhookConfiguration": "!admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}

func (s driftStack) resource(kind string) dynamic.ResourceInterface {
	path, cluster := strings.CutPrefix(driftKinds[kind], "!")
	parts := strings.Split(path, "/")
	resource := s.client.Dynamic().Resource(schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]})
	if cluster {
		return resource
	}
	return resource.Namespace(s.namespace)
}

func (s driftStack) write(t *testing.T, w write) {
	t.Helper()
	kind, name, _ := strings.Cut(w.object, "/")
	name = strings.ReplaceAll(name, "NAMESPACE", s.namespace)
	w.patch = strings.ReplaceAll(w.patch, "PEM", s.ca)
	if w.patch == "" {
		if err := s.resource(kind).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	var force *bool
	patchType := types.StrategicMergePatchType
	switch {
	case strings.HasPrefix(w.patch, "["):
		patchType = types.JSONPatchType
	case strings.HasPrefix(w.patch, "apiVersion"):
		patchType, force = types.ApplyPatchType, new(true)
	case w.sub == "scale", kind == "DriftWidget", kind == "CustomResourceDefinition":
		patchType = types.MergePatchType
	}
	var subs []string
	if w.sub != "" {
		subs = append(subs, w.sub)
	}
	_, err := s.resource(kind).Patch(t.Context(), name, patchType, []byte(w.patch), metav1.PatchOptions{FieldManager: w.manager, Force: force}, subs...)
	if err != nil {
		t.Fatal(err)
	}
}

// drift returns what is found, and each finding in one line.
func (s driftStack) drift(t *testing.T, ignore ...intent.Ignore) (findings []drift.Finding, lines []string) {
	t.Helper()
	findings, err := s.client.Drift(t.Context(), s.manifest, s.namespace, drift.Options{Ignore: ignore})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s/%s %s", f.Op, f.Kind, f.Name, f.Path)))
	}
	return findings, lines
}

// repair does what the machine does: it looks again where the object has moved.
func (s driftStack) repair(t *testing.T, findings []drift.Finding) {
	t.Helper()
	for range 20 {
		err := s.client.Repair(t.Context(), findings, s.manifest, "web", s.namespace, func() error { return nil })
		if err == nil {
			return
		}
		if !errors.Is(err, kube.ErrDriftMoved) {
			t.Fatal(err)
		}
		findings, _ = s.drift(t)
	}
	t.Fatal("the objects never stood still")
}

// settled waits until controllers have done what an installation gives them to do.
func (s driftStack) settled(t *testing.T) {
	t.Helper()
	for _, object := range []string{"Deployment/web", "Deployment/auto", "StatefulSet/db", "DaemonSet/agent", "Job/once", "PersistentVolumeClaim/data"} {
		kind, name, _ := strings.Cut(object, "/")
		eventually(t, object, func() bool {
			u, err := s.resource(kind).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ready, _, _ := unstructured.NestedInt64(u.Object, "status", "readyReplicas")
			agents, _, _ := unstructured.NestedInt64(u.Object, "status", "numberReady")
			done, _, _ := unstructured.NestedInt64(u.Object, "status", "succeeded")
			phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
			return ready+agents+done > 0 || phase == "Bound"
		})
	}
}

// TestDriftOnARealServer holds the score: what people do must be seen and is repaired, what a cluster does must not.
func TestDriftOnARealServer(t *testing.T) {
	s := installDrift(t)
	s.settled(t)
	if _, lines := s.drift(t); len(lines) > 0 {
		t.Fatalf("a release that nobody has touched has drift:\n%s", strings.Join(lines, "\n"))
	}
	for name, c := range mustNotBeSeen {
		t.Run("not seen: "+name, func(t *testing.T) {
			for _, w := range c.writes {
				s.write(t, w)
			}
			if _, lines := s.drift(t, c.ignore...); len(lines) > 0 {
				t.Errorf("it was seen:\n%s", strings.Join(lines, "\n"))
			}
			for _, w := range c.undo {
				s.write(t, w)
			}
		})
	}
	for name, c := range mustBeSeen {
		t.Run("seen: "+name, func(t *testing.T) {
			for _, w := range c.writes {
				s.write(t, w)
			}
			findings, lines := s.drift(t)
			slices.Sort(lines)
			for i := range c.want {
				c.want[i] = strings.ReplaceAll(c.want[i], "NAMESPACE", s.namespace)
			}
			if d := cmp.Diff(c.want, lines); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
			for _, f := range findings {
				if f.Kind == "Secret" && (strings.Contains(fmt.Sprint(f.Want, f.Live), "Zmly") || f.Want == "" || f.Live == "") {
					t.Errorf("a Secret's value is shown: %+v", f)
				}
			}
			s.repair(t, findings)
			if _, lines := s.drift(t); len(lines) > 0 {
				t.Errorf("it was not repaired:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}
