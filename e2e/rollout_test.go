//go:build stack

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/openapi"
)

// canaryOf is a roll-out that begins with one cluster.
func canaryOf(cluster, bake string) values {
	return values{"waves": []values{{"name": "canary", "clusters": []string{cluster}, "minSuccessTime": bake}}}
}

// awaitTarget waits until the target of a run is so far.
func awaitTarget(t *testing.T, run, cluster string, want openapi.RunTargetStatus) {
	t.Helper()
	var r openapi.RunDetails
	far := func() bool {
		return slices.ContainsFunc(r.Targets, func(target openapi.RunTarget) bool { return target.ClusterName == cluster && target.Status == want })
	}
	err := poll(t.Context(), 2*time.Minute, func() (bool, error) {
		r = getRun(t, run)
		return far() || over(r.Status), nil
	})
	if err != nil || !far() {
		t.Fatalf("waiting for %s to be %s: %v; %s", cluster, want, err, describe(r))
	}
}

func turn(t *testing.T, run, how string) openapi.Run {
	t.Helper()
	var r openapi.Run
	must(t, http.StatusAccepted, http.MethodPost, "/runs/"+run+"/"+how, nil, &r)
	return r
}

// tick wakes runs whose bake is over, as the schedule does each minute.
func tick(t *testing.T) {
	t.Helper()
	invoke(t, "StartDueWork", values{})
}

// A canary that fails keeps the other cluster untouched; the next generation begins with it again, and a redrive of what was kept back with it, too.
func TestACanaryThatFailsKeepsTheOthersBack(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "canary")
	r := a.deploy(openapi.RunStatusFailed, intent{
		"name": pushDemo(t), "timeoutSeconds": 15, "rollout": canaryOf(clusterA, "0s"), "valueOverrides": values{clusterA: values{"neverReady": true}},
	})
	if r.Code != "budget-exhausted" || !strings.Contains(r.Cause, "wave canary") {
		t.Errorf("%s", describe(r))
	}
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusFailed, "not-ready", "not ready after 15 s", true)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusCanceled, "budget-exhausted", "wave canary", false)
	wantNothing(t, clusterB, a.name)
	if got := a.get().Rollout; got == nil || len(got.Waves) != 1 || got.Waves[0].Name != "canary" {
		t.Errorf("the deployment's roll-out is %+v", got)
	}

	r = a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 1}})
	first, second := targetOf(t, r, clusterA), targetOf(t, r, clusterB)
	if first.Wave != "canary" || second.Wave != "" || second.StartedAt.Before(first.EndedAt) {
		t.Errorf("%s began at %s, and the canary ended at %s", clusterB, second.StartedAt, first.EndedAt)
	}
}

// A run that is paused in its bake begins nothing until it is resumed; what is turned around in its bake goes back.
func TestABakeIsPausedResumedAndTakenBack(t *testing.T) {
	t.Parallel()
	a, demo := newApp(t, swell.group, "bake"), pushDemo(t)
	run := a.create(intent{"name": demo, "rollout": canaryOf(clusterA, "20s"), "values": values{"replicaCount": 1}}).Run
	awaitTarget(t, run, clusterA, openapi.RunTargetStatusSucceeded)
	if r := turn(t, run, "pause"); !r.Paused {
		t.Errorf("paused: %+v", r)
	}
	time.Sleep(25 * time.Second) // the bake's, which is the machine's
	tick(t)
	time.Sleep(3 * time.Second)
	r := getRun(t, run)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusWaiting, "", "", false)
	began := time.Now()
	turn(t, run, "resume")
	awaitTarget(t, run, clusterB, openapi.RunTargetStatusSucceeded)
	t.Logf("the second wave was done %s after the run was resumed", time.Since(began).Round(time.Millisecond))
	r = ended(t, run, openapi.RunStatusSucceeded)
	if n := stepsOf(r, clusterA, "RecheckRelease"); n != 1 {
		t.Errorf("the canary was looked at again %d times", n)
	}

	run = a.update(intent{"values": values{"replicaCount": 2}}).Run
	awaitTarget(t, run, clusterA, openapi.RunTargetStatusSucceeded)
	began = time.Now()
	turn(t, run, "cancel?rollBack=true")
	r = ended(t, run, openapi.RunStatusCanceled)
	t.Logf("the run was taken back %s after it was asked", time.Since(began).Round(time.Millisecond))
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusReverted, "taken-back", "turned around", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusCanceled, "reverted", "turned around", false)
	wantReplicas(t, clusterA, a.name, 1)
	wantReplicas(t, clusterB, a.name, 1)

	run = a.update(intent{"values": values{"replicaCount": 3}, "rollout": canaryOf(clusterA, "1h")}).Run
	awaitTarget(t, run, clusterA, openapi.RunTargetStatusSucceeded)
	began = time.Now()
	turn(t, run, "cancel")
	if got := do(t, http.MethodPost, "/runs/"+run+"/cancel?rollBack=true", nil); got.status != http.StatusConflict {
		t.Errorf("a run that was canceled is turned around: %d %+v", got.status, got.problem)
	}
	ended(t, run, openapi.RunStatusCanceled)
	t.Logf("the run ended %s after it was aborted in a bake of an hour", time.Since(began).Round(time.Millisecond))
	wantReplicas(t, clusterA, a.name, 3)
	wantReplicas(t, clusterB, a.name, 1)
	if got := do(t, http.MethodPost, "/runs/"+run+"/pause", nil); got.status != http.StatusConflict || got.problem.Code != "run-ended" {
		t.Errorf("a run that ended is paused: %d %+v", got.status, got.problem)
	}
}

func stepsOf(r openapi.RunDetails, cluster, state string) (n int) {
	for _, s := range r.Steps {
		if s.ClusterName == cluster && s.State == state {
			n++
		}
	}
	return n
}

// What a person does to the canary while it bakes is found before anything follows it.
func TestAChangeByHandInTheBakeStopsTheNextWave(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "handmade")
	run := a.create(intent{"name": pushDemo(t), "rollout": canaryOf(clusterA, "30s")}).Run
	awaitTarget(t, run, clusterA, openapi.RunTargetStatusSucceeded)
	helm(t, clusterA, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "replicaCount=5")
	r := ended(t, run, openapi.RunStatusFailed)
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusFailed, "release-changed", "somebody else", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusCanceled, "budget-exhausted", "wave canary", false)
	wantNothing(t, clusterB, a.name)
}

// A cluster that does not answer blocks nobody, unless it is all that a wave has, and gets what it missed when it does, whatever the deployment's mode.
func TestAClusterThatWasAwayCatchesUp(t *testing.T) {
	t.Parallel()
	away, other := newInMemory(t), newInMemory(t)
	a := newApp(t, newGroup(t, away.id, other.id), "away")
	look := func() {
		t.Helper()
		answer := invoke(t, "CheckCluster", values{"Records": []values{{
			"messageId": "1", "eventSource": "aws:sqs", "body": fmt.Sprintf(`{"org":"default","cluster":%q}`, away.id),
		}}})
		if strings.Contains(answer, "itemIdentifier") {
			t.Fatalf("the check failed: %s", answer)
		}
	}
	away.breakDown()
	look() // now it is known not to answer
	began := time.Now()
	r := a.deploy(openapi.RunStatusFailed, intent{"name": pushDemo(t), "rollout": canaryOf(away.name, "0s")})
	t.Logf("the run was done after %s", time.Since(began).Round(time.Millisecond))
	wantOutcome(t, r, other.name, openapi.RunTargetStatusCanceled, "budget-exhausted", "no target of wave canary succeeded", false)
	wantOutcome(t, r, away.name, openapi.RunTargetStatusUnreachable, "cluster-unreachable", "", false)

	r = a.put(openapi.RunStatusPartial, intent{"rollout": canaryOf(other.name, "0s")})
	if r.Code != "targets-unreachable" || !strings.Contains(r.Cause, away.name) || r.Counts.Unreachable != 1 {
		t.Errorf("%s", describe(r))
	}
	wantOutcome(t, r, away.name, openapi.RunTargetStatusUnreachable, "cluster-unreachable", "", false)
	wantOutcome(t, r, other.name, openapi.RunTargetStatusSucceeded, "", "", false)
	look()
	if got := a.get().LastRun; got != r.ID {
		t.Errorf("run %s was started although the cluster does not answer", got)
	}

	away.mend()
	look()
	caught := ended(t, a.newRun(r.ID, openapi.RunStatusSucceeded).ID, openapi.RunStatusSucceeded)
	if caught.Type != openapi.RunTypeSync || caught.Actor != "catch-up" || len(caught.Targets) != 1 || caught.Targets[0].ClusterName != away.name {
		t.Errorf("it caught up by %s", describe(caught))
	}
	look()
	if got := a.get().LastRun; got != caught.ID {
		t.Errorf("run %s was started although nothing is missing", got)
	}
}
