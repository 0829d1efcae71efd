package main

import (
	"context"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// What does not pass by itself fails a release at once; the user's rules and the chart's tests stand after Kubernetes' own readiness.
func TestWhatATargetMustPass(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	h := m.handler()
	look := func(recheck bool) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: "r", Plan: "p", Cluster: key.ClusterID, Recheck: recheck})
		return err
	}
	wants := func(err error, name, code string, healthy int) {
		t.Helper()
		if code == "" && err != nil || code != "" && (err == nil || taskerr.CodeOf(err) != code || taskerr.NameOf(err) != name) {
			t.Errorf("got %v, want %s %s", err, name, code)
		}
		if m.release.Healthy != healthy {
			t.Errorf("revision %d was healthy last, want %d", m.release.Healthy, healthy)
		}
	}
	wants(m.apply(t, h, release.Install, "one", 0), "", "", 1)

	m.entry.Tests = 30
	m.release.Healthy = 0
	wants(look(false), taskerr.TestsWanted, "tests-wanted", 0) // not healthy before they have passed
	wants(look(true), "", "", 1)
	m.entry.TakesBack = true
	wants(look(false), "", "", 1)
	m.entry.Tests, m.entry.TakesBack = 0, false

	service := deployment.HealthCheck{APIVersion: "v1", Kind: "Service", Current: "spec.type == 'ClusterIP'"}
	m.release.Desired.HealthChecks, m.generation.HealthChecks = true, []deployment.HealthCheck{service}
	wants(look(false), "", "", 1)
	m.generation.HealthChecks[0].Current = "has(status.loadBalancer.ingress)"
	wants(look(false), taskerr.NotReady, "not-ready", 1)
	m.generation.HealthChecks[0].Kind = "Ingress"
	wants(look(false), taskerr.TargetFailed, "health-check-unmatched", 1)
	m.release.Desired.HealthChecks = false

	m.server.SetReady(false)
	wants(m.apply(t, h, release.Upgrade, "two", 0), taskerr.NotReady, "not-ready", 1)
	live := m.server.Get("deployments", key.Namespace, key.Name)
	uid := live["metadata"].(map[string]any)["uid"]
	owner := func(uid any) []any { return []any{map[string]any{"controller": true, "uid": uid}} }
	m.server.Put(map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": map[string]any{
		"name": "web-1", "namespace": key.Namespace, "uid": "rs", "labels": map[string]any{"app": key.Name},
		"annotations": map[string]any{"deployment.kubernetes.io/revision": "1"}, "ownerReferences": owner(uid),
	}})
	live["metadata"].(map[string]any)["annotations"].(map[string]any)["deployment.kubernetes.io/revision"] = "1"
	m.server.Put(live)
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{
		"name": "web-1-x", "namespace": key.Namespace, "labels": map[string]any{"app": key.Name}, "ownerReferences": owner("rs"),
	}, "status": map[string]any{"phase": "Pending", "containerStatuses": []any{map[string]any{
		"name": "web", "image": "registry.example/two", "state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff", "message": "not found"}},
	}}}})
	wants(look(false), taskerr.TargetFailed, "image-pull", 1)
	if m.release.Health != release.Unhealthy {
		t.Errorf("the release is %s", m.release.Health)
	}
}
