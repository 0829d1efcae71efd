//go:build stack

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// drifts gives the deployment web a release in sync on c1, with an object that differs.
func (s scene) drifts(t *testing.T) release.Key {
	t.Helper()
	ctx := t.Context()
	key, owner := release.Key{Org: "default", ClusterID: "c1", Namespace: "default", Name: "web"}, release.OwnedByDeployment("dweb")
	must(t, s.store.ClaimRelease(ctx, key, owner))
	must(t, s.store.SetDesired(ctx, key, owner, release.Desired{Generation: 1, InputHash: "h"}))
	_, err := s.store.SetObserved(ctx, key, release.Observed{Revision: 1, LabelRevision: 1, Status: "deployed", InputHash: "h", OwnerLabel: release.OwnerLabel(owner)}, nil)
	must(t, err)
	ref, err := s.values.PutFindings(ctx, "default", nil, "")
	must(t, err)
	_, err = s.store.SetDrift(ctx, key, release.Drift{Revision: 1, Objects: 1, Fields: 1, Ref: ref, At: time.Now()}, nil)
	must(t, err)
	must(t, s.store.SetHealth(ctx, key, release.Unhealthy, "it does not run", time.Now()))
	return key
}

// What the last look could not tell is said wherever drift is shown, and what a window holds back is, too.
func TestDriftSaysWhatIsNotKnownAndWhatIsHeldBack(t *testing.T) {
	s := newScene(t)
	key := s.drifts(t)
	const path = "/clustergroups/g/deployments/web"
	if status, code := s.ask(t, http.MethodPatch, path, `{"mode":"correct"}`, nil); status != http.StatusOK {
		t.Fatal(status, code)
	}
	g, err := s.store.FindGroup(t.Context(), "default", "g")
	must(t, err)
	g.Reconcile.Windows = []group.Window{{Deny: true}}
	_, err = s.store.UpdateGroup(t.Context(), g, g.Version)
	must(t, err)
	shows := func(held bool, code string) {
		t.Helper()
		var report openapi.DriftReport
		s.ask(t, http.MethodGet, path+"/drift", "", &report)
		var d openapi.Deployment
		s.ask(t, http.MethodGet, path, "", &d)
		if len(report.Targets) == 0 || len(d.TargetClusters) == 0 {
			t.Fatal("no targets are shown")
		}
		for where, got := range map[string]openapi.TargetCluster{"status": d.TargetClusters[0], "drift": {CheckError: report.Targets[0].CheckError, HeldBack: report.Targets[0].HeldBack}} {
			if got.CheckError.Code != code || (got.HeldBack.By == "window") != held {
				t.Errorf("%s shows %+v and %+v", where, got.CheckError, got.HeldBack)
			}
		}
	}
	shows(true, "")
	found := &release.CheckError{Code: "cluster-unauthorized", Cause: "forbidden", Since: time.Now()}
	for range 2 { // the same again tells nothing
		_, err = s.store.SetCheckError(t.Context(), key, found, nil)
		must(t, err)
	}
	shows(false, "cluster-unauthorized")
	wrote, err := s.store.SetCheckError(t.Context(), key, found, found)
	if wrote || err != nil {
		t.Errorf("the same was written: %t, %v", wrote, err)
	}
	_, err = s.store.SetCheckError(t.Context(), key, nil, found)
	must(t, err)
	shows(true, "")
}

func TestListsCountHealth(t *testing.T) {
	s := newScene(t)
	s.drifts(t)
	var list openapi.DeploymentList
	if status, code := s.ask(t, http.MethodGet, "/clustergroups/g/deployments?health=true", "", &list); status != http.StatusOK {
		t.Fatal(status, code)
	}
	got := map[string]openapi.HealthCounts{}
	for _, d := range list.Items {
		got[d.ReleaseName] = d.Health
	}
	want := map[string]openapi.HealthCounts{"web": {Targets: 2, Unhealthy: 1, Unknown: 1}, "api": {Targets: 2, Unknown: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A change of labels says which releases come and go because of it; a dry one changes nothing.
func TestLabelsSayWhatMoves(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	for name, tier := range map[string]string{"edge": "edge", "core": "core"} {
		g, err := s.store.CreateGroup(ctx, group.Group{Org: "default", ID: name, Name: name, Selector: &cluster.Selector{MatchLabels: map[string]string{"tier": tier}}})
		must(t, err)
		d := deployment.Deployment{Org: "default", ID: "d" + name, GroupID: g.ID, ReleaseName: "on-" + name, Namespace: "default", InstallOnJoin: true}
		_, _, err = s.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, Run: run.New("r"+name, run.Deploy, "default", "api", "ann", time.Now()),
			Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: 1}})
		must(t, err)
	}
	key := release.Key{Org: "default", ClusterID: "c1", Namespace: "default", Name: "on-edge"}
	must(t, s.store.ClaimRelease(ctx, key, release.OwnedByDeployment("dedge")))
	want := []openapi.ReleaseMove{
		{Move: openapi.ReleaseMoveMoveInstall, ClusterGroup: "core", ReleaseName: "on-core", Namespace: "default"},
		{Move: openapi.ReleaseMoveMoveRemove, ClusterGroup: "edge", ReleaseName: "on-edge", Namespace: "default"},
	}
	for _, c := range []struct{ query, tier string }{{"?dryRun=true", "edge"}, {"", "core"}} {
		var doc openapi.Cluster
		if status, code := s.ask(t, http.MethodPatch, "/clusters/c1"+c.query, `{"labels":{"tier":"core"}}`, &doc); status != http.StatusOK {
			t.Fatal(status, code)
		}
		if diff := cmp.Diff(want, doc.Moves); diff != "" || doc.Labels["tier"] != "core" {
			t.Errorf("%q answers %v (-want +got):\n%s", c.query, doc.Labels, diff)
		}
		kept, err := s.store.FindCluster(ctx, "default", "c1")
		must(t, err)
		if kept.Labels["tier"] != c.tier {
			t.Errorf("after %q the cluster has %v", c.query, kept.Labels)
		}
	}
}

// A generation shows its newest run, and the rollbacks to it.
func TestHistoryShowsRollbacks(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	d, err := s.store.FindDeployment(ctx, "default", "dweb")
	must(t, err)
	d, _, err = s.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, ExpectedVersion: d.Version, Run: run.New("r7", run.Deploy, "default", "api", "ann", time.Now()),
		Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: 2, RunID: "r7"}})
	must(t, err)
	const path = "/clustergroups/g/deployments/web"
	if status, code := s.ask(t, http.MethodPost, path+"/rollback", `{"generation":1}`, nil); status != http.StatusAccepted {
		t.Fatal(status, code)
	}
	var list openapi.GenerationList
	if status, code := s.ask(t, http.MethodGet, path+"/generations", "", &list); status != http.StatusOK || len(list.Items) != 2 {
		t.Fatal(status, code, list)
	}
	second, first := list.Items[0], list.Items[1]
	if second.LastRun.ID != "r7" || len(second.Rollbacks) != 0 {
		t.Errorf("generation 2 is %+v", second)
	}
	if len(first.Rollbacks) != 1 || first.Rollbacks[0].From != 2 || first.Rollbacks[0].Actor != "ann" || first.LastRun.ID != first.Rollbacks[0].ID {
		t.Errorf("generation 1 is %+v", first)
	}
}

// What is marked as secret after a plan was made is masked where the plan is read.
func TestPlansAreMaskedByWhatIsSecretNow(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	d, err := s.store.FindDeployment(ctx, "default", "dweb")
	must(t, err)
	before, _, err := s.values.PutValues(ctx, "default", deployment.Values{Common: map[string]any{"auth": map[string]any{"password": "hunter2"}}})
	must(t, err)
	marked := deployment.Generation{Org: "default", DeploymentID: d.ID, Number: 2, ValuesRef: before, SecretPaths: []string{"auth.password"}}
	d, _, err = s.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, ExpectedVersion: d.Version, Run: run.New("r7", run.Deploy, "default", "api", "ann", time.Now()), Generation: marked})
	must(t, err)
	planned, _, err := s.values.PutValues(ctx, "default", map[string]any{"auth": map[string]any{"password": "hunter3"}})
	must(t, err)
	raw, err := json.Marshal([]diff.Object{{Kind: "ConfigMap", Name: "web", Action: diff.Update, Changes: []diff.Change{
		{Path: diff.Path{}.Field("data"), Op: diff.Changed, Before: "user:hunter2", After: "user:hunter3"}}}})
	must(t, err)
	ref, err := s.values.PutManifest(ctx, "default", raw)
	must(t, err)
	draft := deployment.Draft{Deployment: d, ExpectedVersion: d.Version, Generation: deployment.Generation{Org: "default", DeploymentID: d.ID, Number: 3, Before: 2}}
	r, err := s.store.AdmitPlan(ctx, draft, run.New("rplan", run.Plan, "default", "api", "ann", time.Now()))
	must(t, err)
	must(t, s.store.PutTargets(ctx, r, []run.Target{{ClusterID: "c1", ClusterName: "one", Status: run.TargetSucceeded, Diff: &run.Diff{Ref: ref, Changed: 1}}}))
	must(t, s.store.PutShownPlan(ctx, deployment.Plan{Hash: "hash", RunID: r.ID, Draft: draft, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)},
		[]release.PlanEntry{{PlanHash: "hash", ClusterID: "c1", ClusterName: "one", Key: release.Key{Org: "default", ClusterID: "c1", Namespace: "default", Name: "web"}, ValuesRef: planned}}))
	var page openapi.PlanTargetDetails
	if status, code := s.ask(t, http.MethodGet, "/plans/hash/targets/c1", "", &page); status != http.StatusOK || len(page.Objects) != 1 {
		t.Fatal(status, code, page)
	}
	shown, err := json.Marshal(page.Objects)
	must(t, err)
	if strings.Contains(string(shown), "hunter") || !strings.Contains(string(shown), "user:[masked]") {
		t.Errorf("it shows %s", shown)
	}
}
