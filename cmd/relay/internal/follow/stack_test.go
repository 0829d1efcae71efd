//go:build stack

package follow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/swell-sh/swell/cmd/relay/internal/follow"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/relay"
)

const within = 60 * time.Second

// site is a namespace of the test cluster in which a relay follows.
type site struct {
	t         *testing.T
	client    *kube.Client
	namespace string

	mu   sync.Mutex
	told []relay.Report
}

func newSite(t *testing.T) *site {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("SWELL_TEST_KUBECONFIG"))
	if err != nil {
		t.Fatalf("this test needs the local cluster, which `make test` starts: %v", err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	var policy netguard.Policy
	if err := policy.UnmarshalText([]byte("127.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(cred, policy)
	if err != nil {
		t.Fatal(err)
	}
	random := id.New()
	s := &site{t: t, client: client, namespace: "relay-" + random[len(random)-6:]}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if _, err := client.Kubernetes().CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Kubernetes().CoreV1().Namespaces().Delete(context.Background(), s.namespace, metav1.DeleteOptions{})
		client.Close()
	})
	return s
}

// follow runs a relay until it is killed.
func (s *site) follow() (kill func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	f, err := follow.New(s.client, s.take, true, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := f.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = f.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func (s *site) take(r relay.Report) {
	if r.Namespace != s.namespace {
		return // of another test
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, r)
}

func (s *site) reports() []relay.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// await returns the first report of an object in a state.
func (s *site) await(name string, state relay.State, generation int64) relay.Report {
	s.t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, r := range s.reports() {
			if r.Object.Name == name && r.State == state && r.Object.Generation >= generation {
				return r
			}
		}
	}
	raw, _ := json.MarshalIndent(s.reports(), "", " ")
	s.t.Fatalf("%s was not said to be %s:\n%s", name, state, raw)
	return relay.Report{}
}

// awaitCause returns the first cause that is told of an object which may still become ready.
func (s *site) awaitCause(name string) relay.Cause {
	s.t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, r := range s.reports() {
			if r.Object.Name == name && r.Cause != nil {
				return *r.Cause
			}
		}
	}
	s.t.Fatalf("nothing is told of why %s is not ready", name)
	return relay.Cause{}
}

// ofRelease is the metadata of an object that Helm made, of a release of the same name.
func (s *site) ofRelease(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: s.namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"},
		Annotations: map[string]string{"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": s.namespace},
	}
}

func (s *site) deploy(name, image string, change ...func(*appsv1.DeploymentSpec)) *appsv1.Deployment {
	s.t.Helper()
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: s.ofRelease(name),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}},
			},
		},
	}
	for _, c := range change {
		c(&d.Spec)
	}
	made, err := s.client.Kubernetes().AppsV1().Deployments(s.namespace).Create(s.t.Context(), d, metav1.CreateOptions{FieldManager: "helm"})
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

func TestCauses(t *testing.T) {
	s := newSite(t)
	defer s.follow()()
	s.deploy("good", "registry.k8s.io/pause:3.10")
	s.deploy("pull", "registry.k8s.io/pause:missing")
	s.deploy("crash", "registry.k8s.io/pause:crash")
	s.deploy("oom", "registry.k8s.io/pause:oom")
	s.deploy("nowhere", "registry.k8s.io/pause:3.10", func(d *appsv1.DeploymentSpec) { d.Template.Spec.NodeSelector = map[string]string{"no": "node"} })
	s.deploy("late", "registry.k8s.io/pause:3.10", func(d *appsv1.DeploymentSpec) {
		d.ProgressDeadlineSeconds, d.Template.Annotations = new(int32(2)), map[string]string{"swell.test/never-ready": "true"}
	})
	s.claim("data", "no-such-class")
	s.deploy("stateful", "registry.k8s.io/pause:3.10", func(d *appsv1.DeploymentSpec) {
		d.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	})
	s.migrate("migration", "registry.k8s.io/pause:crash")

	s.await("good", relay.Complete, 1)
	if got := s.await("pull", relay.Failed, 1).Cause; got.Code != "image-pull" || got.Image != "registry.k8s.io/pause:missing" {
		t.Errorf("an image that is missing: %+v", got)
	}
	if got := s.await("crash", relay.Failed, 1).Cause; got.Code != "crash-loop" || got.Logs != "panic: no database at db:5432 (a test asked for it)" {
		t.Errorf("a crash: %+v", got)
	}
	if got := s.await("oom", relay.Failed, 1).Cause; got.Code != "oom-killed" {
		t.Errorf("too much memory: %+v", got)
	}
	if got := s.await("late", relay.Failed, 1).Cause; got.Code != "deadline-exceeded" {
		t.Errorf("not ready in time: %+v", got)
	}
	if got := s.await("migration", relay.Failed, 1).Cause; got.Code != "job-failed" || got.Logs != "a test asked for it" { // its termination message
		t.Errorf("a Job that fails: %+v", got)
	}
	for name, code := range map[string]string{"nowhere": "unschedulable", "stateful": "volume-unbound", "data": "volume-unbound"} {
		if got := s.awaitCause(name); got.Code != code || !got.Waiting {
			t.Errorf("%s: %+v, want %s", name, got, code)
		}
	}
}

// claim asks for a volume.
func (s *site) claim(name, class string) {
	s.t.Helper()
	c := &corev1.PersistentVolumeClaim{ObjectMeta: s.ofRelease(name), Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	if _, err := s.client.Kubernetes().CoreV1().PersistentVolumeClaims(s.namespace).Create(s.t.Context(), c, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
		s.t.Fatal(err)
	}
}

// migrate starts a Job that is tried once.
func (s *site) migrate(name, image string) {
	s.t.Helper()
	j := &batchv1.Job{ObjectMeta: s.ofRelease(name), Spec: batchv1.JobSpec{
		BackoffLimit: new(int32(0)),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: image}},
		}},
	}}
	if _, err := s.client.Kubernetes().BatchV1().Jobs(s.namespace).Create(s.t.Context(), j, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
		s.t.Fatal(err)
	}
}

func TestTouches(t *testing.T) {
	s := newSite(t)
	defer s.follow()()
	s.deploy("web", "registry.k8s.io/pause:3.10")
	s.await("web", relay.Complete, 1)
	time.Sleep(time.Second) // managedFields tell seconds
	deployments := s.client.Kubernetes().AppsV1().Deployments(s.namespace)
	patch := func(manager, body string) {
		t.Helper()
		if _, err := deployments.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
	}
	patch("helm", `{"spec": {"minReadySeconds": 1}}`)
	s.await("web", relay.Complete, 2)
	for _, r := range s.reports() {
		if r.State == relay.Changed {
			t.Errorf("what Helm and the controllers wrote is told as changed by %s", r.Manager)
		}
	}
	time.Sleep(time.Second)
	patch("kubectl-edit", `{"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.9"}]}}}}`)
	if got := s.await("web", relay.Changed, 3).Manager; got != "kubectl-edit" {
		t.Errorf("changed by %q", got)
	}
	if err := deployments.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("web", relay.Deleted, 3)
}

// A relay that is killed at any point and starts again tells all that ended, under the ids that it had before.
func TestRestart(t *testing.T) {
	s := newSite(t)
	kill := s.follow()
	for i := range 5 {
		s.deploy(fmt.Sprint("good", i), "registry.k8s.io/pause:3.10")
	}
	s.await("good0", relay.Complete, 1)
	kill() // in the middle
	for i := range 5 {
		s.deploy(fmt.Sprint("bad", i), "registry.k8s.io/pause:missing")
	}
	kill = s.follow()
	for i := range 5 {
		s.await(fmt.Sprint("good", i), relay.Complete, 1)
		s.await(fmt.Sprint("bad", i), relay.Failed, 1)
	}
	kill()
	defer s.follow()()
	ids := func() map[string][]string { // of what ended, by object
		all := map[string]map[string]bool{}
		for _, r := range s.reports() {
			if r.State.Terminal() {
				if all[r.Object.Name] == nil {
					all[r.Object.Name] = map[string]bool{}
				}
				all[r.Object.Name][r.ID] = true
			}
		}
		out := map[string][]string{}
		for name, of := range all {
			out[name] = slices.Sorted(maps.Keys(of))
		}
		return out
	}
	before := ids()
	time.Sleep(2 * time.Second)
	after := ids()
	if diff := cmp.Diff(before, after); diff != "" || len(after) != 10 {
		t.Errorf("%d objects ended; after another start (-before +after):\n%s", len(after), diff)
	}
	for name, of := range after {
		if len(of) != 1 {
			t.Errorf("%s ended under %d ids", name, len(of))
		}
	}
}
