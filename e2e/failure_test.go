//go:build stack

package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
)

// Pods that never become ready fail their target alone, and mark its record, so that nobody takes it for good. It is repaired by upgrade.
func TestPodsNeverReady(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "unready")
	r := a.deploy(openapi.RunStatusPartial, intent{
		"name": pushDemo(t), "timeoutSeconds": 15, "valueOverrides": values{clusterB: values{"neverReady": true}},
	})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "not-ready", "not ready after 15 s", true)
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	target := a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNHEALTHY)
	if target.Error.Code != "not-ready" || !strings.Contains(target.HealthMessage, a.name) {
		t.Errorf("the target does not say which workload is not ready: %+v", target)
	}
	if got := helm(t, clusterB, a.name, "status", a.name); !strings.Contains(got, "STATUS: failed") {
		t.Errorf("Helm's record says\n%s", got)
	}

	r = a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 1}})
	wantRevision(t, r, clusterA, 2) // its values changed, too
	wantRevision(t, r, clusterB, 2)
	if got := helm(t, clusterB, a.name, "history", a.name, "--output", "json"); strings.Count(got, `"revision"`) != 2 || !strings.Contains(got, "not ready after 15 s") {
		t.Errorf("the failed release was not repaired by upgrade:\n%s", got)
	}
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
}

func wantRevision(t *testing.T, r openapi.RunDetails, cluster string, want int) {
	t.Helper()
	if got := targetOf(t, r, cluster).Revision; got != want {
		t.Errorf("target %s is at revision %d, want %d", cluster, got, want)
	}
}

// oddNames is a chart whose objects only a cluster finds to be wrong.
var oddNames = helmtest.Chart{
	"Chart.yaml":          helmtest.Meta("odd", "1.0.0"),
	"values.yaml":         "name: fine\n",
	"templates/map.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n",
	"templates/also.yaml": "{{ if eq .Values.name \"broken\" }}{{ fail \"there is no such name\" }}{{ end }}",
}

// A chart that cannot be rendered with one override is refused whole; one that a cluster does not take fails there, and a failing first
// install is repaired by upgrade.
func TestBadChartOnOneTarget(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "odd")
	odd := push(t, oddNames.Archive(t))
	refused := do(t, http.MethodPost, "/clustergroups/"+swell.group+"/deployments",
		intent{"name": odd, "releaseName": a.name, "namespace": a.name, "valueOverrides": values{clusterB: values{"name": "broken"}}})
	if refused.status != 422 || refused.problem.Code != "chart-render-failed" || !strings.Contains(refused.problem.Detail, "there is no such name") ||
		!strings.Contains(refused.problem.Detail, clusterB) {
		t.Errorf("answered %d %s", refused.status, refused.raw)
	}

	r := a.deploy(openapi.RunStatusPartial, intent{"name": odd, "valueOverrides": values{clusterB: values{"name": "Not_A_Name"}}})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "invalid-object", "metadata.name", true)
	a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNKNOWN)

	r = a.put(openapi.RunStatusSucceeded, intent{"reuseValues": true, "valueOverrides": values{clusterB: values{"name": "good"}}})
	wantRevision(t, r, clusterA, 1)
	wantRevision(t, r, clusterB, 2)
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
}

// A hook that never ends fails its target by name, in the time that a function has for hooks, and its Job goes on.
func TestHookNeverEnds(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "hook")
	r := a.deploy(openapi.RunStatusPartial, intent{
		"name": pushDemo(t), "values": values{"hook": values{"enabled": true}}, "valueOverrides": values{clusterB: values{"hook": values{"neverEnds": true}}},
	})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "hook-timeout", "Job/"+a.name+"-demo-before", true)
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNKNOWN)
	jobs, err := kubernetesOf(t, clusterB).BatchV1().Jobs(a.name).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(jobs.Items) != 1 {
		t.Errorf("the hook's Job is not left alone: %v, %d Jobs", err, len(jobs.Items))
	}
	attempts := 0
	for _, s := range r.Steps {
		if s.ClusterName == clusterB && s.State == "DeployRelease" {
			attempts++
		}
	}
	if attempts != 1 {
		t.Errorf("the verb ran %d times: a rerun would have deleted the Job", attempts)
	}
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 1}})
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
}

// A release of the same name that somebody made with Helm is never touched.
func TestForeignRelease(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "foreign")
	helm(t, clusterB, a.name, "install", a.name, "charts/demo", "--create-namespace", "--set", "message=mine")
	r := a.deploy(openapi.RunStatusPartial, intent{"name": pushDemo(t), "values": values{"message": "Swell's"}})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "release-foreign", "was not made by this deployment", false)
	untouched := func() {
		t.Helper()
		if got := helm(t, clusterB, a.name, "history", a.name); strings.Count(got, "deployed") != 1 || strings.Contains(got, "Swell") {
			t.Errorf("the foreign release was touched:\n%s", got)
		}
		if got := messageOf(t, clusterB, a.name); got != "mine" {
			t.Errorf("the foreign release says %q", got)
		}
	}
	untouched()
	if got := a.target(clusterB); got.Error.Code != "release-foreign" {
		t.Errorf("the target does not say why: %+v", got)
	}
	removal := awaitRun(t, accepted(t, http.MethodDelete, a.path()+"?force=true"), time.Minute)
	wantOutcome(t, removal, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	untouched()
	wantNothing(t, clusterA, a.name)
}

// accepted sends a request that starts a run, and returns the run.
func accepted(t *testing.T, method, path string) string {
	t.Helper()
	var a openapi.DeploymentAccepted
	must(t, http.StatusAccepted, method, path, nil, &a)
	return a.Run
}

// Two updates at once: each is accepted or refused as a whole, and the newest generation is what every target ends with.
func TestTwoUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "twice")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"message": "none"}})
	var mu sync.Mutex
	var both sync.WaitGroup
	said := map[int]string{} // by generation
	runs := map[int]string{}
	for _, message := range []string{"one", "two"} {
		both.Go(func() {
			answered, err := swell.send(t.Context(), http.MethodPut, a.path(), intent{"values": values{"message": message}})
			if err != nil {
				t.Error(err)
				return
			}
			if answered.status == http.StatusConflict && answered.problem.Code == "deployment-changed" {
				return
			}
			var d openapi.DeploymentAccepted
			if err := answered.want(http.StatusAccepted, &d); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			said[d.Generation], runs[d.Generation] = message, d.Run
		})
	}
	both.Wait()
	newest := a.get().Generation
	if len(said) == 0 || said[newest] == "" || newest != 1+len(said) {
		t.Fatalf("the deployment is at generation %d; accepted: %v", newest, said)
	}
	for generation, id := range runs {
		want := []openapi.RunStatus{openapi.RunStatusSucceeded}
		if generation != newest {
			want = append(want, openapi.RunStatusSuperseded)
		}
		if r := awaitRun(t, id, 3*time.Minute); !slices.Contains(want, r.Status) {
			t.Errorf("generation %d: want one of %v, got %s", generation, want, describe(r))
		}
	}
	for _, cluster := range []string{clusterA, clusterB} {
		if got := messageOf(t, cluster, a.name); got != said[newest] {
			t.Errorf("cluster %s says %q, want %q", cluster, got, said[newest])
		}
		a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	}
}
