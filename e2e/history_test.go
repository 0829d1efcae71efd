//go:build stack

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
)

// rollback goes back to a generation, and waits until the run ends so.
func (a app) rollback(want openapi.RunStatus, generation int) openapi.RunDetails {
	a.t.Helper()
	var accepted openapi.DeploymentAccepted
	must(a.t, http.StatusAccepted, http.MethodPost, a.path()+"/rollback", openapi.RollbackRequest{Generation: generation}, &accepted)
	if accepted.Generation != generation {
		a.t.Errorf("a rollback to generation %d was accepted as %d", generation, accepted.Generation)
	}
	return ended(a.t, accepted.Run, want)
}

// generations are all of the deployment's, by pages of two.
func (a app) generations() []openapi.Generation {
	a.t.Helper()
	var all []openapi.Generation
	for cursor := ""; ; {
		var page openapi.GenerationList
		must(a.t, http.StatusOK, http.MethodGet, a.path()+"/generations?limit=2&cursor="+cursor, nil, &page)
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

func (a app) generationDiff(query string) openapi.GenerationDiff {
	a.t.Helper()
	var d openapi.GenerationDiff
	must(a.t, http.StatusOK, http.MethodGet, a.path()+"/generations/"+query, nil, &d)
	return d
}

// helmRevisions are the statuses of a release's revisions in Helm's own history, the oldest first.
func helmRevisions(t *testing.T, cluster, name string) []string {
	t.Helper()
	var history []struct {
		Revision int
		Status   string
	}
	if err := json.Unmarshal([]byte(helm(t, cluster, name, "history", name, "--output", "json")), &history); err != nil {
		t.Fatal(err)
	}
	var revisions []string
	for _, h := range history {
		revisions = append(revisions, fmt.Sprintf("%d %s", h.Revision, h.Status))
	}
	return revisions
}

// Every generation is kept, two can be compared, and a rollback brings all targets back to one of them; the next update has a number of its own.
func TestHistoryAndRollback(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "history")
	first := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"message": "one", "replicaCount": 1}})
	was := a.target(clusterB).Desired.InputHash
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "two", "replicaCount": 1}, "valueOverrides": values{clusterB: values{"replicaCount": 2}}})
	third := a.put(openapi.RunStatusSucceeded, intent{"reuseValues": true, "values": values{"message": "three"}, "timeoutSeconds": 300})

	list := a.generations()
	if len(list) != 3 || list[0].Number != 3 || list[2].Number != 1 || !list[0].Current || list[2].Current {
		t.Fatalf("the generations are %+v", list)
	}
	if list[0].Run != third.ID || list[2].Run != first.ID || list[0].Result != openapi.RunStatusSucceeded || list[0].CreatorName == "" ||
		list[0].ChartDigest != list[2].ChartDigest || list[0].TimeoutSeconds != 300 {
		t.Errorf("the generations are %+v", list)
	}
	var second openapi.GenerationDetails
	must(t, http.StatusOK, http.MethodGet, a.path()+"/generations/2", nil, &second)
	if second.Values["message"] != "two" || second.ValueOverrides[clusterB]["replicaCount"] != 2.0 || second.Current {
		t.Errorf("generation 2 is %+v", second)
	}
	d := a.generationDiff("1/diff")
	wantValues := []openapi.ValueChange{{Path: "message", Op: openapi.ChangeOpChanged, Before: "one", After: "three"}}
	wantOverrides := map[string][]openapi.ValueChange{clusterB: {{Path: "replicaCount", Op: openapi.ChangeOpAdded, After: 2.0}}}
	if diff := cmp.Diff(wantValues, d.Values) + cmp.Diff(wantOverrides, d.ValueOverrides); diff != "" || d.Before.Number != 1 || d.After.Number != 3 {
		t.Errorf("from %d to %d (-want +got):\n%s", d.Before.Number, d.After.Number, diff)
	}
	if d = a.generationDiff("3/diff?to=2"); len(d.Values) != 1 || d.Values[0].After != "two" || len(d.ValueOverrides) != 0 {
		t.Errorf("from 3 to 2: %+v", d)
	}

	r := a.rollback(openapi.RunStatusSucceeded, 1)
	if r.Type != openapi.RunTypeRollback || r.Deployment.Generation != 1 {
		t.Errorf("the rollback is %s", describe(r))
	}
	for _, cluster := range []string{clusterA, clusterB} {
		if got := messageOf(t, cluster, a.name); got != "one" {
			t.Errorf("cluster %s says %q after the rollback", cluster, got)
		}
		wantReplicas(t, cluster, a.name, 1)
		want := []string{"1 superseded", "2 superseded", "3 superseded", "4 deployed"}
		if diff := cmp.Diff(want, helmRevisions(t, cluster, a.name)); diff != "" {
			t.Errorf("Helm's history on %s (-want +got):\n%s", cluster, diff)
		}
		if target := a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY); target.Stale || target.Desired.Generation != 1 {
			t.Errorf("target %+v", target)
		}
	}
	if now := a.target(clusterB).Desired.InputHash; now != was {
		t.Errorf("generation 1 has input %s now, and had %s", now, was)
	}
	if now := a.get(); now.Generation != 1 || now.NewestGeneration != 3 || now.Values["message"] != "one" {
		t.Errorf("the deployment is at generation %d of %d and says %v", now.Generation, now.NewestGeneration, now.Values["message"])
	}
	if list = a.generations(); len(list) != 3 || !list[2].Current || list[0].Current {
		t.Errorf("the generations are %+v", list)
	}
	wantRollbackRefused(t, a)

	again := a.put(openapi.RunStatusSucceeded, intent{"reuseValues": true, "values": values{"replicaCount": 2}})
	if again.Deployment.Generation != 4 {
		t.Errorf("the update after the rollback is generation %d", again.Deployment.Generation)
	}
	if now := a.get(); now.Generation != 4 || now.Values["message"] != "one" || len(now.ValueOverrides) != 0 {
		t.Errorf("generation %d has values %v and %v: not those of generation 1", now.Generation, now.Values, now.ValueOverrides)
	}
}

func wantRollbackRefused(t *testing.T, a app) {
	t.Helper()
	back, past := a.path()+"/rollback", a.path()+"/generations"
	for name, c := range map[string]refusal{
		"to where it is":           {method: http.MethodPost, path: back, body: intent{"generation": 1}, status: 409, code: "generation-current", field: "generation"},
		"to none":                  {method: http.MethodPost, path: back, body: intent{"generation": 9}, status: 404, code: "generation-not-found"},
		"to nothing":               {method: http.MethodPost, path: back, body: intent{}, status: 422, code: "missing-field", field: "generation"},
		"to a text":                {method: http.MethodPost, path: back, body: intent{"generation": "1"}, status: 422, code: "wrong-type", field: "generation"},
		"to zero":                  {method: http.MethodPost, path: back, body: intent{"generation": 0}, status: 404, code: "generation-not-found"},
		"with more":                {method: http.MethodPost, path: back, body: intent{"generation": 1, "force": true}, status: 422, code: "unknown-field", field: "force"},
		"no such generation":       {method: http.MethodGet, path: past + "/9", status: 404, code: "generation-not-found"},
		"generation zero":          {method: http.MethodGet, path: past + "/0", status: 404, code: "generation-not-found"},
		"a generation of a name":   {method: http.MethodGet, path: past + "/first", status: 422, code: "invalid-parameter", field: "generation"},
		"compared with none":       {method: http.MethodGet, path: past + "/1/diff?to=9", status: 404, code: "generation-not-found"},
		"compared with zero":       {method: http.MethodGet, path: past + "/1/diff?to=0", status: 422, code: "invalid-parameter", field: "to"},
		"a cursor of another list": {method: http.MethodGet, path: past + "?cursor=eA", status: 400, code: "cursor-invalid", field: "cursor"},
	} {
		t.Run(name, func(t *testing.T) { c.wantRefused(t) })
	}
}

// A rollback overtakes a deploy that is under way: that one ends as superseded, and no target keeps what it brought.
func TestRollbackOvertakesADeploy(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "overtake")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "values": values{"message": "good"}})
	deploy := a.update(intent{"values": values{"message": "bad", "neverReady": true}, "timeoutSeconds": 600}).Run
	err := poll(t.Context(), time.Minute, func() (bool, error) {
		r := getRun(t, deploy)
		return len(r.Targets) == 2 && !slices.ContainsFunc(r.Targets, func(t openapi.RunTarget) bool { return t.Status != openapi.RunTargetStatusVerifying }), nil
	})
	if err != nil {
		t.Fatalf("the deploy does not come to wait for its pods: %v", err)
	}
	if got := do(t, http.MethodPost, "/runs/"+deploy+"/redrive", nil); got.status != http.StatusConflict || got.problem.Code != "run-not-done" {
		t.Errorf("a redrive of a run that is under way: answered %d %s", got.status, got.raw)
	}

	a.rollback(openapi.RunStatusSucceeded, 1)
	overtaken := ended(t, deploy, openapi.RunStatusSuperseded)
	for _, cluster := range []string{clusterA, clusterB} {
		wantOutcome(t, overtaken, cluster, openapi.RunTargetStatusSuperseded, "superseded", "", false)
		if got := messageOf(t, cluster, a.name); got != "good" {
			t.Errorf("cluster %s says %q after the rollback", cluster, got)
		}
		a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
		if got := helmRevisions(t, cluster, a.name); len(got) != 3 || got[2] != "3 deployed" {
			t.Errorf("Helm's history on %s is %v", cluster, got)
		}
	}
	if got := do(t, http.MethodPost, "/runs/"+deploy+"/redrive", nil); got.status != http.StatusConflict || got.problem.Code != "nothing-to-redrive" {
		t.Errorf("a redrive of a run that was overtaken: answered %d %s", got.status, got.raw)
	}
	var list openapi.RunList
	must(t, http.StatusOK, http.MethodGet, "/runs?deploymentId="+a.get().ID, nil, &list)
	for _, r := range list.Items {
		if !over(r.Status) {
			t.Errorf("run %s is left %s", r.ID, r.Status)
		}
	}
	if len(list.Items) != 3 {
		t.Errorf("%d runs are on record, want 3", len(list.Items))
	}
}

// A redrive takes up the targets that failed, and touches no other.
func TestRedrive(t *testing.T) {
	t.Parallel()
	good, bad := newInMemory(t), newInMemory(t)
	a := newApp(t, newGroup(t, good.id, bad.id), "redrive")
	bad.breakDown()
	r := a.deploy(openapi.RunStatusPartial, intent{"name": pushDemo(t), "values": values{"message": "one"}})
	wantOutcome(t, r, bad.name, openapi.RunTargetStatusUnreachable, "cluster-unreachable", "", false)
	bad.mend()
	good.ResetRequests()

	var again openapi.Run
	answered := must(t, http.StatusAccepted, http.MethodPost, "/runs/"+r.ID+"/redrive", nil, &again)
	if again.RedriveOf != r.ID || !slices.Equal(again.Only, []string{bad.id}) || again.Type != openapi.RunTypeDeploy ||
		answered.header.Get("Location") != orgPath+"/runs/"+again.ID {
		t.Errorf("the redrive is %s", answered.raw)
	}
	redriven := ended(t, again.ID, openapi.RunStatusSucceeded)
	if len(redriven.Targets) != 1 || redriven.RedriveOf != r.ID || !slices.Equal(redriven.Only, []string{bad.id}) {
		t.Errorf("the redrive took up %s", describe(redriven))
	}
	wantOutcome(t, redriven, bad.name, openapi.RunTargetStatusSucceeded, "", "", false)
	a.wantTarget(bad.name, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	for _, request := range good.Requests() {
		if strings.Contains("create update patch delete", request.Verb) {
			t.Errorf("the target that had succeeded was written to: %+v", request)
		}
	}
	if got := do(t, http.MethodPost, "/runs/"+again.ID+"/redrive", nil); got.status != http.StatusConflict || got.problem.Code != "nothing-to-redrive" {
		t.Errorf("a redrive of a run that succeeded: answered %d %s", got.status, got.raw)
	}
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"message": "two"}})
	if got := do(t, http.MethodPost, "/runs/"+r.ID+"/redrive", nil); got.status != http.StatusConflict || got.problem.Code != "run-superseded" {
		t.Errorf("a redrive of an older generation: answered %d %s", got.status, got.raw)
	}
	out, code := cli(t, "rollback", a.name, "1", "--group", a.groupName(), "--wait")
	if code != 0 || !strings.Contains(out, "Succeeded (2 succeeded)") {
		t.Errorf("swell rollback: %d\n%s", code, out)
	}
	out, code = cli(t, "history", a.name, "--group", a.groupName())
	if code != 0 || !strings.Contains(out, "1 (current)") || !strings.Contains(out, "1 (rollback from 2)") {
		t.Errorf("swell history: %d\n%s", code, out)
	}
	removal := a.remove(openapi.RunStatusSucceeded)
	if got := do(t, http.MethodPost, "/runs/"+removal.ID+"/redrive", nil); got.status != http.StatusConflict || got.problem.Code != "nothing-to-redrive" {
		t.Errorf("a redrive of a removal that succeeded: answered %d %s", got.status, got.raw)
	}
	if got := do(t, http.MethodPost, "/runs/"+r.ID+"/redrive", nil); got.status != http.StatusNotFound || got.problem.Code != "deployment-not-found" {
		t.Errorf("a redrive of a deployment that is gone: answered %d %s", got.status, got.raw)
	}
	if got := do(t, http.MethodPost, "/runs/none/redrive", nil); got.status != http.StatusNotFound || got.problem.Code != "run-not-found" {
		t.Errorf("a redrive of no run: answered %d %s", got.status, got.raw)
	}
}

// groupName is the name of the app's group: the command line names groups so.
func (a app) groupName() string {
	a.t.Helper()
	var g openapi.ClusterGroup
	must(a.t, http.StatusOK, http.MethodGet, "/clustergroups/"+a.group, nil, &g)
	return g.Name
}
