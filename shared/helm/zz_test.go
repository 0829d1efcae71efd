package helm_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

// The tests of this file find their child by being alone: they are not parallel.

// outcome is what a verb that runs beside the test came to.

func texts2(server *kubetest.Server, n int) []any {
	var all []any
	for i := range n {
		all = append(all, server.Get("configmaps", namespace, fmt.Sprintf("web-%02d", i))["data"].(map[string]any)["text"])
	}
	return all
}

// Zombie one is frozen in the middle of its upgrade; its lease ends; another writer recovers the release and upgrades it. Zombie two comes
// late with an older fence. Then one thaws. Neither writes anything any more.
func TestZZ(t *testing.T) {
	const n = 20
	server := newServer(t, kubetest.Options{})
	// A Secret comes before the ConfigMaps, and alone: at its PATCH nothing else is in flight.
	chart := helmtest.ConfigMaps(n)
	began := time.Now()
	apply(t, newOp(t, server, release.Install, chart, nil))
	lease := time.Second + 10*time.Since(began) // enough to reach the point of freezing, on any machine

	one := newOp(t, server, release.Upgrade, chart, map[string]any{"text": "zombie"})
	one.Fence, one.StopMutationsAt = 2, time.Now().Add(lease)
	frozen := freezeAt(t, server, one, func(r *http.Request) bool {
		return r.Method == http.MethodPatch
	})
	time.Sleep(time.Until(one.StopMutationsAt))

	setStatus(t, byHand(t, server.Credential(), namespace), 2, helmrelease.StatusFailed) // as the recovery does
	next := newOp(t, server, release.Recover, chart, map[string]any{"text": "good"})
	next.Fence = 4
	apply(t, next)
	writes, before := server.Writes(), history(t, server.Credential(), namespace)

	two := newOp(t, server, release.Upgrade, chart, map[string]any{"text": "zombie"})
	two.Fence = 3
	refused(t.Context(), t, two, helm.CodeFenced)

	woken := frozen.thaw(t)
	if woken.err == nil || !strings.Contains(woken.err.Error(), helm.CodeMutationRefused) {
		t.Errorf("the thawed verb ended with %v", woken.err)
	}
	if got := server.Writes(); got != writes {
		t.Errorf("%d writes after the thaw", got-writes)
	}
	if diff := cmp.Diff(statuses(before), statuses(history(t, server.Credential(), namespace))); diff != "" {
		t.Errorf("history changed (-before +after):\n%s", diff)
	}
	for _, text := range texts2(server, n) {
		if text != "good" {
			t.Fatalf("a map holds %q", text)
		}
	}
}

