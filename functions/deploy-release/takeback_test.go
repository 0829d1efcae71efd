package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// withTarget is a store that keeps the target.
type withTarget struct {
	*memory
	target run.Target
}

func (k *withTarget) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return k.target, nil
}

func (k *withTarget) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	k.target = t
	return nil
}

// takeBack carries out a remedy of the run that brought a generation.
func (m *memory) takeBack(ctx context.Context, h handler, generation int, entry release.PlanEntry) error {
	entry.ClusterID, entry.ClusterName, entry.Key, entry.TakesBack = key.ClusterID, "demo", key, true
	m.entry = entry
	_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: fmt.Sprintf("run-%d", generation), Plan: "remedy", Cluster: key.ClusterID, Remedy: 1})
	return err
}

// backTo is the entry of a rollback to the revision that a generation made.
func backTo(generation, revision int) release.PlanEntry {
	return release.PlanEntry{Generation: generation, InputHash: fmt.Sprintf("input-%d", generation), Action: release.Rollback, TakeBack: release.TakeBack{RollbackTo: revision}}
}

// failedAt has generation 1 healthy at revision 1, and generation 2 failed at revision 2.
func failedAt(t *testing.T) (*withTarget, handler) {
	t.Helper()
	m, h := newHandler(t)
	k := &withTarget{memory: m, target: run.Target{ClusterID: "c", Remedy: &run.Remedy{Number: 1, Action: release.Rollback, Status: run.RemedyRunning}}}
	h.store = k
	m.deploy(t, h, 1)
	m.release.Healthy = 1
	k.target.Before = nil
	m.fail(t, h, m.deploy(t, h, 2)[0])
	return k, h
}

// byHand upgrades as a person does, with `helm upgrade`: the labels are inherited.
func (m *memory) byHand(t *testing.T, h handler) {
	t.Helper()
	newest := m.history(t, h)[0]
	op := helm.Op{
		Credential: m.server.Credential(), AllowedNetworks: h.clusters.Policy.String(), Archive: m.archive, Values: map[string]any{"text": "by hand"},
		ReleaseName: key.Name, Namespace: key.Namespace, Action: release.Upgrade, Fence: 99, StopMutationsAt: time.Now().Add(time.Minute), HookTimeout: time.Second,
	}
	if _, err := helm.Apply(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(m.server.Credential(), h.clusters.Policy)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	secrets := client.Kubernetes().CoreV1().Secrets(key.Namespace)
	s, err := secrets.Get(t.Context(), record.SecretName(key.Name, newest.Revision+1), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{release.LabelOwner, release.LabelInput, release.LabelRevision, release.LabelRun} {
		s.Labels[label] = newest.Labels[label]
	}
	s.Labels[release.LabelFence] = "0"
	if _, err := secrets.Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestRollback(t *testing.T) {
	t.Parallel()
	k, h := failedAt(t)
	for range 2 { // the second finds it done
		if err := k.takeBack(within(t), h, 2, backTo(1, 1)); err != nil {
			t.Fatal(err)
		}
		history := k.history(t, h)
		newest := history[0]
		if newest.Revision != 3 || newest.Status != "deployed" || newest.Labels[release.LabelInput] != "input-1" || newest.Labels[release.LabelRun] != "run-2" ||
			newest.Labels[release.LabelRevision] != "3" || newest.Labels[release.LabelOwner] != "deployment-d" {
			t.Errorf("the newest record is %+v", newest)
		}
		want, seen := k.release.Desired, k.release.Observed
		if want.Generation != 1 || want.InputHash != "input-1" || want.PlanHash != "remedy" || want.RunID != "run-2" || !release.InSync(want, seen) {
			t.Errorf("desired is %+v, observed %+v", want, seen)
		}
	}
	if text := k.server.Get("configmaps", key.Namespace, "web-00")["data"].(map[string]any)["text"]; text != "input-1" {
		t.Errorf("the object holds %v", text)
	}
	if b := k.target.Before; b == nil || b.Revision != 1 {
		t.Errorf("before the run there was %+v", b)
	}
}

func TestAKilledRollbackIsRecovered(t *testing.T) {
	t.Parallel()
	k, h := failedAt(t)
	if err := k.takeBack(within(t), h, 2, backTo(1, 1)); err != nil {
		t.Fatal(err)
	}
	k.relabel(t, h, "pending-rollback")
	if err := k.takeBack(within(t), h, 2, backTo(1, 1)); err != nil {
		t.Fatal(err)
	}
	history := k.history(t, h)
	if newest := history[0]; newest.Revision != 4 || newest.Status != "deployed" || slices.ContainsFunc(history, record.Meta.Pending) {
		t.Errorf("the records are %+v", history)
	}
}

// A run that was turned around while a target was about to begin, or to be tried again, writes nothing there but what takes it back.
func TestARunThatTurnsAroundOnlyTakesBack(t *testing.T) {
	t.Parallel()
	k, h := failedAt(t)
	k.phase, k.target = run.Reverting, run.Target{ClusterID: "c", Status: run.TargetPreparing}
	before, desired := k.history(t, h), *k.release.Desired
	if err := k.attempt(within(t), h, 3); taskerr.CodeOf(err) != "reverted" || taskerr.NameOf(err) != taskerr.TargetFailed {
		t.Errorf("got %v", err)
	}
	if after := k.history(t, h); len(after) != len(before) || *k.release.Desired != desired || k.target.Before != nil {
		t.Errorf("it wrote: %+v, %+v, %+v", after, k.release.Desired, k.target)
	}
	if end := k.target.Ended("reverted", "raw words"); end.Status != run.TargetCanceled || end.MustRevert() {
		t.Errorf("the target ends as %+v", end)
	}
	if err := k.takeBack(within(t), h, 2, backTo(1, 1)); err != nil || k.history(t, h)[0].Labels[release.LabelInput] != "input-1" {
		t.Errorf("got %v", err)
	}
}

// relabel leaves the newest record as a killed verb does.
func (m *memory) relabel(t *testing.T, h handler, status string) {
	t.Helper()
	client, err := kube.New(m.server.Credential(), h.clusters.Policy)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	newest := m.history(t, h)[0]
	change := func(s *corev1.Secret) { s.Labels["status"] = status }
	s, err := client.Kubernetes().CoreV1().Secrets(key.Namespace).Get(t.Context(), newest.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	if _, err := client.Kubernetes().CoreV1().Secrets(key.Namespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestRollbackThatMustNotBe(t *testing.T) {
	t.Parallel()
	across := backTo(1, 1)
	across.AcrossHandMade = true
	cases := map[string]struct {
		prepare func(*testing.T, *withTarget, handler)
		entry   release.PlanEntry
		code    string // empty: it is done
		says    string
	}{
		"across a person's revision":          {func(t *testing.T, k *withTarget, h handler) { t.Helper(); k.byHand(t, h) }, backTo(1, 1), "rollback-hand-made", "revision 3, deployed, made by hand"},
		"across a person's revision, allowed": {func(t *testing.T, k *withTarget, h handler) { t.Helper(); k.byHand(t, h) }, across, "", "revision 3, deployed, made by hand"},
		"the record is gone": {func(_ *testing.T, k *withTarget, _ handler) {
			k.server.Remove("secrets", key.Namespace, record.SecretName(key.Name, 1))
		}, backTo(1, 1), "rollback-gone", "revision 1"},
		"to the one that failed":      {func(*testing.T, *withTarget, handler) {}, backTo(2, 2), "rollback-across-failed", "revision 2 is failed"},
		"away with what was there":    {func(*testing.T, *withTarget, handler) {}, release.AbsentEntry(key, "demo", 2), "remedy-not-first", "run run-1"},
		"across another run's failed": {func(t *testing.T, k *withTarget, h handler) { t.Helper(); k.fail(t, h, k.deploy(t, h, 3)[0]) }, backTo(1, 1), "rollback-across-failed", "revision 3 of run run-3"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, h := failedAt(t)
			c.prepare(t, k, h)
			before, desired := k.history(t, h), *k.release.Desired
			err := k.takeBack(within(t), h, 2, c.entry)
			if c.code == "" {
				if err != nil || !strings.Contains(k.target.Remedy.Cause, c.says) || k.history(t, h)[0].Status != "deployed" {
					t.Errorf("got %v, the remedy is %+v", err, k.target.Remedy)
				}
				return
			}
			if taskerr.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if after := k.history(t, h); len(after) != len(before) || after[0].ResourceVersion != before[0].ResourceVersion {
				t.Errorf("it wrote: %+v", after)
			}
			if *k.release.Desired != desired {
				t.Errorf("it moved the desired state to %+v", k.release.Desired)
			}
		})
	}
}

func TestAFirstInstallIsUninstalled(t *testing.T) {
	t.Parallel()
	m, h := newHandler(t)
	k := &withTarget{memory: m, target: run.Target{ClusterID: "c"}}
	h.store = k
	m.fail(t, h, m.deploy(t, h, 1)[0])
	for range 2 {
		if err := k.takeBack(within(t), h, 1, release.AbsentEntry(key, "demo", 1)); err != nil {
			t.Fatal(err)
		}
		if n := len(k.history(t, h)); n != 0 || m.server.Len("configmaps") != 0 || !m.release.Observed.Absent || !m.release.Desired.Absent {
			t.Errorf("%d records, %+v", n, m.release)
		}
	}
}

// A rollback meets a fault at its k-th request. It fails with a cause or succeeds; when it is tried again the release is what it was before, and the next
// generation brings exactly what it wants.
func TestFaultAtEachRequestOfARollback(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFaulty(t)
			points := 0
			for k := firstPoint(); ; k += int64(*every) {
				if !s.rollsBack(t, fault, k, false) || !s.rollsBack(t, fault, k, true) {
					break
				}
				points++
			}
			t.Logf("%s: %d points, then taken back by the same run, or upgraded by the next: %s", name, points, s.outcomes())
		})
	}
}

// rollsBack lets a generation fail, and takes it back with a fault at the k-th request and then without one, or a newer one comes.
func (s *faulty) rollsBack(t *testing.T, f fault, k int64, newer bool) bool {
	t.Helper()
	healthy, good := s.history(t, s.handler)[0], s.generation
	input := healthy.Labels[release.LabelInput]
	s.next()
	s.fail(t, s.handler, s.deploy(t, s.handler, s.generation)[0])
	bad := s.generation
	s.release.Healthy = healthy.Revision
	entry := backTo(good, healthy.Revision)
	entry.InputHash = input
	attempt := func(ctx context.Context) error { return s.takeBack(ctx, s.handler, bad, entry) }
	met := s.strikes(t, f, k, attempt)
	s.leaves = f.leaves
	if newer {
		s.next()
		s.recovers(t, fmt.Sprintf("request %d, newer", k))
		return met
	}
	if err := attempt(within(t)); err != nil {
		t.Fatalf("request %d: STUCK: %v", k, err)
	}
	s.entry.InputHash = input
	s.wantExactlyOf(t, good, fmt.Sprintf("request %d", k))
	return met
}
