package helm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

const testPod = `apiVersion: v1
kind: Pod
metadata:
  name: works
  annotations:
    helm.sh/hook: test
spec:
  restartPolicy: Never
  containers:
    - {name: ask, image: "registry.example/ask:1"}
`

// Tests run as often as they are asked for, make no revision, and leave Swell's labels as they are.
func TestChartTests(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1).With("templates/works.yaml", testPod).With("templates/job.yaml", helmtest.Hook("migrate", "pre-install"))
	installed := apply(t, newOp(t, server, release.Install, chart, nil))
	for range 2 {
		op := newOp(t, server, release.Test, chart, nil)
		op.Archive, op.Labels = nil, nil
		got := apply(t, op)
		if got.Revision != 1 || got.Status != "deployed" || got.Labels[release.LabelInput] != installed.Labels[release.LabelInput] ||
			got.Labels[release.LabelRevision] != "1" {
			t.Errorf("%+v", got)
		}
	}
	if pods, jobs := server.Count("create", "pods"), server.Count("create", "jobs"); pods != 2 || jobs != 1 {
		t.Errorf("%d tests and %d other hooks ran, want 2 and 1", pods, jobs)
	}
}

// A test that fails says how its pod ended, without the release's values.
func TestChartTestThatFails(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1).With("templates/works.yaml", testPod)
	apply(t, newOp(t, server, release.Install, chart, nil))
	server.SetReady(false)
	server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
			pod := server.Get("pods", namespace, "works")
			pod["status"] = map[string]any{"phase": "Failed", "containerStatuses": []any{map[string]any{
				"name": "ask", "state": map[string]any{"terminated": map[string]any{"exitCode": int64(7), "message": "got 500 with s3cret-text"}},
			}}}
			server.Put(pod)
		}
		return nil
	})
	server.SetLog(strings.Repeat(strings.Repeat("x", 299)+"\n", 20) + "FAIL: the end\n")
	op := newOp(t, server, release.Test, chart, map[string]any{"password": "s3cret-text"})
	op.Archive = nil
	got, e := refused(t.Context(), t, op, helm.CodeHookFailed)
	if e.Object != "Pod/works" || !strings.Contains(e.Cause, "container ask ended with code 7: got 500") || !strings.Contains(e.Cause, "FAIL: the end") || strings.Contains(e.Cause, "s3cret-text") || got.Status != "deployed" {
		t.Errorf("object %q, status %q: %s", e.Object, got.Status, e.Cause)
	}
}

func TestChartTestThatNeverEnds(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1).With("templates/works.yaml", testPod)
	apply(t, newOp(t, server, release.Install, chart, nil))
	server.SetReady(false)
	op := newOp(t, server, release.Test, chart, nil)
	op.Archive, op.HookTimeout = nil, time.Second
	if _, e := refused(t.Context(), t, op, helm.CodeHookTimeout); e.Object != "Pod/works" {
		t.Errorf("object %q", e.Object)
	}
}
