//go:build stack

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
)

// A kind that Swell may not read hides the drift of the releases that have it, and of no other; the look at the cluster does not fail for it.
func TestDriftThatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	c := newInMemory(t)
	group := newGroup(t, c.id)
	a := newApp(t, group, "blind")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "mode": "correct"})
	c.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/deployments/") {
			return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "deployments.apps is forbidden"}
		}
		return nil
	})
	look := func() openapi.TargetCluster {
		t.Helper()
		answer := invoke(t, "CheckCluster", values{"Records": []values{{"messageId": "1", "eventSource": "aws:sqs", "body": `{"org":"default","cluster":"` + c.id + `"}`}}})
		if strings.Contains(answer, "itemIdentifier") {
			t.Fatalf("the look failed: %s", answer)
		}
		return a.target(c.name)
	}
	got := look()
	if got.CheckError.Code != "cluster-unauthorized" || !strings.Contains(got.CheckError.Cause, "deployments.apps is forbidden") || got.Status != openapi.TargetStatusDEPLOYED || !got.Stale {
		t.Errorf("the target is %+v", got)
	}
	for _, command := range []string{"status", "drift"} {
		if out, code := cli(t, command, a.name, "--group", nameOf(t, group)); code != 0 || !strings.Contains(out, "drift not known since") {
			t.Errorf("swell %s: %d %s", command, code, out)
		}
	}
	c.Fail(nil)
	if got = look(); got.CheckError.Code != "" || got.Stale {
		t.Errorf("the next look left %+v", got)
	}
}

func nameOf(t *testing.T, group string) string {
	t.Helper()
	var g openapi.ClusterGroup
	must(t, http.StatusOK, http.MethodGet, "/clustergroups/"+group, nil, &g)
	return g.Name
}

// The credential of a cluster is replaced at once: the one before may be revoked then. One of another cluster changes nothing.
func TestCredentialIsReplaced(t *testing.T) {
	t.Parallel()
	c := newInMemory(t)
	other, moved := kubetest.New(t, kubetest.Options{}), kubetest.New(t, kubetest.Options{UID: c.UID()}) // they outlive the deployment's removal
	a := newApp(t, newGroup(t, c.id), "credential")
	demo := pushDemo(t)
	a.deploy(openapi.RunStatusSucceeded, intent{"name": demo})
	path := "/clusters/" + c.id + "/credential"
	refusal{method: http.MethodPut, path: path, body: values{"kubeconfig": string(other.Kubeconfig())}, status: 409, code: "cluster-differs", field: "kubeconfig"}.wantRefused(t)
	must(t, http.StatusOK, http.MethodPut, path, values{"kubeconfig": string(moved.Kubeconfig())}, nil)
	c.breakDown()
	a.put(openapi.RunStatusSucceeded, intent{"name": demo})
	if moved.Len("deployments") != 1 || other.Len("deployments") != 0 {
		t.Errorf("%d Deployments where the new credential leads, %d elsewhere", moved.Len("deployments"), other.Len("deployments"))
	}
}
