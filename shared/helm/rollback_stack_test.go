//go:build stack

package helm_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/release"
)

// texts are the ConfigMaps of the release and what they hold.
func (s stack) texts(t *testing.T) map[string]string {
	t.Helper()
	all, err := s.kubernetes.CoreV1().ConfigMaps(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=Helm"})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, m := range all.Items {
		texts[m.Name] = m.Data["text"]
	}
	return texts
}

// A rollback that is killed with -9 between its record and its objects leaves pending-rollback; marked failed, it is done again, and the objects are those
// of before. Helm's own command line goes on from there.
func TestStackRollbackKilledThenRecovered(t *testing.T) {
	const n = 60
	s := newStack(t)
	apply(t, s.op(t, release.Install, 1, helmtest.ConfigMaps(n), map[string]any{"text": "good"}))
	before := s.texts(t)
	bad := helmtest.ConfigMaps(n-1).With("templates/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n")
	apply(t, s.op(t, release.Upgrade, 2, bad, map[string]any{"text": "bad"}))
	setStatus(t, byHand(t, s.cred, s.namespace), 2, helmrelease.StatusFailed)

	op := s.op(t, release.Rollback, 3, nil, nil)
	op.RollbackTo = 1
	done := make(chan outcome, 1)
	go func() {
		result, err := helm.Apply(t.Context(), op)
		done <- outcome{result, err}
	}()
	for killed := false; !killed; time.Sleep(2 * time.Millisecond) {
		if rel, err := byHand(t, s.cred, s.namespace).Get(name, 3); err == nil && rel.Info.Status == helmrelease.StatusPendingRollback {
			if err := syscall.Kill(childOf(t), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed = true
		}
	}
	if killed := <-done; killed.err == nil || !strings.Contains(killed.err.Error(), helm.CodeKilled) {
		t.Fatalf("it ended with %v", killed.err)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "failed", 3: "pending-rollback"}, s.statuses(t)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	again := s.op(t, release.Rollback, 4, nil, nil)
	again.RollbackTo = 1
	refused(t.Context(), t, again, helm.CodeReleasePending)
	setStatus(t, byHand(t, s.cred, s.namespace), 3, helmrelease.StatusFailed) // as deploy-release does
	apply(t, again)
	if diff := cmp.Diff(before, s.texts(t)); diff != "" {
		t.Errorf("the objects (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "failed", 3: "failed", 4: "deployed"}, s.statuses(t)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if last, err := byHand(t, s.cred, s.namespace).Deployed(name); err != nil || last.Version != 4 || last.Config["text"] != "good" {
		t.Errorf("the deployed record in Helm's eyes: %+v, %v", last, err)
	}
}
