package kubetest_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
)

func start(t *testing.T, opts kubetest.Options) (*kubetest.Server, *kube.Client) {
	t.Helper()
	server := kubetest.New(t, opts)
	client, err := kube.New(server.Credential(), netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return server, client
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Data: map[string]string{"a": "1"}}
}

func TestObjects(t *testing.T) {
	server, client := start(t, kubetest.Options{})
	maps := client.Kubernetes().CoreV1().ConfigMaps("default")
	created, err := maps.Create(t.Context(), configMap("one"), metav1.CreateOptions{})
	if err != nil || created.UID == "" || created.ResourceVersion == "" || created.CreationTimestamp.IsZero() {
		t.Fatalf("Create: %+v, %v", created, err)
	}
	if _, err := maps.Create(t.Context(), configMap("one"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a second Create: %v", err)
	}
	if _, err := client.Kubernetes().CoreV1().ConfigMaps("none").Create(t.Context(), configMap("one"), metav1.CreateOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("in a namespace that is not there: %v", err)
	}
	stale := created.DeepCopy()
	created.Data["a"] = "2"
	if _, err := maps.Update(t.Context(), created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("an Update of an old version: %v", err)
	}
	for patch, kind := range map[string]types.PatchType{
		`{"data":{"b":"3"}}`: types.MergePatchType, `{"data":{"c":"4"}}`: types.StrategicMergePatchType,
		`[{"op":"add","path":"/data/d","value":"5"}]`: types.JSONPatchType,
	} {
		if _, err := maps.Patch(t.Context(), "one", kind, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	got, err := maps.Get(t.Context(), "one", metav1.GetOptions{})
	if err != nil || len(got.Data) != 4 || got.Data["a"] != "2" || got.UID != created.UID {
		t.Errorf("Get: %+v, %v", got, err)
	}
	old := "1"
	if err := maps.Delete(t.Context(), "one", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &old}}); !apierrors.IsConflict(err) {
		t.Errorf("a Delete of an old version: %v", err)
	}
	if err := maps.Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := maps.Get(t.Context(), "one", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("Get after Delete: %v", err)
	}
	if server.Count("create", "configmaps") != 3 || server.Count("patch", "") != 3 || server.Writes() != 10 {
		t.Errorf("counts: %+v", server.Requests())
	}
}

func TestListPagesAndSelects(t *testing.T) {
	_, client := start(t, kubetest.Options{})
	maps := client.Kubernetes().CoreV1().ConfigMaps("default")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if _, err := maps.Create(t.Context(), configMap(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	options := metav1.ListOptions{Limit: 2}
	for {
		page, err := maps.List(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	if got := strings.Join(names, ""); got != "abcde" {
		t.Errorf("pages: %s", got)
	}
	for selector, want := range map[string]int{"app=b": 1, "app in (a,c)": 2, "app!=a": 4, "none": 0} {
		if list, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: selector}); err != nil || len(list.Items) != want {
			t.Errorf("%s: %d, %v", selector, len(list.Items), err)
		}
	}
	if list, err := maps.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=b"}); err != nil || len(list.Items) != 1 {
		t.Errorf("fieldSelector: %v, %v", list, err)
	}
}

func TestWatch(t *testing.T) {
	server, client := start(t, kubetest.Options{})
	maps := client.Kubernetes().CoreV1().ConfigMaps("default")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	made, err := maps.Create(ctx, configMap("one"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Data["a"] = "2"
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	server.Remove("configmaps", "default", "one")
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		if got := <-events.ResultChan(); got.Type != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestWorkloadsSettle(t *testing.T) {
	server, client := start(t, kubetest.Options{NotReady: true})
	deployments := client.Dynamic().Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("default")
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"}, "spec": map[string]any{"replicas": int64(2)},
	}}
	for i, want := range []int64{0, 3} {
		var err error
		if i == 0 {
			u, err = deployments.Create(t.Context(), u, metav1.CreateOptions{})
		} else {
			server.SetReady(true)
			u, err = deployments.Patch(t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		ready, _, _ := unstructured.NestedInt64(u.Object, "status", "readyReplicas")
		if ready != want || u.GetGeneration() != int64(i+1) {
			t.Errorf("step %d: %d ready of generation %d", i, ready, u.GetGeneration())
		}
	}
	put := server.Get("deployments", "default", "web")
	put["status"] = map[string]any{"readyReplicas": 1}
	server.Put(put)
	if u, err := deployments.Get(t.Context(), "web", metav1.GetOptions{}); err != nil || len(u.Object["status"].(map[string]any)) != 1 {
		t.Errorf("Put does not leave the status alone: %v, %v", u, err)
	}
}

func TestFaults(t *testing.T) {
	server, client := start(t, kubetest.Options{})
	server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodPost {
			return &metav1.Status{Code: 500, Message: "etcd is slow"}
		}
		return nil
	})
	maps := client.Kubernetes().CoreV1().ConfigMaps("default")
	if _, err := maps.Create(t.Context(), configMap("one"), metav1.CreateOptions{}); err == nil {
		t.Error("the fault did not come")
	}
	server.Fail(nil)
	if _, err := maps.Create(t.Context(), configMap("one"), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	large := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "large"}, Data: map[string][]byte{"x": make([]byte, 1<<20+1)}}
	if _, err := client.Kubernetes().CoreV1().Secrets("default").Create(t.Context(), large, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a Secret over its limit: %v", err)
	}
	if err := client.Kubernetes().CoreV1().Namespaces().Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil || server.Get("configmaps", "default", "one") != nil {
		t.Errorf("a namespace's objects outlive it: %v", err)
	}
	server.SetDelay(time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := maps.Get(ctx, "one", metav1.GetOptions{}); err == nil {
		t.Error("the delay was not kept")
	}
}
