//go:build stack

package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
)

// inMemory is a cluster in this process, imported for one test.
type inMemory struct {
	*kubetest.Server
	name, id string
}

// newInMemory starts and imports a cluster; the test's end forgets it.
func newInMemory(t *testing.T) inMemory {
	t.Helper()
	c := inMemory{Server: kubetest.New(t, kubetest.Options{}), name: unique("mem")}
	var doc openapi.Cluster
	must(t, http.StatusCreated, http.MethodPost, "/clusters", values{"name": c.name, "kubeconfig": string(c.Kubeconfig()), "relay": values{"enabled": false}}, &doc)
	if doc.UID != c.UID() || doc.Nodes != 3 || doc.Status != openapi.ClusterStatusRUNNING {
		t.Errorf("imported as %+v", doc)
	}
	c.id = doc.ID
	t.Cleanup(func() {
		found, err := swell.findCluster(context.WithoutCancel(t.Context()), c.name)
		if err == nil && found.ID != "" {
			err = swell.forgetCluster(context.WithoutCancel(t.Context()), found)
		}
		if err != nil {
			t.Errorf("forgetting cluster %s: %v", c.name, err)
		}
	})
	return c
}

// breakDown makes the cluster answer as one whose API server is going down; nil-safe to undo with mend.
func (c inMemory) breakDown() {
	c.Fail(func(*http.Request) *metav1.Status {
		return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable, Message: "going down"}
	})
}

func (c inMemory) mend() { c.Fail(nil) }

func newGroup(t *testing.T, members ...string) string {
	t.Helper()
	var g openapi.ClusterGroup
	must(t, http.StatusCreated, http.MethodPost, "/clustergroups", openapi.ClusterGroupRequest{Name: unique("group"), Members: members}, &g)
	t.Cleanup(func() {
		if err := swell.forgetGroup(context.WithoutCancel(t.Context()), g.ID); err != nil {
			t.Errorf("forgetting group %s: %v", g.Name, err)
		}
	})
	return g.ID
}

// A member that leaves loses its releases by a run; one that could not be reached is cleaned by a sync; its names stay claimed until then.
func TestMemberLeaves(t *testing.T) {
	t.Parallel()
	stays, leaves, stuck := newInMemory(t), newInMemory(t), newInMemory(t)
	group := newGroup(t, stays.id, leaves.id, stuck.id)
	a := newApp(t, group, "leave")
	demo := pushDemo(t)
	a.deploy(openapi.RunStatusSucceeded, intent{"name": demo})

	stuck.breakDown()
	var changed openapi.ClusterGroupAccepted
	must(t, http.StatusAccepted, http.MethodPut, "/clustergroups/"+group+"?confirmRemovals=true", openapi.ClusterGroupRequest{Name: unique("renamed"), Members: []string{stays.id}}, &changed)
	if len(changed.Runs) != 1 {
		t.Fatalf("the change started runs %v, want one", changed.Runs)
	}
	r := ended(t, changed.Runs[0], openapi.RunStatusPartial)
	wantOutcome(t, r, leaves.name, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, stuck.name, openapi.RunTargetStatusFailed, "cluster-unreachable", "", true)
	if got := leaves.Len("deployments") + leaves.Len("secrets"); got != 0 {
		t.Errorf("the cluster that left has %d objects", got)
	}
	if stays.Len("deployments") != 1 {
		t.Error("the cluster that stayed lost its release")
	}

	other := newGroup(t, stuck.id)
	claimed := do(t, http.MethodPost, "/clustergroups/"+other+"/deployments", intent{"name": demo, "releaseName": a.name, "namespace": a.name})
	if claimed.status != http.StatusConflict || claimed.problem.Code != "release-claimed" || claimed.problem.Field != "releaseName" {
		t.Errorf("a name that an ex-member still holds: answered %d %s", claimed.status, claimed.raw)
	}

	stuck.mend()
	r = a.sync(openapi.RunStatusSucceeded)
	wantOutcome(t, r, stuck.name, openapi.RunTargetStatusSucceeded, "", "", false)
	if got := stuck.Len("deployments"); got != 0 {
		t.Errorf("the ex-member has %d Deployments after the sync", got)
	}
}

// A group with deployments is deleted only when told to remove them, and only after they are gone.
func TestGroupIsDeleted(t *testing.T) {
	t.Parallel()
	member := newInMemory(t)
	group := newGroup(t, member.id)
	newApp(t, group, "first").deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	refusal{method: http.MethodDelete, path: "/clustergroups/" + group, status: 409, code: "group-has-deployments"}.wantRefused(t)
	refusal{method: http.MethodDelete, path: "/clusters/" + member.id, status: 409, code: "cluster-is-member"}.wantRefused(t)

	var removal openapi.ClusterGroupAccepted
	must(t, http.StatusAccepted, http.MethodDelete, "/clustergroups/"+group+"?removeDeployments=true", nil, &removal)
	for _, id := range removal.Runs {
		ended(t, id, openapi.RunStatusSucceeded)
	}
	if got := member.Len("deployments"); got != 0 {
		t.Errorf("the member still has %d Deployments", got)
	}
	must(t, http.StatusNoContent, http.MethodDelete, "/clustergroups/"+group, nil, nil)
	refusal{method: http.MethodGet, path: "/clustergroups/" + group, status: 404, code: "group-not-found"}.wantRefused(t)
	must(t, http.StatusNoContent, http.MethodDelete, "/clusters/"+member.id, nil, nil)
	refusal{method: http.MethodGet, path: "/clusters/" + member.id, status: 404, code: "cluster-not-found"}.wantRefused(t)
	if member.Len("nodes") == 0 || member.Len("namespaces") < 3 {
		t.Error("forgetting a cluster changed the cluster")
	}
}

func awaitRunning(t *testing.T, run string) {
	t.Helper()
	if err := poll(t.Context(), time.Minute, func() (bool, error) {
		return getRun(t, run).Status == openapi.RunStatusRunning, nil
	}); err != nil {
		t.Fatalf("waiting for run %s to begin: %v", run, err)
	}
}

// A run that is canceled while it plans touches no target.
func TestRunIsCanceled(t *testing.T) {
	t.Parallel()
	slow := newInMemory(t)
	group := newGroup(t, slow.id)
	a := newApp(t, group, "cancel")
	slow.SetDelay(3 * time.Second)
	run := a.create(intent{"name": pushDemo(t)}).Run
	awaitRunning(t, run)
	must(t, http.StatusAccepted, http.MethodPost, "/runs/"+run+"/cancel", nil, nil)
	r := ended(t, run, openapi.RunStatusCanceled)
	wantOutcome(t, r, slow.name, openapi.RunTargetStatusCanceled, "", "", false)
	if slow.Writes() != 0 {
		t.Errorf("the cluster was written to %d times", slow.Writes())
	}
	slow.SetDelay(0)
	a.sync(openapi.RunStatusSucceeded)
	if slow.Len("deployments") != 1 {
		t.Error("a sync after the cancel did not deploy")
	}
}

// An answer of the API never repeats a credential.
func TestClusterAnswersHoldNoCredential(t *testing.T) {
	t.Parallel()
	c := newInMemory(t)
	a := do(t, http.MethodGet, "/clusters/"+c.id, nil)
	if a.status != http.StatusOK || strings.Contains(string(a.raw), c.Credential().Token) || strings.Contains(string(a.raw), "certificate") {
		t.Errorf("answered %d %s", a.status, a.raw)
	}
}
