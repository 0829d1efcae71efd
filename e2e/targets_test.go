//go:build stack

package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
)

// labeled is a cluster in memory whose label env no other test has.
func labeled(t *testing.T, env string) inMemory {
	t.Helper()
	c := newInMemory(t)
	relabel(t, c, env, "")
	return c
}

func relabel(t *testing.T, c inMemory, env, query string) {
	t.Helper()
	label := any(env)
	if env == "" {
		label = nil
	}
	must(t, http.StatusOK, http.MethodPatch, "/clusters/"+c.id+query, values{"labels": values{"env": label}}, nil)
}

func selecting(t *testing.T, env string, more values) string {
	t.Helper()
	var g openapi.ClusterGroup
	must(t, http.StatusCreated, http.MethodPost, "/clustergroups", selectorOf(env, more), &g)
	t.Cleanup(func() {
		if err := swell.forgetGroup(context.WithoutCancel(t.Context()), g.ID); err != nil {
			t.Errorf("forgetting group %s: %v", g.Name, err)
		}
	})
	return g.ID
}

func selectorOf(env string, more values) values {
	request := values{"name": unique("selects"), "selector": values{"matchLabels": values{"env": env}}}
	for k, v := range more {
		request[k] = v
	}
	return request
}

func putGroup(t *testing.T, group string, request values) []string {
	t.Helper()
	var accepted openapi.ClusterGroupAccepted
	must(t, http.StatusAccepted, http.MethodPut, "/clustergroups/"+group, request, &accepted)
	return accepted.Runs
}

// review is what the tick does once the labels were left alone for a minute.
func review(t *testing.T, group string) {
	t.Helper()
	if err := tableOf(t).RequestReview(t.Context(), "default", group, time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	invoke(t, "StartDueWork", values{})
}

// newRun waits for a run of the deployment other than that one, and for its end.
func (a app) newRun(not string, want openapi.RunStatus) openapi.RunDetails {
	a.t.Helper()
	var id string
	if err := poll(a.t.Context(), 30*time.Second, func() (bool, error) {
		id = a.get().LastRun
		return id != not, nil
	}); err != nil {
		a.t.Fatalf("no run after %s: %v", not, err)
	}
	return ended(a.t, id, want)
}

func (a app) syncConfirmed() openapi.RunDetails {
	a.t.Helper()
	return a.act(openapi.RunStatusSucceeded, http.MethodPut, "/sync?confirmRemovals=true")
}

func targetsOf(r openapi.RunDetails) []string {
	names := []string{}
	for _, target := range r.Targets {
		names = append(names, target.ClusterName)
	}
	slices.Sort(names)
	return names
}

func wantTargets(t *testing.T, r openapi.RunDetails, typ openapi.RunType, clusters ...inMemory) {
	t.Helper()
	want := []string{}
	for _, c := range clusters {
		want = append(want, c.name)
	}
	slices.Sort(want)
	if got := targetsOf(r); r.Type != typ || !slices.Equal(got, want) {
		t.Errorf("got %s on %v, want a %s run on %v", describe(r), got, typ, want)
	}
}

// Who has the labels is a member, found anew by every run. A cluster that loses them loses the releases, once its labels were left alone.
func TestGroupBySelector(t *testing.T) {
	t.Parallel()
	env := unique("env")
	one, two, three := labeled(t, env), labeled(t, env), newInMemory(t)
	group := selecting(t, env, nil)
	a := newApp(t, group, "select")
	demo := pushDemo(t)
	wantTargets(t, a.deploy(openapi.RunStatusSucceeded, intent{"name": demo}), openapi.RunTypeDeploy, one, two)

	relabel(t, three, env, "")
	var g openapi.ClusterGroup
	must(t, http.StatusOK, http.MethodGet, "/clustergroups/"+group, nil, &g)
	if len(g.Members) != 3 || g.Selector.MatchLabels["env"] != env {
		t.Errorf("the group is %+v", g)
	}
	if three.Len("deployments") != 0 {
		t.Error("a cluster that joined got the deployment before its update")
	}
	deployed := a.put(openapi.RunStatusSucceeded, intent{"values": values{"replicaCount": 2}})
	wantTargets(t, deployed, openapi.RunTypeDeploy, one, two, three)

	relabel(t, two, "", "")
	if got := a.get().LastRun; got != deployed.ID {
		t.Errorf("run %s was started before the labels were left alone", got)
	}
	review(t, group)
	left := a.newRun(deployed.ID, openapi.RunStatusSucceeded)
	wantTargets(t, left, openapi.RunTypeLeave, two)
	if left.Trigger != openapi.RunTriggerReconcile || left.ConfirmRemovals || two.Len("deployments") != 0 || one.Len("deployments") != 1 {
		t.Errorf("after the cluster left: %s; it has %d Deployments, another has %d", describe(left), two.Len("deployments"), one.Len("deployments"))
	}
	review(t, group)
	if got := a.get().LastRun; got != left.ID {
		t.Errorf("run %s was started although all was as it should be", got)
	}

	// two deployments of different groups, one name, one cluster
	other := selecting(t, env, nil)
	claimed := do(t, http.MethodPost, "/clustergroups/"+other+"/deployments", intent{"name": demo, "releaseName": a.name, "namespace": a.name})
	if claimed.status != http.StatusConflict || claimed.problem.Code != "release-claimed" {
		t.Errorf("a name that another group's deployment has: answered %d %s", claimed.status, claimed.raw)
	}
}

// An emptied group, a selector that matches nothing and a mass relabel all stop before anything is removed. One flag passes, and is kept.
func TestRemovalGuard(t *testing.T) {
	t.Parallel()
	env := unique("env")
	one, two := labeled(t, env), labeled(t, env)
	group := selecting(t, env, nil)
	a := newApp(t, group, "guard")
	last := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	there := func(what string) {
		t.Helper()
		if one.Len("deployments")+two.Len("deployments") != 2 {
			t.Fatalf("%s: the clusters have %d and %d Deployments", what, one.Len("deployments"), two.Len("deployments"))
		}
	}

	for what, body := range map[string]values{
		"emptied": {"name": unique("guard"), "members": []string{}}, "a selector that matches nothing": selectorOf(unique("nobody"), nil),
	} {
		got := refusal{method: http.MethodPut, path: "/clustergroups/" + group, body: body, status: 409, code: "removal-guard"}.wantRefused(t)
		if p := got.problem; !strings.Contains(p.Detail, a.name) || !strings.Contains(p.Detail, "2 of its 2") || !strings.Contains(p.Remedy, "confirmRemovals=true") {
			t.Errorf("%s: %+v", what, p)
		}
		var g openapi.ClusterGroup
		must(t, http.StatusOK, http.MethodGet, "/clustergroups/"+group, nil, &g)
		if len(g.Members) != 2 {
			t.Errorf("%s: the group has %d members", what, len(g.Members))
		}
	}
	there("refused changes")

	relabel(t, one, "", "")
	relabel(t, two, "", "")
	review(t, group)
	stopped := a.newRun(last.ID, openapi.RunStatusFailed)
	if stopped.Code != "removal-guard" || !strings.Contains(stopped.Cause, "2 of its 2") || stopped.Type != openapi.RunTypeLeave {
		t.Errorf("the mass relabel ended as %s", describe(stopped))
	}
	wantTargets(t, stopped, openapi.RunTypeLeave, one, two)
	review(t, group)
	if got := a.get().LastRun; got != stopped.ID {
		t.Errorf("reconcile asked again by run %s", got)
	}
	if r := a.sync(openapi.RunStatusFailed); r.Code != "removal-guard" {
		t.Errorf("a sync ended as %s", describe(r))
	}
	there("runs that stopped")

	confirmed := a.syncConfirmed()
	if !confirmed.ConfirmRemovals || one.Len("deployments")+two.Len("deployments") != 0 {
		t.Errorf("the confirmed sync is %s; the clusters have %d and %d Deployments", describe(confirmed), one.Len("deployments"), two.Len("deployments"))
	}
}

// A limit of the deployment's own, and the flag on a change of labels: one cluster is removed, and nothing of the others.
func TestRemovalLimit(t *testing.T) {
	t.Parallel()
	env := unique("env")
	one, two := labeled(t, env), labeled(t, env)
	group := selecting(t, env, nil)
	a := newApp(t, group, "limit")
	last := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "removalLimitPercent": 10})
	if got := a.get().RemovalLimitPercent; got != 10 {
		t.Errorf("the limit is %d", got)
	}
	relabel(t, one, "", "")
	review(t, group)
	stopped := a.newRun(last.ID, openapi.RunStatusFailed)
	if stopped.Code != "removal-guard" || one.Len("deployments") != 1 {
		t.Fatalf("one of two at a limit of 10 %%: %s, %d Deployments", describe(stopped), one.Len("deployments"))
	}
	relabel(t, one, env, "")
	relabel(t, one, "", "?confirmRemovals=true")
	r := a.newRun(stopped.ID, openapi.RunStatusSucceeded)
	wantTargets(t, r, openapi.RunTypeLeave, one)
	if !r.ConfirmRemovals || one.Len("deployments") != 0 || two.Len("deployments") != 1 {
		t.Errorf("confirmed: %s; %d and %d Deployments", describe(r), one.Len("deployments"), two.Len("deployments"))
	}
}

// A cluster that joins gets at once what installs on joining, whether by name, by a label or by its import.
func TestInstallOnJoin(t *testing.T) {
	t.Parallel()
	first, second := newInMemory(t), newInMemory(t)
	named := newGroup(t, first.id)
	a := newApp(t, named, "join")
	demo := pushDemo(t)
	last := a.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "installOnJoin": true})
	runs := putGroup(t, named, values{"name": unique("join"), "members": []string{first.id, second.id}})
	if len(runs) != 1 {
		t.Fatalf("the change started runs %v", runs)
	}
	r := ended(t, runs[0], openapi.RunStatusSucceeded)
	wantTargets(t, r, openapi.RunTypeJoin, second)
	if got := second.Len("deployments"); got != 1 || r.Deployment.Generation != last.Deployment.Generation {
		t.Errorf("after the join: %d Deployments, generation %d", got, r.Deployment.Generation)
	}
	a.wantTarget(second.name, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)

	env := unique("env")
	group := selecting(t, env, nil)
	b := newApp(t, group, "label")
	empty := b.deploy(openapi.RunStatusSucceeded, intent{"name": demo, "installOnJoin": true})
	relabel(t, first, env, "")
	joined := b.newRun(empty.ID, openapi.RunStatusSucceeded)
	wantTargets(t, joined, openapi.RunTypeJoin, first)

	third := inMemory{Server: kubetest.New(t, kubetest.Options{}), name: unique("mem")}
	var imported openapi.Cluster
	must(t, http.StatusCreated, http.MethodPost, "/clusters", values{"name": third.name, "kubeconfig": string(third.Kubeconfig()), "labels": values{"env": env}, "relay": values{"enabled": false}}, &imported)
	t.Cleanup(func() {
		_, _ = swell.send(context.WithoutCancel(t.Context()), http.MethodDelete, "/clusters/"+imported.ID+"?force=true", nil)
	})
	review(t, group)
	found := b.newRun(joined.ID, openapi.RunStatusSucceeded)
	wantTargets(t, found, openapi.RunTypeJoin, third)
	if found.Trigger != openapi.RunTriggerReconcile || third.Len("deployments") != 1 {
		t.Errorf("found by %s, %d Deployments", found.Trigger, third.Len("deployments"))
	}
}

// A window holds back what reconcile would do by itself, never a person.
func TestWindowsHoldReconcileBack(t *testing.T) {
	t.Parallel()
	env := unique("env")
	one, two := labeled(t, env), labeled(t, env)
	labeled(t, env) // stays as it is: or what leaves would be all that the deployment has, and the guard would stop it
	closed := values{"reconcile": values{"intervalSeconds": 60, "windows": []values{{"effect": "deny"}}}}
	group := selecting(t, env, closed)
	a := newApp(t, group, "window")
	last := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t), "mode": "correct"})

	relabel(t, two, "", "")
	review(t, group)
	var next time.Time
	if err := poll(t.Context(), 30*time.Second, func() (bool, error) { // it may be another's tick that reviews the group
		soon, err := tableOf(t).FindCluster(t.Context(), "default", one.id)
		next = soon.NextCheckAt
		return next.Before(time.Now().Add(2 * time.Minute)), err
	}); err != nil {
		t.Errorf("the group asks for a look every minute, and the next is at %s: %v", next, err)
	}
	one.Remove("secrets", a.name, "sh.helm.release.v1."+a.name+".v1")
	check := func() {
		t.Helper()
		answer := invoke(t, "CheckCluster", values{"Records": []values{{"messageId": "1", "eventSource": "aws:sqs", "body": `{"org":"default","cluster":"` + one.id + `"}`}}})
		if strings.Contains(answer, "itemIdentifier") {
			t.Fatalf("the check failed: %s", answer)
		}
	}
	check()
	if got := a.get().LastRun; got != last.ID {
		t.Fatalf("reconcile started run %s while its window was closed", got)
	}
	if got := a.target(one.name).Status; got != openapi.TargetStatusNOTINSTALLED {
		t.Errorf("what is held back is shown as %s", got)
	}
	if two.Len("deployments") != 1 {
		t.Error("reconcile removed a release while its window was closed")
	}

	request := selectorOf(env, values{"reconcile": values{"intervalSeconds": 60}})
	runs := putGroup(t, group, request)
	if len(runs) != 1 {
		t.Fatalf("a person's change started runs %v, want the removal", runs)
	}
	left := ended(t, runs[0], openapi.RunStatusSucceeded)
	wantTargets(t, left, openapi.RunTypeLeave, two)
	check()
	corrected := a.newRun(left.ID, openapi.RunStatusSucceeded)
	wantTargets(t, corrected, openapi.RunTypeSync, one)
}

// A dead cluster is forgotten with what is on it, and the answer names that. Without force nothing is.
func TestDeadClusterIsForgotten(t *testing.T) {
	t.Parallel()
	alive, dead := newInMemory(t), newInMemory(t)
	group := newGroup(t, alive.id, dead.id)
	a := newApp(t, group, "dead")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	dead.breakDown()
	refusal{method: http.MethodDelete, path: "/clusters/" + dead.id, status: 409, code: "cluster-is-member"}.wantRefused(t)
	var forgotten openapi.ClusterForgotten
	must(t, http.StatusOK, http.MethodDelete, "/clusters/"+dead.id+"?force=true", nil, &forgotten)
	if len(forgotten.LeftBehind) != 1 || forgotten.LeftBehind[0].ReleaseName != a.name || forgotten.Name != dead.name {
		t.Errorf("forgotten: %+v", forgotten)
	}
	refusal{method: http.MethodGet, path: "/clusters/" + dead.id, status: 404, code: "cluster-not-found"}.wantRefused(t)
	var g openapi.ClusterGroup
	must(t, http.StatusOK, http.MethodGet, "/clustergroups/"+group, nil, &g)
	if len(g.Members) != 1 || len(a.get().TargetClusters) != 1 {
		t.Errorf("the group has %d members, the deployment %d targets", len(g.Members), len(a.get().TargetClusters))
	}
	a.remove(openapi.RunStatusSucceeded) // nothing of the dead one holds it up
}

// Without force a deployment stays on record until every target is clean; with it, what was left behind is named.
func TestForcedRemovalSaysWhatItLeft(t *testing.T) {
	t.Parallel()
	alive, dead := newInMemory(t), newInMemory(t)
	a := newApp(t, newGroup(t, alive.id, dead.id), "force")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	dead.breakDown()
	r := a.remove(openapi.RunStatusPartial)
	wantOutcome(t, r, dead.name, openapi.RunTargetStatusFailed, "cluster-unreachable", "", true)
	if a.get().ReleaseName != a.name {
		t.Error("the deployment is forgotten although a target is not clean")
	}
	r = a.act(openapi.RunStatusPartial, http.MethodDelete, "?force=true") // of the one target that is left
	if target := targetOf(t, r, dead.name); !target.LeftBehind {
		t.Errorf("what was left behind is not named: %+v", target)
	}
	refusal{method: http.MethodGet, path: a.path(), status: 404, code: "deployment-not-found"}.wantRefused(t)
}

func TestBadTargets(t *testing.T) {
	t.Parallel()
	c := newInMemory(t)
	group := func(more values) values {
		request := selectorOf("x", nil)
		for k, v := range more {
			request[k] = v
		}
		return request
	}
	window := func(w values) values {
		return group(values{"reconcile": values{"windows": []values{w}}})
	}
	groups, patch := "/clustergroups", "/clusters/"+c.id
	cases := map[string]refusal{
		"members and selector":   {method: http.MethodPost, path: groups, body: group(values{"members": []string{c.id}}), status: 422, code: "members-and-selector", field: "selector"},
		"empty selector":         {method: http.MethodPost, path: groups, body: group(values{"selector": values{}}), status: 422, code: "selector-empty", field: "selector"},
		"operator":               {method: http.MethodPost, path: groups, body: group(values{"selector": values{"matchExpressions": []values{{"key": "a", "operator": "Gt"}}}}), status: 422, code: "invalid-value", field: "selector.matchExpressions[0].operator"},
		"operator without value": {method: http.MethodPost, path: groups, body: group(values{"selector": values{"matchExpressions": []values{{"key": "a", "operator": "In"}}}}), status: 422, code: "selector-invalid", field: "selector.matchExpressions[0].values"},
		"interval":               {method: http.MethodPost, path: groups, body: group(values{"reconcile": values{"intervalSeconds": 5}}), status: 422, code: "interval-invalid", field: "reconcile.intervalSeconds"},
		"effect":                 {method: http.MethodPost, path: groups, body: window(values{"effect": "maybe"}), status: 422, code: "invalid-value", field: "reconcile.windows[0].effect"},
		"day":                    {method: http.MethodPost, path: groups, body: window(values{"effect": "deny", "days": []string{"Friday"}}), status: 422, code: "invalid-value", field: "reconcile.windows[0].days[0]"},
		"hour":                   {method: http.MethodPost, path: groups, body: window(values{"effect": "deny", "from": "26:00"}), status: 422, code: "window-invalid", field: "reconcile.windows[0].from"},
		"time zone":              {method: http.MethodPost, path: groups, body: window(values{"effect": "deny", "timeZone": "Mars/Olympus"}), status: 422, code: "time-zone-unknown", field: "reconcile.windows[0].timeZone"},
		"unknown field":          {method: http.MethodPost, path: groups, body: window(values{"effect": "deny", "cron": "* * * * *"}), status: 422, code: "unknown-field", field: "reconcile.windows[0].cron"},
		"label":                  {method: http.MethodPatch, path: patch, body: values{"labels": values{"a b": "c"}}, status: 422, code: "label-invalid", field: "labels.a b"},
		"label that is no text":  {method: http.MethodPatch, path: patch, body: values{"labels": values{"a": 1}}, status: 422, code: "wrong-type", field: "labels.a"},
		"name":                   {method: http.MethodPatch, path: patch, body: values{"name": "other"}, status: 422, code: "unknown-field", field: "name"},
		"no such cluster":        {method: http.MethodPatch, path: "/clusters/none", body: values{}, status: 404, code: "cluster-not-found"},
		"flag":                   {method: http.MethodPatch, path: patch + "?confirmRemovals=perhaps", body: values{}, status: 422, code: "invalid-parameter", field: "confirmRemovals"},
		"removal limit":          {method: http.MethodPost, path: "/clustergroups/" + swell.group + "/deployments", body: intent{"name": pushDemo(t), "removalLimitPercent": 101}, status: 422, code: "removal-limit-invalid", field: "removalLimitPercent"},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}
