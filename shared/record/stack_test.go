//go:build stack

package record_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
)

func TestRealCluster(t *testing.T) {
	raw, err := os.ReadFile(os.Getenv("SWELL_TEST_KUBECONFIG"))
	if err != nil {
		t.Fatalf("SWELL_TEST_KUBECONFIG names the kubeconfig of a cluster for tests: %v", err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(cred, loopback)
	if err != nil {
		t.Fatal(err)
	}
	core := client.Kubernetes().CoreV1()
	const namespace, release = "default", "swell-record-test"
	remove := func() {
		_ = core.Secrets(namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "name=" + release})
	}
	remove()
	defer remove()
	for i, status := range []string{"superseded", "superseded", "superseded", "pending-upgrade"} {
		s := secret(t, release, i+1, status, nil)
		s.Namespace = namespace
		if _, err := core.Secrets(namespace).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	key := record.Key{Namespace: namespace, Name: release}
	latest := record.Latest(list(t, client, ""))[key]
	if latest.Revision != 4 || !latest.Pending() {
		t.Fatalf("Latest: %+v", latest)
	}
	if err := record.MarkFailed(t.Context(), core, latest, "died"); err != nil {
		t.Fatal(err)
	}
	if err := record.MarkFailed(t.Context(), core, latest, "died"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	// The payload's namespace is another, which a real cluster's record could have too.
	if _, err := record.Get(t.Context(), core, namespace, latest.SecretName); !problem.Is(err, "record-unreadable") {
		t.Errorf("Get: %v", err)
	}
	if err := record.Prune(t.Context(), core, record.History(list(t, client, namespace), key), 2, 1); err != nil {
		t.Fatal(err)
	}
	var left []int
	for _, m := range record.History(list(t, client, namespace), key) {
		left = append(left, m.Revision)
	}
	if diff := cmp.Diff([]int{4, 3, 1}, left); diff != "" {
		t.Error(diff)
	}
}
