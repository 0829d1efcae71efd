//go:build stack

package helm_test

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
)

// stack is a namespace of its own on the real API server that SWELL_TEST_KUBECONFIG leads to.
type stack struct {
	cred       kube.Credential
	kubernetes kubernetes.Interface
	namespace  string
}

func newStack(t *testing.T) stack {
	t.Helper()
	path := os.Getenv("SWELL_TEST_KUBECONFIG")
	if path == "" {
		t.Fatal("SWELL_TEST_KUBECONFIG is not set: run `make test`, or `make up` and name a cluster's kubeconfig")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := kube.ParseKubeconfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(cred, policy)
	if err != nil {
		t.Fatal(err)
	}
	created, err := client.Kubernetes().CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "helm-test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Kubernetes().CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), created.Name, metav1.DeleteOptions{}); err != nil {
			t.Log(err)
		}
	})
	return stack{cred, client.Kubernetes(), created.Name}
}

func (s stack) op(t *testing.T, action release.Action, fence int64, chart helmtest.Chart, values map[string]any) helm.Op {
	t.Helper()
	op := helm.Op{
		Credential: s.cred, AllowedNetworks: "127.0.0.0/8", ReleaseName: name, Namespace: s.namespace, Action: action, Values: values,
		Labels: labels("input"), Fence: fence, StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: 30 * time.Second,
	}
	if chart != nil {
		op.Archive = chart.Archive(t)
	}
	return op
}

func (s stack) statuses(t *testing.T) map[int]string {
	t.Helper()
	return statuses(history(t, s.cred, s.namespace))
}

// endless is a Job whose Pod no node takes.
func endless(hook, events string) string {
	return strings.Replace(helmtest.Hook(hook, events), "restartPolicy: Never", "restartPolicy: Never\n      nodeSelector: {nowhere: \"true\"}", 1)
}

func TestStackLifeOfARelease(t *testing.T) {
	s := newStack(t)
	chart := helmtest.Workload().With("templates/job.yaml", helmtest.Hook("migrate", "pre-install,pre-upgrade,pre-delete"))
	apply(t, s.op(t, release.Install, 1, chart, map[string]any{"replicas": 2}))
	got := apply(t, s.op(t, release.Upgrade, 2, chart, map[string]any{"replicas": 3}))
	if got.Revision != 2 || got.ManifestObjects != 2 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, s.statuses(t)); diff != "" {
		t.Errorf("history in Helm's eyes (-want +got):\n%s", diff)
	}
	if last, err := byHand(t, s.cred, s.namespace).Deployed(name); err != nil || last.Config["replicas"] != 3.0 || last.Manifest == "" {
		t.Errorf("the deployed record in Helm's eyes: %v, %v", last, err)
	}
	web, err := s.kubernetes.AppsV1().Deployments(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || *web.Spec.Replicas != 3 {
		t.Errorf("the workload: %v, %v", web, err)
	}
	apply(t, s.op(t, release.Uninstall, 3, nil, nil))
	secrets, err := s.kubernetes.CoreV1().Secrets(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil || len(secrets.Items) != 0 {
		t.Errorf("%d records are left, %v", len(secrets.Items), err)
	}
}

func TestStackFailedFirstInstallIsRepairedByUpgrade(t *testing.T) {
	s := newStack(t)
	bad := helmtest.Workload()
	got, e := refused(t.Context(), t, s.op(t, release.Install, 1, bad, map[string]any{"replicas": -1}), helm.CodeInvalidObject)
	if got.Status != "failed" || !strings.Contains(e.Cause, "spec.replicas") {
		t.Errorf("after the failure: %+v: %v", got, e)
	}
	apply(t, s.op(t, release.Upgrade, 2, bad, map[string]any{"replicas": 1}))
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, s.statuses(t)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestStackHookThatNeverEnds(t *testing.T) {
	s := newStack(t)
	op := s.op(t, release.Install, 1, helmtest.ConfigMaps(1).With("templates/job.yaml", endless("migrate", "pre-install")), nil)
	op.HookTimeout = 2 * time.Second
	got, e := refused(t.Context(), t, op, helm.CodeHookTimeout)
	if e.Object != "Job/migrate" || got.Status != "failed" {
		t.Errorf("object %q, status %q", e.Object, got.Status)
	}
	if _, err := s.kubernetes.BatchV1().Jobs(s.namespace).Get(t.Context(), "migrate", metav1.GetOptions{}); err != nil {
		t.Errorf("the running Job is gone: %v", err)
	}
}

func TestStackRecordTooLarge(t *testing.T) {
	s := newStack(t)
	chart := helmtest.ConfigMaps(1).With("templates/_noise.tpl", noise(1_300_000))
	refused(t.Context(), t, s.op(t, release.Install, 1, chart, nil), helm.CodeRecordTooLarge)
	fits := helmtest.ConfigMaps(1).With("templates/_noise.tpl", noise(800_000))
	apply(t, s.op(t, release.Install, 1, fits, nil))
}

func TestStackObjectOfSomebodyElse(t *testing.T) {
	s := newStack(t)
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "web-00"}}
	if _, err := s.kubernetes.CoreV1().ConfigMaps(s.namespace).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, e := refused(t.Context(), t, s.op(t, release.Install, 1, helmtest.ConfigMaps(1), nil), helm.CodeObjectExists)
	if e.Object != "ConfigMap/web-00" {
		t.Errorf("object %q", e.Object)
	}
}

// beginStuck runs a verb that hangs in its hook, and returns its child's pid once its record is there.
func (s stack) beginStuck(t *testing.T, op helm.Op, revision int) (pid int, done chan outcome) {
	t.Helper()
	done = make(chan outcome, 1)
	go func() {
		result, err := helm.Apply(t.Context(), op)
		done <- outcome{result, err}
	}()
	for {
		jobs, err := s.kubernetes.BatchV1().Jobs(s.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if rel, err := byHand(t, s.cred, s.namespace).Get(name, revision); err == nil && rel.Info.Status.IsPending() && len(jobs.Items) > 0 {
			return childOf(t), done
		}
		select {
		case early := <-done:
			t.Fatalf("the verb ended early: %+v, %v", early.result, early.err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestStackKilledThenRecovered(t *testing.T) {
	s := newStack(t)
	stuck := helmtest.ConfigMaps(3).With("templates/job.yaml", endless("migrate", "pre-install"))
	pid, done := s.beginStuck(t, s.op(t, release.Install, 1, stuck, nil), 1)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if killed := <-done; killed.err == nil {
		t.Fatal("a killed verb succeeded")
	}
	refused(t.Context(), t, s.op(t, release.Upgrade, 2, stuck, nil), helm.CodeReleasePending)
	setStatus(t, byHand(t, s.cred, s.namespace), 1, helmrelease.StatusFailed)
	apply(t, s.op(t, release.Recover, 3, helmtest.ConfigMaps(3), nil))
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, s.statuses(t)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestStackFrozenAndThawed(t *testing.T) {
	s := newStack(t)
	apply(t, s.op(t, release.Install, 1, helmtest.ConfigMaps(3), nil))
	stuck := helmtest.ConfigMaps(3).With("templates/job.yaml", endless("migrate", "pre-upgrade"))
	op := s.op(t, release.Upgrade, 2, stuck, map[string]any{"text": "zombie"})
	op.HookTimeout = 3 * time.Second
	pid, done := s.beginStuck(t, op, 2)
	freeze(t, pid)
	setStatus(t, byHand(t, s.cred, s.namespace), 2, helmrelease.StatusFailed)
	apply(t, s.op(t, release.Recover, 3, helmtest.ConfigMaps(3), map[string]any{"text": "good"}))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if woken := <-done; woken.err == nil {
		t.Error("the thawed verb succeeded")
	}
	maps, err := s.kubernetes.CoreV1().ConfigMaps(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=Helm"})
	if err != nil || len(maps.Items) != 3 {
		t.Fatalf("%d maps, %v", len(maps.Items), err)
	}
	for _, m := range maps.Items {
		if m.Data["text"] != "good" {
			t.Errorf("%s holds %q", m.Name, m.Data["text"])
		}
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "failed", 3: "deployed"}, s.statuses(t)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}
