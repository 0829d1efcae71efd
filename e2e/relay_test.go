//go:build stack

package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
)

// relayCluster has a relay while its test runs; the shared clusters have none.
const relayCluster = "e2e-relay"

// A cluster is imported with its relay, which is heard, reports what fails, gets another key without a report refused, and is removed.
func TestRelay(t *testing.T) {
	t.Parallel()
	c := importWithRelay(t)
	awaitRelay(t, c.ID, "it is heard", func(c openapi.Cluster) bool {
		return c.Relay != nil && c.Relay.Status == openapi.ClusterRelayStatusINSTALLED && c.Relay.Alive && c.Capacity != nil && c.Capacity.ReadyNodes == 2
	})
	if out, code := cli(t, "cluster", "show", relayCluster); code != 0 || !strings.Contains(out, "relay: INSTALLED, heard") {
		t.Errorf("swell cluster show ended with %d:\n%s", code, out)
	}

	app := newApp(t, newGroup(t, c.ID), "relay")
	began := time.Now()
	run := app.deploy(openapi.RunStatusFailed, intent{"name": pushDemo(t), "values": values{"image": values{"tag": "missing"}}, "timeoutSeconds": 240})
	target := targetOf(t, run, relayCluster)
	if !strings.Contains(target.Cause, "registry.k8s.io/pause:missing") {
		t.Errorf("the target failed with %q: %s", target.Code, target.Cause)
	}
	t.Logf("a bad image was told after %s, by %s: %s", time.Since(began).Round(time.Second/10), target.LearnedBy, target.Code)
	// what the container wrote is told by the relay alone
	target = targetOf(t, app.put(openapi.RunStatusFailed, intent{"values": values{"image": values{"tag": "crash"}}, "timeoutSeconds": 240}), relayCluster)
	if target.Code != "crash-loop" || !strings.Contains(target.Cause, "wrote: panic: no database at db:5432") {
		t.Errorf("the target failed with %q: %s", target.Code, target.Cause)
	}
	app.put(openapi.RunStatusSucceeded, intent{"values": values{"image": values{"tag": "3.10"}}})

	t.Run("another key", func(t *testing.T) { rotate(t, c.ID) })
	t.Run("removed", func(t *testing.T) { removeRelay(t, c.ID) })
}

func importWithRelay(t *testing.T) openapi.Cluster {
	t.Helper()
	if !answers(relayCluster) {
		if err := command(t.Context(), ".local/bin/localstack", "cluster", relayCluster); err != nil {
			t.Fatal(err)
		}
	}
	old, err := swell.findCluster(t.Context(), relayCluster)
	if err != nil {
		t.Fatal(err)
	}
	if old.ID != "" {
		if err := swell.forgetCluster(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := kubeconfig(relayCluster)
	if err != nil {
		t.Fatal(err)
	}
	var c openapi.Cluster
	must(t, http.StatusCreated, http.MethodPost, "/clusters", values{"name": relayCluster, "kubeconfig": string(raw), "relay": values{"enabled": true}}, &c)
	if c.Relay == nil || c.Relay.Status != openapi.ClusterRelayStatusINSTALLING {
		t.Errorf("a cluster that is imported with a relay says %+v", c.Relay)
	}
	return c
}

func awaitRelay(t *testing.T, id, what string, enough func(openapi.Cluster) bool) openapi.Cluster {
	t.Helper()
	var c openapi.Cluster
	err := poll(t.Context(), 3*time.Minute, func() (bool, error) {
		c = openapi.Cluster{} // what is false is not in an answer
		must(t, http.StatusOK, http.MethodGet, "/clusters/"+id, nil, &c)
		return enough(c), nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v: %+v", what, err, c.Relay)
	}
	return c
}

func rotate(t *testing.T, id string) {
	t.Helper()
	before := relayLog(t)
	first := awaitRelay(t, id, "it has a key", func(c openapi.Cluster) bool { return !c.Relay.KeyRotatedAt.IsZero() }).Relay.KeyRotatedAt
	must(t, http.StatusAccepted, http.MethodPost, "/clusters/"+id+"/relay/rotate", nil, nil)
	awaitRelay(t, id, "the new key alone is in use", func(c openapi.Cluster) bool {
		return c.Relay.KeyRotatedAt.After(first) && !c.Relay.Rotating && c.Relay.Status == openapi.ClusterRelayStatusINSTALLED
	})
	if after := strings.TrimPrefix(relayLog(t), before); strings.Contains(after, "WARN") || !strings.Contains(after, "following the workloads") {
		t.Errorf("while its key was rotated, the relay said:\n%s", after)
	}
}

func relayLog(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(swell.root, ".local", "clusters", relayCluster, "relay", "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func removeRelay(t *testing.T, id string) {
	t.Helper()
	must(t, http.StatusAccepted, http.MethodDelete, "/clusters/"+id+"/relay", nil, nil)
	awaitRelay(t, id, "it is gone", func(c openapi.Cluster) bool { return c.Relay == nil || c.Relay.Status == "" })
	_, err := kubernetesOf(t, relayCluster).AppsV1().Deployments("swell-system").Get(t.Context(), "swell-relay", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the relay's Deployment is still there: %v", err)
	}
	name := relay.KeysName("default", id)
	if _, err := secretsmanager.NewFromConfig(swell.aws).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name}); err == nil {
		t.Error("the relay's keys are still there")
	}
}
