package helm_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

// The tests of this file find their child by being alone: they are not parallel.

// outcome is what a verb that runs beside the test came to.
type outcome struct {
	result helm.Result
	err    error
}

// zombie is a verb whose child is frozen.
type zombie struct {
	pid  int
	done chan outcome
}

// thaw lets it go on, and returns how it ends.
func (z zombie) thaw(t *testing.T) outcome {
	t.Helper()
	if err := syscall.Kill(z.pid, syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	return <-z.done
}

// freezeAt starts the verb, and freezes its child when the server gets the first request that matches.
func freezeAt(t *testing.T, server *kubetest.Server, op helm.Op, matches func(*http.Request) bool) zombie {
	t.Helper()
	frozen, done := make(chan int), make(chan outcome, 1)
	var once sync.Once
	server.Fail(func(r *http.Request) *metav1.Status {
		if matches(r) {
			once.Do(func() {
				pid := childOf(t)
				freeze(t, pid)
				frozen <- pid
			})
		}
		return nil
	})
	go func() {
		result, err := helm.Apply(t.Context(), op)
		done <- outcome{result, err}
	}()
	var pid int
	select {
	case pid = <-frozen:
	case early := <-done:
		t.Fatalf("the verb ended before it could be frozen: %+v, %v", early.result, early.err)
	}
	awaitQuiet(server)
	return zombie{pid, done}
}

// freeze returns when every thread has stopped: the signal alone does not wait for that.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	for running := true; running; time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			t.Error(err)
		}
		running = false
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			running = running || (err == nil && !bytes.Contains(stat, []byte(") T ")))
		}
	}
}

// childOf finds the one child of this process.
func childOf(t *testing.T) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Error(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // gone by now
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _, _ := strings.Cut(string(stat), " ")
			n, _ := strconv.Atoi(pid)
			return n
		}
	}
	t.Error("no child")
	return 0
}

// awaitQuiet returns when what was in flight at the freeze has been answered.
func awaitQuiet(server *kubetest.Server) {
	for last := -1; last != len(server.Requests()); time.Sleep(100 * time.Millisecond) {
		last = len(server.Requests())
	}
}

func texts(server *kubetest.Server, n int) []any {
	var all []any
	for i := range n {
		all = append(all, server.Get("configmaps", namespace, fmt.Sprintf("web-%02d", i))["data"].(map[string]any)["text"])
	}
	return all
}

// Zombie one is frozen in the middle of its upgrade; its lease ends; another writer recovers the release and upgrades it. Zombie two comes
// late with an older fence. Then one thaws. Neither writes anything any more.
func TestTwoZombies(t *testing.T) {
	const n = 20
	server := newServer(t, kubetest.Options{})
	// A Secret comes before the ConfigMaps, and alone: at its PATCH nothing else is in flight.
	chart := helmtest.ConfigMaps(n).With("templates/first.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: first}\nstringData: {text: {{ .Values.text }}}\n")
	began := time.Now()
	apply(t, newOp(t, server, release.Install, chart, nil))
	lease := time.Second + 10*time.Since(began) // enough to reach the point of freezing, on any machine

	one := newOp(t, server, release.Upgrade, chart, map[string]any{"text": "zombie"})
	one.Fence, one.StopMutationsAt = 2, time.Now().Add(lease)
	frozen := freezeAt(t, server, one, func(r *http.Request) bool {
		return r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/secrets/first")
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
	for _, text := range texts(server, n) {
		if text != "good" {
			t.Fatalf("a map holds %q", text)
		}
	}
}

// A zombie that believes in its lease (its clock is wrong) and wakes before its first write is stopped by the records alone.
func TestZombieWithAWrongClock(t *testing.T) {
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(2)
	apply(t, newOp(t, server, release.Install, chart, nil))

	zombie := newOp(t, server, release.Upgrade, chart, map[string]any{"text": "zombie"})
	zombie.Fence = 2
	frozen := freezeAt(t, server, zombie, func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".v1")
	})
	next := newOp(t, server, release.Upgrade, chart, map[string]any{"text": "good"})
	next.Fence = 3
	apply(t, next)

	if woken := frozen.thaw(t); woken.err == nil || !strings.Contains(woken.err.Error(), helm.CodeFenced) {
		t.Errorf("the thawed verb ended with %v", woken.err)
	}
	if diff := cmp.Diff([]any{"good", "good"}, texts(server, 2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, statuses(history(t, server.Credential(), namespace))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// A verb whose record somebody else changes meanwhile stops at once, though Helm ignores failures of its storage.
func TestRecordChangedInMidVerb(t *testing.T) {
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(2).With("templates/job.yaml", helmtest.Hook("migrate", "pre-install"))
	frozen := freezeAt(t, server, newOp(t, server, release.Install, chart, nil), func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/jobs/migrate")
	})
	setStatus(t, byHand(t, server.Credential(), namespace), 1, helmrelease.StatusFailed)
	woken := frozen.thaw(t)
	if woken.err == nil || !strings.Contains(woken.err.Error(), helm.CodeReleaseConflict) {
		t.Errorf("it ended with %v", woken.err)
	}
	if server.Len("jobs")+server.Len("configmaps") != 0 {
		t.Error("it went on")
	}
}

// A verb that is killed leaves a pending record and no writer.
func TestKilledInMidVerb(t *testing.T) {
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(20)
	frozen := freezeAt(t, server, newOp(t, server, release.Install, chart, nil), func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/configmaps")
	})
	if err := syscall.Kill(frozen.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if killed := <-frozen.done; killed.err == nil || !strings.Contains(killed.err.Error(), helm.CodeKilled) {
		t.Errorf("it ended with %v", killed.err)
	}
	refused(t.Context(), t, newOp(t, server, release.Upgrade, chart, nil), helm.CodeReleasePending)
	setStatus(t, byHand(t, server.Credential(), namespace), 1, helmrelease.StatusFailed)
	if got := apply(t, newOp(t, server, release.Recover, chart, nil)); got.Status != "deployed" || server.Len("configmaps") != 20 {
		t.Errorf("after the recovery: %+v", got)
	}
}
