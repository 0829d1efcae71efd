package helm_test

import (
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

func TestHooks(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1).With("templates/job.yaml", helmtest.Hook("migrate", "pre-install,pre-upgrade,post-delete"))
	for _, action := range []release.Action{release.Install, release.Upgrade, release.Uninstall} {
		if got := apply(t, newOp(t, server, action, chart, nil)); got.Status != "deployed" && action != release.Uninstall {
			t.Errorf("%s: %+v", action, got)
		}
	}
	if n := server.Count("create", "jobs"); n != 3 {
		t.Errorf("%d hooks ran, want 3", n)
	}
}

func TestHookThatNeverEnds(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{NotReady: true})
	slow := helmtest.Hook("migrate", "pre-install\n    helm.sh/hook-delete-policy: hook-failed,before-hook-creation")
	chart := helmtest.ConfigMaps(1).With("templates/job.yaml", slow).With("templates/job2.yaml", helmtest.Hook("zz-later", "pre-install"))
	op := newOp(t, server, release.Install, chart, nil)
	op.HookTimeout = time.Second
	got, e := refused(t.Context(), t, op, helm.CodeHookTimeout)
	if e.Object != "Job/migrate" || got.Status != "failed" {
		t.Errorf("object %q, status %q", e.Object, got.Status)
	}
	if server.Get("jobs", namespace, "migrate") == nil {
		t.Error("the running Job was deleted")
	}
	if server.Len("jobs") != 1 || server.Len("configmaps") != 0 {
		t.Error("the verb went on")
	}
}

func TestHookThatFails(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{NotReady: true})
	chart := helmtest.ConfigMaps(1).With("templates/job.yaml", helmtest.Hook("migrate", "pre-install"))
	server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
			job := server.Get("jobs", namespace, "migrate")
			job["status"] = map[string]any{"failed": int64(1), "conditions": []any{map[string]any{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}}}
			server.Put(job)
		}
		return nil
	})
	got, e := refused(t.Context(), t, newOp(t, server, release.Install, chart, nil), helm.CodeHookFailed)
	if e.Object != "Job/migrate" || got.Status != "failed" {
		t.Errorf("object %q, status %q: %s", e.Object, got.Status, e.Cause)
	}
}

func TestHookThatCannotBeMade(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1).With("templates/job.yaml", helmtest.Hook("migrate", "post-install"))
	server.Fail(failOn(http.MethodPost, "/jobs", http.StatusForbidden, metav1.StatusReasonForbidden, "jobs is forbidden: no"))
	_, e := refused(t.Context(), t, newOp(t, server, release.Install, chart, nil), helm.CodeHookFailed)
	if e.Object != "Job/migrate" {
		t.Errorf("object %q: %s", e.Object, e.Cause)
	}
}
