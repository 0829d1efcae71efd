//go:build stack

package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
)

// Pods that cannot run fail their target at once, with the cause that a person needs, and long before the deadline; the pods of before stay.
func TestPodsThatCannotRunFailFast(t *testing.T) {
	t.Parallel()
	for tag, code := range map[string]string{"missing": "image-pull", "crash": "crash-loop", "oom": "oom-killed"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, swell.group, "fast")
			a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "timeoutSeconds": 3600})
			r := a.put(openapi.RunStatusPartial, intent{"valueOverrides": values{clusterB: values{"image": values{"tag": tag}}}})
			wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, code, "container demo", true)
			target := a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNHEALTHY)
			if target.Error.Code != code || !strings.Contains(target.HealthMessage, "pod "+a.name) {
				t.Errorf("the target says %+v", target)
			}
			r = a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "well again"}})
			wantRevision(t, r, clusterB, 3)
			a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
		})
	}
}

// gadgets is a chart of a custom resource that says of itself how it is.
var gadgets = helmtest.Chart{
	"Chart.yaml":  helmtest.Meta("gadgets", "1.0.0"),
	"values.yaml": "phase: Ready\n",
	"crds/gadgets.yaml": `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.health.swell.test}
spec:
  group: health.swell.test
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {phase: {type: string}}}}}}
`,
	"templates/gadget.yaml": "apiVersion: health.swell.test/v1\nkind: Gadget\nmetadata: {name: {{ .Release.Name }}}\nspec: {phase: {{ .Values.phase }}}\n",
}

// A user's expressions say when a custom resource is healthy, and when it has failed; one that is not CEL fails before anything is written.
func TestHealthChecksOfCustomKinds(t *testing.T) {
	t.Parallel()
	check := intent{
		"apiVersion": "health.swell.test/v1", "kind": "Gadget",
		"current": "spec.phase == 'Ready'", "failed": "spec.phase == 'Broken'", "inProgress": "spec.phase == 'Starting'",
	}
	a := newApp(t, swell.group, "gadget")
	bad := check.with(intent{"current": "spec.phase =="})
	r := a.deploy(openapi.RunStatusFailed, intent{"name": push(t, gadgets.Archive(t)), "timeoutSeconds": 20, "healthChecks": []intent{bad}})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusFailed, "health-check-invalid", "healthChecks[0].current", false)

	r = a.put(openapi.RunStatusSucceeded, intent{"healthChecks": []intent{check}})
	wantRevision(t, r, clusterA, 1)
	if got := a.get().HealthChecks; len(got) != 1 || got[0].Failed != "spec.phase == 'Broken'" {
		t.Errorf("the deployment says %+v", got)
	}
	r = a.put(openapi.RunStatusPartial, intent{"timeoutSeconds": 15, "valueOverrides": values{clusterB: values{"phase": "Starting"}}})
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "not-ready", "inProgress is true", true)
	r = a.put(openapi.RunStatusPartial, intent{"timeoutSeconds": 3600, "valueOverrides": values{clusterB: values{"phase": "Broken"}}})
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "workload-failed", "failed is true", true)
	a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNHEALTHY)
	unmatched := check.with(intent{"name": "nobody"})
	r = a.put(openapi.RunStatusFailed, intent{"valueOverrides": values{}, "healthChecks": []intent{check, unmatched}})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusFailed, "health-check-unmatched", "Gadget nobody", true)
	a.put(openapi.RunStatusSucceeded, intent{"healthChecks": []intent{}})
}

const chartTest = `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-works
  annotations: {helm.sh/hook: test}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  containers: [{name: ask, image: "registry.example/ask:{{ .Values.ask }}"}]
`

// The chart's own tests are the last gate of a target: one that fails fails it with the test's name and end.
func TestChartTestsAreAGate(t *testing.T) {
	t.Parallel()
	chart := helmtest.Workload().With("templates/test.yaml", chartTest).With("values.yaml", "replicas: 1\nimage: registry.example/web:1\nask: good\n")
	a := newApp(t, swell.group, "tested")
	r := a.deploy(openapi.RunStatusPartial, intent{
		"name": push(t, chart.Archive(t)), "tests": intent{"enabled": true, "timeoutSeconds": 60}, "valueOverrides": values{clusterB: values{"ask": "crash"}},
	})
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "test-failed", "Pod/"+a.name+"-works", true)
	a.wantTarget(clusterA, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	a.wantTarget(clusterB, openapi.TargetStatusFAILED, openapi.HealthUNHEALTHY)
	if got := helm(t, clusterA, a.name, "status", a.name); !strings.Contains(got, "TEST SUITE:     "+a.name+"-works") || !strings.Contains(got, "Phase:          Succeeded") {
		t.Errorf("Helm says\n%s", got)
	}
	a.put(openapi.RunStatusSucceeded, intent{"valueOverrides": values{}})
	a.wantTarget(clusterB, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	if tests := a.get().Tests; tests == nil || tests.TimeoutSeconds != 60 {
		t.Errorf("the deployment says %+v", tests)
	}
}

// What a deployment depends on goes first, on each target; what is needed is not removed.
func TestDependenciesGoFirst(t *testing.T) {
	t.Parallel()
	demo := pushDemo(t)
	db, web := newApp(t, swell.group, "db"), newApp(t, swell.group, "web")
	first := db.create(intent{"name": demo, "timeoutSeconds": 30, "valueOverrides": values{clusterB: values{"neverReady": true}}})
	second := web.create(intent{"name": demo, "timeoutSeconds": 40, "dependsOn": []string{db.name}})
	ended(t, first.Run, openapi.RunStatusPartial)
	r := ended(t, second.Run, openapi.RunStatusPartial)
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusSucceeded, "", "", false)
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "dependency-not-ready", db.name+", which it depends on, is", false)
	ready := slices.IndexFunc(r.Steps, func(s openapi.Step) bool { return s.State == "DeployRelease" && s.ClusterName == clusterA })
	recorded := getRun(t, first.Run)
	done := slices.IndexFunc(recorded.Steps, func(s openapi.Step) bool { return s.State == "RecordRelease" && s.ClusterName == clusterA })
	if ready < 0 || done < 0 || r.Steps[ready].StartedAt.Before(recorded.Steps[done].StartedAt) {
		t.Errorf("it did not wait:\n%s\n%s", describe(recorded), describe(r))
	}
	for _, c := range []struct {
		dependsOn []string
		code      string
	}{{[]string{"nobody"}, "depends-on-unknown"}, {[]string{web.name}, "depends-on-circle"}, {[]string{db.name}, "depends-on-circle"}} {
		if refused := do(t, http.MethodPut, db.path(), intent{"dependsOn": c.dependsOn}); refused.status != 422 || refused.problem.Code != c.code || refused.problem.Field != "dependsOn" {
			t.Errorf("%v answered %d %s", c.dependsOn, refused.status, refused.raw)
		}
	}
	if refused := do(t, http.MethodDelete, db.path(), nil); refused.status != http.StatusConflict || refused.problem.Code != "deployment-needed" {
		t.Errorf("answered %d %s", refused.status, refused.raw)
	}
	if out, status := cli(t, "deploy", web.name, "--group", sharedGroup, "--depends-on", ""); status != 0 {
		t.Errorf("swell deploy ended with %d: %s", status, out)
	}
	if got := web.get().DependsOn; len(got) != 0 {
		t.Errorf("it still depends on %v", got)
	}
}
