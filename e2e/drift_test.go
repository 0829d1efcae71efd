//go:build stack

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
)

// byHand changes the app's workload as kubectl edit would.
func byHand(t *testing.T, cluster, namespace, patch string) {
	t.Helper()
	name := workload(t, cluster, namespace).Name
	_, err := kubernetesOf(t, cluster).AppsV1().Deployments(namespace).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		t.Fatal(err)
	}
}

const (
	editEnv      = `{"spec":{"template":{"spec":{"containers":[{"name":"demo","env":[{"name":"DEBUG","value":"1"}]}]}}}}`
	editReplicas = `{"spec":{"replicas":5}}`
)

func removeConfig(t *testing.T, cluster, namespace string) {
	t.Helper()
	if err := kubernetesOf(t, cluster).CoreV1().ConfigMaps(namespace).Delete(t.Context(), namespace+"-demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// wantDrift wants exactly those findings on the cluster, and returns them.
func (a app) wantDrift(cluster string, want ...string) []openapi.DriftFinding {
	a.t.Helper()
	var report openapi.DriftReport
	must(a.t, http.StatusOK, http.MethodGet, a.path()+"/drift?cluster="+cluster, nil, &report)
	if len(report.Targets) != 1 {
		a.t.Fatalf("%d targets are named %s", len(report.Targets), cluster)
	}
	var got []string
	for _, f := range report.Targets[0].Findings {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s by %s", f.Kind, f.Op, f.Path, f.Manager)))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		a.t.Errorf("drift on %s (-want +got):\n%s", cluster, diff)
	}
	return report.Targets[0].Findings
}

// A release that was broken by hand shows exactly what differs, and a sync puts exactly that right, without a new revision.
func TestDriftIsShownAndRepaired(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "drift")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"replicaCount": 2}})
	a.check()
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantDrift(clusterA)

	byHand(t, clusterA, a.name, editEnv)
	byHand(t, clusterA, a.name, editReplicas)
	removeConfig(t, clusterA, a.name)
	a.check()
	broken := []string{
		"ConfigMap missing  by",
		"Deployment added spec.template.spec.containers[name=demo].env by kubectl-edit",
		"Deployment changed spec.replicas by kubectl-edit",
	}
	if got := a.target(clusterA); got.Status != openapi.TargetStatusDRIFTED || got.Drift.Objects != 2 || got.Drift.Fields != 2 || got.Drift.Since.IsZero() {
		t.Errorf("the target stands %+v", got)
	}
	for _, f := range a.wantDrift(clusterA, broken...) {
		if f.Path == "spec.replicas" && (f.Want != 2.0 || f.Live != 5.0) {
			t.Errorf("the replicas are %v, wanted %v", f.Live, f.Want)
		}
	}
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantDrift(clusterB)
	if out, code := cli(t, "drift", a.name, "--group", a.groupName()); code != 0 || !strings.Contains(out, "kubectl-edit") || !strings.Contains(out, "missing") {
		t.Errorf("swell drift ended %d: %s", code, out)
	}

	r := a.sync(openapi.RunStatusSucceeded)
	if on := targetOf(t, r, clusterA); on.Action != openapi.ActionRepair {
		t.Errorf("the sync did %s", on.Action)
	}
	if on := targetOf(t, r, clusterB); on.Action != openapi.ActionNone {
		t.Errorf("the sync did %s where nothing differs", on.Action)
	}
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantDrift(clusterA)
	live := workload(t, clusterA, a.name)
	if env := live.Spec.Template.Spec.Containers[0].Env; *live.Spec.Replicas != 2 || len(env) != 0 {
		t.Errorf("after the sync there are %d replicas and the environment %v", *live.Spec.Replicas, env)
	}
	if got := helmRevisions(t, clusterA, a.name); len(got) != 1 {
		t.Errorf("the repair made revisions: %v", got)
	}
	messageOf(t, clusterA, a.name)
}

// The three answers to a difference: ignore it, adopt it, correct it by itself.
func TestDriftIsIgnored(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "ignored")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	byHand(t, clusterA, a.name, editReplicas)
	a.check()
	a.wantDrift(clusterA, "Deployment changed spec.replicas by kubectl-edit")
	if out, code := cli(t, "drift", "ignore", a.name, "--group", a.groupName(), "--apply"); code != 0 {
		t.Fatalf("the rule was not made: %s", out)
	}
	a.check()
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantDrift(clusterA)
	a.sync(openapi.RunStatusSucceeded)
	wantReplicas(t, clusterA, a.name, 5)

	var d openapi.DeploymentSummary
	got := must(t, http.StatusOK, http.MethodPatch, a.path(), intent{"driftIgnore": []intent{}, "installOnJoin": true, "removalLimitPercent": 30}, &d)
	if len(d.DriftIgnore) != 0 || !d.InstallOnJoin || d.RemovalLimitPercent != 30 || d.Generation != 1 || got.header.Get("ETag") == "" {
		t.Errorf("the settings are %+v", d)
	}
	refused := do(t, http.MethodPatch, a.path(), intent{"driftIgnore": []intent{{"path": "spec..replicas"}}})
	if refused.status != http.StatusUnprocessableEntity || refused.problem.Code != "drift-ignore-invalid" || refused.problem.Field != "driftIgnore[0].path" {
		t.Errorf("a path that cannot be read answers %d %+v", refused.status, refused.problem)
	}
	a.check()
	a.wantDrift(clusterA, "Deployment changed spec.replicas by kubectl-edit")
}

func TestDriftIsAdopted(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "adopted")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"replicaCount": 2}})
	byHand(t, clusterA, a.name, editReplicas)
	byHand(t, clusterA, a.name, `{"spec":{"minReadySeconds":7}}`)
	a.check()
	ask := intent{"cluster": clusterA, "kind": "Deployment", "name": a.name + "-demo", "path": "spec.replicas", "dryRun": true}
	var found openapi.Adoption
	must(t, http.StatusOK, http.MethodPost, a.path()+"/drift/adopt", ask, &found)
	if found.ValuePath != "replicaCount" || found.Value != 5.0 || found.Run != "" {
		t.Errorf("the value is %+v", found)
	}
	for path, code := range map[string]string{"spec.minReadySeconds": "drift-not-mappable", "spec.paused": "drift-not-found"} {
		if got := do(t, http.MethodPost, a.path()+"/drift/adopt", ask.with(intent{"path": path})); got.problem.Code != code {
			t.Errorf("adopting %s answers %d %+v", path, got.status, got.problem)
		}
	}
	must(t, http.StatusAccepted, http.MethodPost, a.path()+"/drift/adopt", ask.with(intent{"dryRun": false}), &found)
	ended(t, found.Run, openapi.RunStatusSucceeded)
	wantReplicas(t, clusterA, a.name, 5)
	wantReplicas(t, clusterB, a.name, 2)
	if got := a.get(); got.ValueOverrides[clusterA]["replicaCount"] != 5.0 || got.Generation != 2 {
		t.Errorf("generation %d overrides %v", got.Generation, got.ValueOverrides)
	}
	a.check()
	a.wantDrift(clusterA) // the run put back what no chart value makes
}

// In mode correct the regular look repairs by itself, and never a rollback that a person made.
func TestDriftIsCorrected(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "corrects")
	first := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "mode": "correct", "values": values{"replicaCount": 2}})
	removeConfig(t, clusterA, a.name)
	checkDue(t, clusterA)
	last := a.get().LastRun
	if last == first.ID {
		t.Fatal("reconcile started no run")
	}
	r := ended(t, last, openapi.RunStatusSucceeded)
	if on := targetOf(t, r, clusterA); r.Trigger != openapi.RunTriggerReconcile || len(r.Targets) != 1 || on.Action != openapi.ActionRepair {
		t.Errorf("reconcile started %s", describe(r))
	}
	if _, err := kubernetesOf(t, clusterA).CoreV1().ConfigMaps(a.name).Get(t.Context(), a.name+"-demo", metav1.GetOptions{}); apierrors.IsNotFound(err) {
		t.Error("the ConfigMap is still missing")
	}
}

func TestRollbackByHandIsHeld(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "held")
	demo := pushDemo(t)
	a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "mode": "correct", "values": values{"replicaCount": 2}})
	second := a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 3}})
	helm(t, clusterA, a.name, "rollback", a.name, "1")
	for range 2 { // what was seen before decides the same
		checkDue(t, clusterA)
		if got := a.get(); got.LastRun != second.ID {
			t.Fatalf("reconcile fought a person's rollback: run %s", got.LastRun)
		}
	}
	got := a.target(clusterA)
	if want := "revision 3: rolled back by hand to 1"; got.Status != openapi.TargetStatusSTALE || !slices.Contains(got.Differs, want) {
		t.Errorf("the target is %s and differs in %q, want STALE and %q", got.Status, got.Differs, want)
	}
	wantReplicas(t, clusterA, a.name, 2)
	a.sync(openapi.RunStatusSucceeded)
	wantReplicas(t, clusterA, a.name, 3)
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
}
