package helm_test

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

// objectsOf is the set of objects of the release, without what the server keeps of their history.
func objectsOf(server *kubetest.Server) map[string]map[string]any {
	set := map[string]map[string]any{}
	for _, o := range server.Objects("configmaps", "deployments", "services") {
		meta := o["metadata"].(map[string]any)
		if meta["namespace"] != namespace {
			continue
		}
		for _, of := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
			delete(meta, of)
		}
		delete(o, "status")
		set[o["kind"].(string)+"/"+meta["name"].(string)] = o
	}
	return set
}

// good is the revision to go back to; bad changes an object of it, drops one, and adds another that differs between the two tries.
func good() helmtest.Chart { return helmtest.Workload().With("templates/kept.yaml", configMap("kept")) }

func bad(extra string) helmtest.Chart {
	return helmtest.Workload().With("templates/extra.yaml", configMap(extra))
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {text: some}\n"
}

func rollBack(t *testing.T, server *kubetest.Server, fence int64, to int) helm.Op {
	t.Helper()
	op := newOp(t, server, release.Rollback, nil, nil)
	op.Labels, op.Fence, op.RollbackTo = labels("input-good"), fence, to
	return op
}

func TestRollbackBringsTheSameObjectsBack(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, good(), map[string]any{"replicas": 2}))
	before := objectsOf(server)
	storage := byHand(t, server.Credential(), namespace)
	for n, extra := range []string{"first", "second"} { // two tries that did not run, each with an object of its own
		op := newOp(t, server, release.Upgrade, bad(extra), map[string]any{"image": "registry.example/web:missing"})
		op.Fence = int64(2 + n)
		apply(t, op)
		setStatus(t, storage, 2+n, helmrelease.StatusFailed)
	}
	got := apply(t, rollBack(t, server, 4, 1))
	want := helm.Result{
		Revision: 4, Status: "deployed", Description: "Rollback to 1", ManifestObjects: 3,
		Labels: map[string]string{
			"name": name, "owner": "helm", "status": "deployed", "version": "4", release.LabelOwner: "deployment-d1",
			release.LabelInput: "input-good", release.LabelRun: "run-1", release.LabelFence: "4", release.LabelRevision: "4",
		},
	}
	if diff := cmp.Diff(want, settled(got)); diff != "" {
		t.Errorf("rollback (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, objectsOf(server)); diff != "" {
		t.Errorf("the live objects (-before +after):\n%s", diff)
	}
	all := history(t, server.Credential(), namespace)
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"}, statuses(all)); diff != "" {
		t.Errorf("history in Helm's eyes (-want +got):\n%s", diff)
	}
	if last, err := storage.Deployed(name); err != nil || last.Version != 4 || last.Config["replicas"] != 2.0 {
		t.Errorf("the deployed record in Helm's eyes: %+v, %v", last, err)
	}
}

// An upgrade that fails leaves the record before it deployed; a second of these may be there, too. Both are superseded then.
func TestRollbackSupersedesEveryDeployedRecord(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, good(), nil))
	for range 2 {
		apply(t, newOp(t, server, release.Upgrade, good(), map[string]any{"replicas": 3}))
	}
	storage := byHand(t, server.Credential(), namespace)
	setStatus(t, storage, 1, helmrelease.StatusDeployed)
	setStatus(t, storage, 2, helmrelease.StatusDeployed)
	setStatus(t, storage, 3, helmrelease.StatusFailed)
	apply(t, rollBack(t, server, 2, 1))
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"}, statuses(history(t, server.Credential(), namespace))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestRollbackToNothing(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	refused(t.Context(), t, rollBack(t, server, 1, 1), helm.CodeReleaseConflict)
	apply(t, newOp(t, server, release.Install, good(), nil))
	writes := server.Writes()
	refused(t.Context(), t, rollBack(t, server, 2, 7), helm.CodeFailed)
	setStatus(t, byHand(t, server.Credential(), namespace), 1, helmrelease.StatusPendingUpgrade)
	refused(t.Context(), t, rollBack(t, server, 3, 1), helm.CodeReleasePending)
	if got := server.Writes() - writes; got != 1 { // the test's own
		t.Errorf("%d writes", got)
	}
}

func TestRollbackHooks(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	hooked := good().With("templates/job.yaml", helmtest.Hook("undo", "pre-rollback"))
	apply(t, newOp(t, server, release.Install, hooked, nil))
	apply(t, newOp(t, server, release.Upgrade, bad("extra"), nil))
	setStatus(t, byHand(t, server.Credential(), namespace), 2, helmrelease.StatusFailed)
	apply(t, rollBack(t, server, 3, 1))
	if server.Len("jobs") != 1 {
		t.Error("the hook of the revision that it goes back to did not run")
	}
}

// Whatever request the server begins to refuse at, the next rollback ends with the objects of before.
func TestRollbackRefusedAnywhere(t *testing.T) {
	t.Parallel()
	for at := 0; ; at++ {
		server := newServer(t, kubetest.Options{})
		apply(t, newOp(t, server, release.Install, good(), map[string]any{"replicas": 2}))
		before := objectsOf(server)
		apply(t, newOp(t, server, release.Upgrade, bad("extra"), nil))
		storage := byHand(t, server.Credential(), namespace)
		setStatus(t, storage, 2, helmrelease.StatusFailed)
		seen := 0
		server.Fail(func(*http.Request) *metav1.Status {
			if seen++; seen > at {
				return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "web is forbidden: "}
			}
			return nil
		})
		_, err := helm.Apply(t.Context(), rollBack(t, server, 3, 1))
		server.Fail(nil)
		if err == nil {
			if at < 5 {
				t.Fatalf("it ended well at request %d", at)
			}
			return
		}
		if _, ok := errors.AsType[*helm.Error](err); !ok {
			t.Fatal(err)
		}
		for _, rel := range history(t, server.Credential(), namespace) { // as deploy-release does
			if rel.Info.Status.IsPending() {
				setStatus(t, storage, rel.Version, helmrelease.StatusFailed)
			}
		}
		if got := apply(t, rollBack(t, server, 4, 1)); got.Status != "deployed" {
			t.Errorf("refused from request %d: %+v", at, got)
		}
		if diff := cmp.Diff(before, objectsOf(server)); diff != "" {
			t.Errorf("refused from request %d: the live objects (-before +after):\n%s", at, diff)
		}
		server.Close()
	}
}

func setUpKill(t *testing.T) (*kubetest.Server, map[string]map[string]any) {
	t.Helper()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, good(), nil))
	before := objectsOf(server)
	apply(t, newOp(t, server, release.Upgrade, bad("extra"), nil))
	setStatus(t, byHand(t, server.Credential(), namespace), 2, helmrelease.StatusFailed)
	return server, before
}

// A rollback that is killed leaves a pending record and no writer; marked failed, it is done again. It finds its child by being alone: it is not
// parallel.
func TestRollbackKilled(t *testing.T) {
	server, before := setUpKill(t)
	frozen := freezeAt(t, server, rollBack(t, server, 3, 1), func(r *http.Request) bool {
		return r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/secrets")
	})
	if err := syscall.Kill(frozen.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if killed := <-frozen.done; killed.err == nil || !strings.Contains(killed.err.Error(), helm.CodeKilled) {
		t.Errorf("it ended with %v", killed.err)
	}
	refused(t.Context(), t, rollBack(t, server, 4, 1), helm.CodeReleasePending)
	storage := byHand(t, server.Credential(), namespace)
	if rel, err := storage.Get(name, 3); err != nil || rel.Info.Status != helmrelease.StatusPendingRollback {
		t.Errorf("the record is %v, %v", rel, err)
	}
	setStatus(t, storage, 3, helmrelease.StatusFailed)
	apply(t, rollBack(t, server, 5, 1))
	if diff := cmp.Diff(before, objectsOf(server)); diff != "" {
		t.Errorf("the live objects (-before +after):\n%s", diff)
	}
}
