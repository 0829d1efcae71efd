//go:build stack

package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

// The main job: one chart on two clusters with an override each, a change by hand found and repaired, an update, the removal.
func TestMainJob(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "main")
	demo := pushDemo(t)

	first := a.deploy(openapi.RunStatusSucceeded, intent{
		"name": demo, "values": values{"replicaCount": 1, "message": "first"},
		"valueOverrides": values{clusterA: values{"replicaCount": 2}, clusterB: values{"replicaCount": 3}},
	})
	for cluster, replicas := range map[string]int32{clusterA: 2, clusterB: 3} {
		wantOutcome(t, first, cluster, openapi.RunTargetStatusSucceeded, "", "", false)
		wantReplicas(t, cluster, a.name, replicas)
		target := a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
		if target.Observed.Revision != 1 || target.Version != "1.0.0" || target.Desired.Generation != 1 || target.ObservedAt.IsZero() {
			t.Errorf("target %s shows %+v", cluster, target)
		}
	}
	wantSteps(t, first)

	helm(t, clusterA, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "replicaCount=7")
	a.check()
	stale := a.wantTarget(clusterA, openapi.TargetStatusSTALE, openapi.HealthHEALTHY)
	if !slices.ContainsFunc(stale.Differs, func(d string) bool { return strings.Contains(d, "replicaCount") }) {
		t.Errorf("what differs is %q, want replicaCount among it", stale.Differs)
	}
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)

	repair := a.sync(openapi.RunStatusSucceeded)
	if got := targetOf(t, repair, clusterB); got.Revision != 1 {
		t.Errorf("the sync touched the target that was as desired: revision %d", got.Revision)
	}
	wantReplicas(t, clusterA, a.name, 2)
	if got := a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY); got.Observed.Revision != 3 || len(got.Differs) > 0 {
		t.Errorf("after the repair target %s shows %+v", clusterA, got)
	}

	// Pipeline's meaning: with reuseValues the request lies over what was; an override that is not mentioned stays.
	a.put(openapi.RunStatusSucceeded, intent{"reuseValues": true, "values": values{"message": "second"}, "valueOverrides": values{clusterB: values{"replicaCount": 1}}})
	wantReplicas(t, clusterA, a.name, 2)
	wantReplicas(t, clusterB, a.name, 1)
	// Without it the request is all there is.
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 4}})
	for _, cluster := range []string{clusterA, clusterB} {
		wantReplicas(t, cluster, a.name, 4)
		if got := messageOf(t, cluster, a.name); got != "Hello from Swell." {
			t.Errorf("cluster %s says %q: a value was reused", cluster, got)
		}
	}
	if got := a.get(); got.Generation != 3 || len(got.ValueOverrides) != 0 {
		t.Errorf("the deployment is at generation %d with overrides for %d clusters", got.Generation, len(got.ValueOverrides))
	}

	a.remove(openapi.RunStatusSucceeded)
	for _, cluster := range []string{clusterA, clusterB} {
		wantNothing(t, cluster, a.name)
	}
	if gone := do(t, http.MethodGet, a.path(), nil); gone.status != http.StatusNotFound || gone.problem.Code != "deployment-not-found" {
		t.Errorf("after the removal the deployment answers %d %s", gone.status, gone.problem.Code)
	}
}

// wantSteps wants each state of each target to have begun and ended.
func wantSteps(t *testing.T, r openapi.RunDetails) {
	t.Helper()
	states := map[string][]string{}
	for _, s := range r.Steps {
		if s.StartedAt.IsZero() || s.EndedAt.IsZero() || s.Status == openapi.StepStatusRunning {
			t.Errorf("step %s of %s did not end: %+v", s.State, s.ClusterName, s)
		}
		if !slices.Contains(states[s.ClusterName], s.State) {
			states[s.ClusterName] = append(states[s.ClusterName], s.State)
		}
	}
	for _, cluster := range []string{clusterA, clusterB} {
		for _, want := range []string{"PrepareRelease", "DeployRelease", "CheckRelease", "RecordRelease"} {
			if !slices.Contains(states[cluster], want) {
				t.Errorf("target %s has no step %s, only %q", cluster, want, states[cluster])
			}
		}
	}
}

// Every release is a plain Helm release: Helm's own commands work on it, and Swell sees what they did.
func TestReleasesArePlainHelmReleases(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "plain")
	demo := pushDemo(t)
	a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "values": values{"replicaCount": 1}})
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 2}})

	if got := helm(t, clusterA, a.name, "list", "--short"); strings.TrimSpace(got) != a.name {
		t.Errorf("helm list says %q", got)
	}
	if got := helm(t, clusterA, a.name, "history", a.name); strings.Count(got, "Swell: generation") != 2 {
		t.Errorf("helm history says\n%s", got)
	}
	helm(t, clusterA, a.name, "rollback", a.name, "1", "--wait")
	wantReplicas(t, clusterA, a.name, 1)
	a.check()
	if got := a.wantTarget(clusterA, openapi.TargetStatusSTALE, openapi.HealthHEALTHY); got.Observed.Revision != 3 {
		t.Errorf("after the rollback Swell saw revision %d, want 3", got.Observed.Revision)
	}
	helm(t, clusterB, a.name, "uninstall", a.name)
	a.check()
	if got := a.target(clusterB); got.Status != openapi.TargetStatusNOTINSTALLED {
		t.Errorf("after helm uninstall the target is %s", got.Status)
	}
	a.sync(openapi.RunStatusSucceeded)
	for _, cluster := range []string{clusterA, clusterB} {
		wantReplicas(t, cluster, a.name, 2)
		a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	}
}

// The same by the command line, and by the client that is generated from the contract.
func TestCommandLineAndGeneratedClient(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "cli")
	out, code := cli(t, "deploy", a.name, "--group", sharedGroup, "--namespace", a.name, "--chart", "charts/demo", "--set", "replicaCount=1", "--override", clusterB+":replicaCount=2", "--watch")
	if code != 0 {
		t.Fatalf("swell deploy ended with %d:\n%s", code, out)
	}
	if out, code = cli(t, "status", a.name, "--group", sharedGroup); code != 0 || strings.Count(out, "DEPLOYED") != 2 || strings.Count(out, "HEALTHY") != 2 {
		t.Errorf("swell status ended with %d:\n%s", code, out)
	}
	wantReplicas(t, clusterB, a.name, 2)

	api, err := client.New(swell.url, swell.token, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	list, err := api.ListDeploymentsWithResponse(t.Context(), "default", swell.group, &openapi.ListDeploymentsParams{})
	if err != nil || list.JSON200 == nil {
		t.Fatalf("listing deployments answered %v, %v", list, err)
	}
	if !slices.ContainsFunc(list.JSON200.Items, func(d openapi.DeploymentSummary) bool { return d.ReleaseName == a.name }) {
		t.Errorf("deployment %s is not listed", a.name)
	}
	runs, err := api.ListRunsWithResponse(t.Context(), "default", &openapi.ListRunsParams{DeploymentID: a.get().ID})
	if err != nil || runs.JSON200 == nil || len(runs.JSON200.Items) != 1 || runs.JSON200.Items[0].Status != openapi.RunStatusSucceeded {
		t.Errorf("listing the runs of the deployment answered %v, %v", runs, err)
	}
	all, err := api.ListRunsWithResponse(t.Context(), "default", &openapi.ListRunsParams{Type: openapi.RunTypeDeploy, Limit: 50})
	if err != nil || all.JSON200 == nil || !slices.ContainsFunc(all.JSON200.Items, func(r openapi.Run) bool { return r.ID == runs.JSON200.Items[0].ID }) {
		t.Errorf("listing the runs of the organization answered %v, %v", all, err)
	}
	if out, code = cli(t, "delete", a.name, "--group", sharedGroup, "--wait"); code != 0 {
		t.Errorf("swell delete ended with %d:\n%s", code, out)
	}
}
