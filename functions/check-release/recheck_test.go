package main

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// The look after the bake has the time of a deploy again: the deploy's own was over long before.
func TestTheLookAfterTheBakeHasItsOwnTime(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	h := m.handler()
	if err := m.apply(t, h, release.Install, "one", 0); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	m.release.Desired.SetAt = hourAgo
	stored := m.server.Get("secrets", key.Namespace, record.SecretName(key.Name, 1))
	stored["metadata"].(map[string]any)["labels"].(map[string]any)["modifiedAt"] = strconv.FormatInt(hourAgo.Unix(), 10)
	m.server.Put(stored)
	live := m.server.Get("deployments", key.Namespace, key.Name)
	status := live["status"].(map[string]any)
	status["availableReplicas"], status["readyReplicas"] = 0, 0
	status["conditions"] = []any{map[string]any{"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}}
	m.server.Put(live)
	look := func(opened time.Duration) error {
		t.Helper()
		m.target = run.Target{Status: run.TargetVerifying, SucceededAt: hourAgo, RecheckedAt: time.Now().Add(-opened)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: "r", Plan: "p", Cluster: key.ClusterID, Recheck: true})
		return err
	}
	if err := look(time.Second); taskerr.NameOf(err) != taskerr.NotReady || m.release.Health != release.Progressing {
		t.Errorf("one pod is away: %v, %s", err, m.release.Health)
	}
	err := look(2 * time.Minute)
	if err == nil || taskerr.NameOf(err) != taskerr.TargetFailed || taskerr.CodeOf(err) != "not-ready" || m.release.Health != release.Unhealthy {
		t.Fatalf("they stay away: %v, %s", err, m.release.Health)
	}
	if cause := taskerr.CauseOf(err); !strings.Contains(cause, "it was ready, and has not been for 60 s since it was looked at again: ") {
		t.Errorf("it says %q", cause)
	}
}
