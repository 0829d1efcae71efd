//go:build stack

package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
)

// plan asks for a dry run of a create or an update, waits for it, and returns the plan.
func (a app) plan(want openapi.RunStatus, method string, in intent) openapi.Plan {
	a.t.Helper()
	path := a.path()
	if method == http.MethodPost {
		path, in = "/clustergroups/"+a.group+"/deployments", in.with(intent{"releaseName": a.name, "namespace": a.name})
	}
	var accepted openapi.DeploymentAccepted
	must(a.t, http.StatusAccepted, method, path, in.with(intent{"dryRun": true}), &accepted)
	r := ended(a.t, accepted.Run, want)
	if r.Type != openapi.RunTypePlan || r.PlanHash == "" {
		a.t.Fatalf("the run of the plan is %+v", r)
	}
	var p openapi.Plan
	must(a.t, http.StatusOK, http.MethodGet, "/plans/"+r.PlanHash, nil, &p)
	return p
}

// changes are the objects of a target that would not stay as they are, as "action Kind", and their changed fields.
func changes(t *testing.T, p openapi.Plan, cluster string) (objects []string, fields map[string]openapi.PlannedChange) {
	t.Helper()
	fields = map[string]openapi.PlannedChange{}
	cursor := ""
	for {
		var page openapi.PlanTargetDetails
		must(t, http.StatusOK, http.MethodGet, "/plans/"+p.PlanHash+"/targets/"+cluster+"?field=name&changed=true&limit=2"+cursor, nil, &page)
		for _, o := range page.Objects {
			objects = append(objects, string(o.Action)+" "+o.Kind)
			for _, c := range o.Changes {
				fields[o.Kind+" "+c.Path] = c
			}
		}
		if page.NextCursor == "" {
			slices.Sort(objects)
			return objects, fields
		}
		cursor = "&cursor=" + page.NextCursor
	}
}

func apply(t *testing.T, p openapi.Plan) openapi.RunDetails {
	t.Helper()
	var accepted openapi.DeploymentAccepted
	must(t, http.StatusAccepted, http.MethodPost, "/plans/"+p.PlanHash+"/apply", nil, &accepted)
	return awaitRun(t, accepted.Run, 5*time.Minute)
}

func wantStale(t *testing.T, p openapi.Plan, code, says string) {
	t.Helper()
	got := refusal{method: http.MethodPost, path: "/plans/" + p.PlanHash + "/apply", status: 409, code: code}.wantRefused(t)
	if !strings.Contains(got.problem.Detail, says) {
		t.Errorf("the refusal says %q, want %q", got.problem.Detail, says)
	}
}

// A dry run of a create changes nothing anywhere; applied by its hash it is installed exactly so.
func TestPlanOfACreate(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "plan")
	in := intent{"name": pushDemo(t), "values": values{"replicaCount": 1, "message": "planned"}, "valueOverrides": values{clusterB: values{"replicaCount": 2}}}
	p := a.plan(openapi.RunStatusSucceeded, http.MethodPost, in)

	if p.ExpectedVersion != 0 || p.Deployment.Generation != 1 || !p.Reproducible || p.Counts.Created == 0 || p.Counts.Created%2 != 0 || p.Counts.Changed+p.Counts.Deleted+p.Counts.Destructive > 0 {
		t.Errorf("plan %+v", p)
	}
	for _, target := range p.Targets {
		if target.Action != openapi.ActionInstall || target.Revision != 0 || target.Counts.Created != p.Counts.Created/2 {
			t.Errorf("target %+v", target)
		}
	}
	objects, _ := changes(t, p, clusterA)
	if !slices.Contains(objects, "create Deployment") || len(objects) != p.Counts.Created/2 {
		t.Errorf("objects %v", objects)
	}
	for _, cluster := range []string{clusterA, clusterB} {
		if _, err := kubernetesOf(t, cluster).CoreV1().Namespaces().Get(t.Context(), a.name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("cluster %s has the namespace (%v)", cluster, err)
		}
		wantNothing(t, cluster, a.name)
	}
	refusal{method: http.MethodGet, path: a.path(), status: 404, code: "deployment-not-found"}.wantRefused(t)
	var list openapi.DeploymentList
	must(t, http.StatusOK, http.MethodGet, "/clustergroups/"+a.group+"/deployments?limit=500", nil, &list)
	if slices.ContainsFunc(list.Items, func(d openapi.DeploymentSummary) bool { return d.ReleaseName == a.name }) {
		t.Error("the deployment is listed")
	}
	if again := a.plan(openapi.RunStatusSucceeded, http.MethodPost, in); again.PlanHash != p.PlanHash {
		t.Errorf("the same plan of the same world has the hash %s, then %s", p.PlanHash, again.PlanHash)
	}

	r := apply(t, p)
	if r.Status != openapi.RunStatusSucceeded || r.PlanHash != p.PlanHash || !r.AppliesPlan {
		t.Fatalf("applied: %s, plan %s", describe(r), r.PlanHash)
	}
	wantReplicas(t, clusterA, a.name, 1)
	wantReplicas(t, clusterB, a.name, 2)
	if got := messageOf(t, clusterA, a.name); got != "planned" {
		t.Errorf("the message is %q", got)
	}
	wantStale(t, p, "plan-applied", r.ID)
	wantPlanPath(t, p)
}

// wantPlanPath fails unless the plan's machine walked as it should.
func wantPlanPath(t *testing.T, p openapi.Plan) {
	t.Helper()
	wantWalk(t, "plan", p.Run, walk{
		Entry:   []string{"ResolveTargets", "PlanTargets", "NextBatch", "DiffTargets", "EvaluateBatch", "TargetsLeft?", "Ended"},
		Targets: []string{"DiffRelease", "DiffRelease"},
	})
}

// A plan of an update says what changes field by field, and is refused once the world moved: on record, or on a cluster.
func TestPlanOfAnUpdate(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "plan")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"replicaCount": 1, "message": "one"}})
	before := a.get()

	update := intent{"values": values{"replicaCount": 2, "message": "two"}}
	p := a.plan(openapi.RunStatusSucceeded, http.MethodPut, update)
	if now := a.get(); now.Generation != 1 || now.LastRun != before.LastRun || messageOf(t, clusterA, a.name) != "one" {
		t.Errorf("the plan changed the deployment: generation %d, last run %s", now.Generation, now.LastRun)
	}
	objects, fields := changes(t, p, clusterA)
	replicas := fields["Deployment spec.replicas"]
	if !slices.Equal(objects, []string{"update ConfigMap", "update Deployment"}) || replicas.Before != 1.0 || replicas.After != 2.0 || fields["ConfigMap data.message"].After != "two" {
		t.Errorf("objects %v, fields %+v", objects, fields)
	}

	// on record: another update takes its place
	other := a.plan(openapi.RunStatusSucceeded, http.MethodPut, intent{"values": values{"replicaCount": 1, "message": "three"}})
	if r := apply(t, p); r.Status != openapi.RunStatusSucceeded {
		t.Fatal(describe(r))
	}
	wantReplicas(t, clusterB, a.name, 2)
	wantStale(t, other, "plan-stale", "the deployment changed: it is at generation 2")
	wantStale(t, p, "plan-applied", "run ")

	// on a cluster, by hand: nothing else is touched
	moved := a.plan(openapi.RunStatusSucceeded, http.MethodPut, intent{"values": values{"replicaCount": 1, "message": "four"}})
	helm(t, clusterB, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "message=by-hand")
	r := apply(t, moved)
	if r.Status != openapi.RunStatusFailed || r.Code != "plan-stale" || !strings.Contains(r.Cause, clusterB+": revision 3, planned on revision 2") {
		t.Errorf("applied over a release changed by hand: %s", describe(r))
	}
	wantOutcome(t, r, clusterB, openapi.RunTargetStatusFailed, "plan-stale", "revision 3, planned on revision 2", false)
	wantOutcome(t, r, clusterA, openapi.RunTargetStatusFailed, "plan-stale", "no target was touched", false)
	if now := a.get(); now.Generation != 2 {
		t.Errorf("the deployment asks for generation %d, which no target was given", now.Generation)
	}
	if one, other := messageOf(t, clusterA, a.name), messageOf(t, clusterB, a.name); one != "two" || other != "by-hand" {
		t.Errorf("the clusters have %q and %q", one, other)
	}

	// what the tick saw refuses the request itself
	seen := a.plan(openapi.RunStatusSucceeded, http.MethodPut, intent{"values": values{"message": "five"}})
	helm(t, clusterA, a.name, "upgrade", a.name, "charts/demo", "--reuse-values", "--set", "message=by-hand")
	a.check()
	wantStale(t, seen, "plan-stale", "cluster "+clusterA+": revision 3, planned on revision 2")
}

// What another render would make otherwise is flagged, and what is secret is masked wherever a plan is read.
func TestPlanFlagsAndMasks(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "plan")
	const canary = "canary-of-a-plan-0123"
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\nstringData: {password: {{ .Values.password | quote }}}\n"
	chart := helmtest.Chart{"templates/secret.yaml": secret}
	a.deploy(openapi.RunStatusSucceeded, intent{"name": push(t, chart.Archive(t)), "values": values{"password": "before-" + canary}})

	random := chart.With("templates/random.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-random}\ndata: {a: {{ randAlphaNum 9 | quote }}}\n")
	p := a.plan(openapi.RunStatusSucceeded, http.MethodPut, intent{"name": push(t, random.Archive(t)), "values": values{"password": "after-" + canary}})
	if p.Reproducible {
		t.Error("a chart with random values is taken for reproducible")
	}
	for _, path := range []string{"/plans/" + p.PlanHash, "/plans/" + p.PlanHash + "/targets/" + clusterA + "?field=name", "/runs/" + p.Run} {
		if got := must(t, http.StatusOK, http.MethodGet, path, nil, nil); strings.Contains(string(got.raw), canary) {
			t.Errorf("%s shows a secret: %s", path, got.raw)
		}
	}
	objects, fields := changes(t, p, clusterA)
	if !slices.Equal(objects, []string{"create ConfigMap", "update Secret"}) || len(fields) != 2 {
		t.Errorf("objects %v, fields %+v", objects, fields)
	}
	searchTable(t, func(where, text string) {
		if strings.Contains(text, canary) {
			t.Errorf("a secret is in %s", where)
		}
	}, a.name)
}

// A target that cannot be planned says why, and holds the plan back.
func TestPlanOfATargetThatIsAway(t *testing.T) {
	t.Parallel()
	here, away := newInMemory(t), newInMemory(t)
	a := newApp(t, newGroup(t, here.id, away.id), "plan")
	away.breakDown()
	p := a.plan(openapi.RunStatusPartial, http.MethodPost, intent{"name": pushDemo(t)})
	i := slices.IndexFunc(p.Targets, func(target openapi.PlanTarget) bool { return target.ClusterID == away.id })
	if p.Targets[i].Code != "cluster-unreachable" || p.Targets[i].Cause == "" || p.Targets[1-i].Counts.Created == 0 {
		t.Errorf("targets %+v", p.Targets)
	}
	wantStale(t, p, "plan-incomplete", "1 of 2 targets could not be planned")
	refusal{method: http.MethodGet, path: "/plans/nothing", status: 404, code: "plan-not-found"}.wantRefused(t)
	refusal{method: http.MethodPost, path: "/plans/nothing/apply", status: 404, code: "plan-not-found"}.wantRefused(t)
	refusal{method: http.MethodGet, path: "/plans/" + p.PlanHash + "/targets/nothing", status: 404, code: "target-not-found"}.wantRefused(t)
	refusal{method: http.MethodGet, path: "/plans/" + p.PlanHash + "/targets/" + here.id + "?cursor=x", status: 400, code: "cursor-invalid", field: "cursor"}.wantRefused(t)
	if got := here.Writes(); got > 0 {
		t.Errorf("the plan wrote %d times", got)
	}
}

// A plan that runs can be canceled, and its target is left as it is.
func TestPlanIsCanceled(t *testing.T) {
	t.Parallel()
	slow := newInMemory(t)
	a := newApp(t, newGroup(t, slow.id), "plan")
	slow.SetDelay(2 * time.Second)
	var accepted openapi.DeploymentAccepted
	must(t, http.StatusAccepted, http.MethodPost, "/clustergroups/"+a.group+"/deployments", intent{"name": pushDemo(t), "releaseName": a.name, "namespace": a.name, "dryrun": true}, &accepted)
	must(t, http.StatusAccepted, http.MethodPost, "/runs/"+accepted.Run+"/cancel", nil, nil)
	r := ended(t, accepted.Run, openapi.RunStatusCanceled)
	slow.SetDelay(0)
	wantStale(t, openapi.Plan{PlanHash: r.PlanHash}, "plan-incomplete", "1 of 1 targets could not be planned")
}

// By the command line: plan, show, apply.
func TestPlanByCommandLine(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "plan")
	out, code := cli(t, "plan", a.name, "--group", sharedGroup, "--chart", "charts/demo", "-n", a.name, "--set", "message=cli")
	hash := lastWord(out, "swell apply ")
	if code != 0 || hash == "" || !strings.Contains(out, "  + Deployment "+a.name+"/") {
		t.Fatalf("plan exits with %d:\n%s", code, out)
	}
	if out, code = cli(t, "plan", "show", hash, "--cluster", clusterB); code != 0 || !strings.Contains(out, "+ ConfigMap") {
		t.Errorf("plan show exits with %d:\n%s", code, out)
	}
	if out, code = cli(t, "apply", hash, "--wait"); code != 0 || messageOf(t, clusterB, a.name) != "cli" {
		t.Errorf("apply exits with %d:\n%s", code, out)
	}
	if out, code = cli(t, "apply", hash); code != 3 || !strings.Contains(out, "plan-applied") {
		t.Errorf("a second apply exits with %d:\n%s", code, out)
	}
	out, code = cli(t, "plan", a.name, "--group", sharedGroup, "--set", "message=cli2")
	if code != 0 || !strings.Contains(out, "~ ConfigMap") || !strings.Contains(out, `~ data.message: "cli" → "cli2"`) || strings.Count(out, "data.message") != 1 {
		t.Errorf("the plan of an update exits with %d:\n%s", code, out)
	}
}

// lastWord is the word behind the text.
func lastWord(out, text string) string {
	_, rest, _ := strings.Cut(out, text)
	word, _, _ := strings.Cut(rest, " ")
	return word
}
