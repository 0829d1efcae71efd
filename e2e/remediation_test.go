//go:build stack

package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/openapi"
)

// unready is a generation that does not run on clusterB.
func unready(more intent) intent {
	return intent{"reuseValues": true, "timeoutSeconds": 10, "valueOverrides": values{clusterB: values{"neverReady": true, "message": "bad"}}}.with(more)
}

// liveObjects are those of the release on a cluster, without what the server keeps of their history, and without status.
func liveObjects(t *testing.T, cluster, namespace string) map[string]string {
	t.Helper()
	client, objects := kubernetesOf(t, cluster), map[string]string{}
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=Helm"}
	add := func(kind string, meta metav1.ObjectMeta, body any) {
		raw, err := json.Marshal(map[string]any{"labels": meta.Labels, "body": body})
		if err != nil {
			t.Fatal(err)
		}
		objects[kind+"/"+meta.Name] = string(raw)
	}
	deployments, err := client.AppsV1().Deployments(namespace).List(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range deployments.Items {
		add("Deployment", o.ObjectMeta, o.Spec)
	}
	services, err := client.CoreV1().Services(namespace).List(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range services.Items {
		add("Service", o.ObjectMeta, o.Spec)
	}
	maps, err := client.CoreV1().ConfigMaps(namespace).List(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range maps.Items {
		add("ConfigMap", o.ObjectMeta, o.Data)
	}
	if len(objects) < 3 {
		t.Fatalf("cluster %s has only %d objects of the release", cluster, len(objects))
	}
	return objects
}

// wantRemedy fails unless the target failed with a cause of its own, and the remedy ended so.
func wantRemedy(t *testing.T, r openapi.RunDetails, cluster string, want openapi.Remedy, leftBehind bool) openapi.RunTarget {
	t.Helper()
	target := targetOf(t, r, cluster)
	if target.Remedy == nil || target.Status != openapi.RunTargetStatusFailed || target.Code == "" || target.LeftBehind != leftBehind {
		t.Fatalf("target %s of run %s is %+v", cluster, r.ID, target)
	}
	got := *target.Remedy
	got.Cause = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the remedy on %s (-want +got):\n%s%s", cluster, diff, target.Remedy.Cause)
	}
	return target
}

func rolledBackTo(revision, tries int) openapi.Remedy {
	return openapi.Remedy{Action: openapi.RemedyActionRollback, Status: openapi.RemedyStatusSucceeded, Revision: revision, Tries: tries}
}

// An image that is not there fails its target, which goes back to the revision that was healthy, with the same objects; reconcile leaves it in peace.
func TestAFailedTargetIsRolledBack(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "remedy")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "mode": "correct", "remediation": values{"strategy": "rollback"}, "values": values{"message": "good"}})
	before := liveObjects(t, clusterB, a.name)

	r := a.put(openapi.RunStatusPartial, intent{"reuseValues": true, "timeoutSeconds": 10, "valueOverrides": values{clusterB: values{
		"image": values{"tag": "missing"}, "neverReady": true, "message": "bad", "objects": 2}}})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantRevision(t, r, clusterA, 1) // nothing changed there
	wantRemedy(t, r, clusterB, rolledBackTo(1, 1), false)
	wantRevision(t, r, clusterB, 3)
	if diff := cmp.Diff(before, liveObjects(t, clusterB, a.name)); diff != "" {
		t.Errorf("the live objects (-before +after):\n%s", diff)
	}
	if got := helm(t, clusterB, a.name, "history", a.name); !strings.Contains(got, "Rollback to 1") || strings.Count(got, "deployed") != 1 {
		t.Errorf("Helm's history says\n%s", got)
	}
	var states []string
	for _, s := range r.Steps {
		if s.ClusterName == clusterB && s.Status == openapi.StepStatusSucceeded {
			states = append(states, s.State)
		}
	}
	for _, state := range []string{"RemediateRelease", "DeployRelease", "CheckRelease", "RecordRelease"} {
		if !slices.Contains(states, state) {
			t.Errorf("no step %s is on record: %v", state, states)
		}
	}

	last := a.get().LastRun
	checkDue(t, clusterB)
	target := a.target(clusterB)
	if got := a.get().LastRun; got != last {
		t.Errorf("reconcile started run %s", got)
	}
	if target.Health != openapi.HealthHEALTHY || target.Observed.Status != "deployed" || len(target.Differs) != 1 || !strings.HasPrefix(target.Differs[0], "generation: has 1") {
		t.Errorf("the target stands as %+v", target)
	}
	if out, code := cli(t, "run", "get", r.ID); code != 0 || !strings.Contains(out, "rolled back to revision 1, healthy") {
		t.Errorf("swell run get says, with code %d:\n%s", code, out)
	}
	if out, _ := cli(t, "status", a.name, "--group", sharedGroup); !strings.Contains(out, "on failure: rollback") {
		t.Errorf("swell status says\n%s", out)
	}

	a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "better"}}) // the policy stays where an update leaves it out
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	if got := a.get().Remediation; got == nil || got.Strategy != openapi.RemediationStrategyRollback {
		t.Errorf("the policy is %+v", got)
	}
}

func TestAFirstInstallIsUninstalledAgain(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "uninstall")
	r := a.deploy(openapi.RunStatusPartial, unready(intent{"reuseValues": false, "name": pushDemo(t), "remediation": values{"strategy": "uninstall"}}))
	wantRemedy(t, r, clusterB, openapi.Remedy{Action: openapi.RemedyActionUninstall, Status: openapi.RemedyStatusSucceeded, Tries: 1}, false)
	wantNothing(t, clusterB, a.name)
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	if got := a.target(clusterB); got.Status != openapi.TargetStatusNOTINSTALLED {
		t.Errorf("the target is %s", got.Status)
	}
	last := a.get().LastRun
	checkDue(t, clusterB)
	if got := a.get().LastRun; got != last {
		t.Errorf("reconcile started run %s", got)
	}
	r = a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "good"}})
	wantRevision(t, r, clusterB, 1)

	r = a.put(openapi.RunStatusPartial, unready(nil)) // an update is left as it is
	wantRemedy(t, r, clusterB, openapi.Remedy{Status: openapi.RemedyStatusRefused, Code: "remedy-not-first", Tries: 1}, true)
}

// A revision that a person made by hand is not rolled back over, unless that is allowed: then the outcome says so. Nor is one that failed.
func TestARollbackDoesNotCrossWhatAPersonMade(t *testing.T) {
	t.Parallel()
	for name, across := range map[string]bool{"refused": false, "allowed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, swell.group, "byhand")
			a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "remediation": values{"strategy": "rollback", "acrossHandMade": across}})
			helm(t, clusterB, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "message=mine")
			r := a.put(openapi.RunStatusPartial, unready(nil))
			if across {
				target := wantRemedy(t, r, clusterB, rolledBackTo(1, 1), false)
				if !strings.Contains(target.Remedy.Cause, "revision 2") || !strings.Contains(target.Remedy.Cause, "by hand") {
					t.Errorf("it says %q", target.Remedy.Cause)
				}
				return
			}
			refused := openapi.Remedy{Action: openapi.RemedyActionRollback, Status: openapi.RemedyStatusFailed, Revision: 1, Tries: 1, Code: "rollback-hand-made"}
			target := wantRemedy(t, r, clusterB, refused, true)
			if !strings.Contains(target.Remedy.Cause, "revision 2") || !strings.Contains(target.Remedy.Cause, "by hand") {
				t.Errorf("it says %q", target.Remedy.Cause)
			}
			wantRevision(t, r, clusterB, 3)
			a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNHEALTHY)

			refused.Code = "rollback-across-failed" // revision 3 of the run before
			r = a.put(openapi.RunStatusPartial, unready(intent{"remediation": values{"strategy": "rollback", "acrossHandMade": true}, "values": values{"replicaCount": 2}}))
			wantRemedy(t, r, clusterB, refused, true)
		})
	}
}

func TestTriesAreCounted(t *testing.T) {
	t.Parallel()
	t.Run("going back in between", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, swell.group, "tries")
		a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "remediation": values{"strategy": "rollback", "retries": 1}})
		before := liveObjects(t, clusterB, a.name)
		r := a.put(openapi.RunStatusPartial, unready(nil))
		wantRemedy(t, r, clusterB, rolledBackTo(3, 2), false) // 2 and 4 failed, 3 was 1 again
		wantRevision(t, r, clusterB, 5)
		if diff := cmp.Diff(before, liveObjects(t, clusterB, a.name)); diff != "" {
			t.Errorf("the live objects (-before +after):\n%s", diff)
		}
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, swell.group, "again")
		r := a.deploy(openapi.RunStatusPartial, unready(intent{"reuseValues": false, "name": pushDemo(t), "remediation": values{"retries": 2, "retryOnFailure": true}}))
		wantRemedy(t, r, clusterB, openapi.Remedy{Action: openapi.RemedyActionRetry, Status: openapi.RemedyStatusRefused, Code: "remedy-none-left", Tries: 3}, true)
		wantRevision(t, r, clusterB, 3)
	})
}

// Of an atomic deployment all targets return to what they were when one fails, and the deployment to the generation before.
func TestAnAtomicDeploymentReturns(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "atomic")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "atomic": true, "values": values{"message": "good"}})
	before := map[string]map[string]string{clusterA: liveObjects(t, clusterA, a.name), clusterB: liveObjects(t, clusterB, a.name)}

	r := a.put(openapi.RunStatusFailed, unready(intent{"values": values{"message": "new", "replicaCount": 2}}))
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusReverted, "taken-back", "atomic", false)
	back := rolledBackTo(1, 0)
	back.Reverts = true
	wantRemedy(t, r, clusterB, back, false)
	for _, cluster := range []string{clusterA, clusterB} {
		wantRevision(t, r, cluster, 3)
		a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
		if diff := cmp.Diff(before[cluster], liveObjects(t, cluster, a.name)); diff != "" {
			t.Errorf("the live objects on %s (-before +after):\n%s", cluster, diff)
		}
	}
	if d := a.get(); d.Generation != 1 || d.NewestGeneration != 2 || !d.Atomic {
		t.Errorf("the deployment is at generation %d of %d", d.Generation, d.NewestGeneration)
	}
	if r.Counts.Reverted != 1 || r.Counts.Failed != 1 {
		t.Errorf("the counts are %+v", r.Counts)
	}
	if out, _ := cli(t, "run", "get", r.ID); !strings.Contains(out, "1 reverted") {
		t.Errorf("swell run get says\n%s", out)
	}

	a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "better"}})
	if d := a.get(); d.Generation != 3 {
		t.Errorf("the deployment is at generation %d", d.Generation)
	}
}

// A first install of an atomic deployment leaves nothing where one target fails.
func TestAnAtomicFirstInstallLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "nothing")
	r := a.deploy(openapi.RunStatusFailed, unready(intent{"reuseValues": false, "name": pushDemo(t), "atomic": true}))
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusReverted, "taken-back", "atomic", false)
	for _, cluster := range []string{clusterA, clusterB} {
		wantNothing(t, cluster, a.name)
	}
}

func TestRemediationIsChecked(t *testing.T) {
	t.Parallel()
	for why, policy := range map[string]values{
		"remediation.retries":        {"strategy": "none", "retries": 2},
		"remediation.retryOnFailure": {"strategy": "rollback", "retryOnFailure": true},
		"remediation.acrossHandMade": {"strategy": "uninstall", "acrossHandMade": true},
	} {
		refusal{method: "POST", path: "/clustergroups/" + swell.group + "/deployments", body: intent{"name": "sha256:" + strings.Repeat("0", 64), "remediation": policy},
			status: 422, code: "remediation-invalid", field: why}.wantRefused(t)
	}
}
