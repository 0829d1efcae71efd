package openapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/release"
)

// drifted is a release in sync of generation 1, one of whose objects differs.
func drifted() release.Release {
	owner := release.OwnedByDeployment("d")
	return release.Release{Key: release.Key{ClusterID: "c"}, Owner: owner, Desired: &release.Desired{Generation: 1, InputHash: "h"},
		Observed: &release.Observed{Revision: 1, LabelRevision: 1, Status: "deployed", InputHash: "h", OwnerLabel: release.OwnerLabel(owner)},
		Drift:    &release.Drift{Revision: 1, Objects: 1}}
}

func TestHeldBack(t *testing.T) {
	now := time.Date(2026, 6, 5, 12, 0, 0, 0, time.UTC)
	morning := group.Reconcile{Windows: []group.Window{{Deny: true, From: "06:00", To: "18:00"}}}
	correct := deployment.Deployment{Generation: 1, Mode: deployment.Correct}
	cases := map[string]struct {
		change   func(*deployment.Deployment, *release.Release)
		schedule group.Reconcile
		want     openapi.HeldBack
	}{
		"a window is closed":  {func(*deployment.Deployment, *release.Release) {}, morning, openapi.HeldBack{By: "window", Until: now.Add(6 * time.Hour)}},
		"it never opens":      {func(*deployment.Deployment, *release.Release) {}, group.Reconcile{Windows: []group.Window{{Deny: true}}}, openapi.HeldBack{By: "window"}},
		"there is no window":  {func(*deployment.Deployment, *release.Release) {}, group.Reconcile{}, openapi.HeldBack{}},
		"nothing differs":     {func(_ *deployment.Deployment, r *release.Release) { r.Drift = nil }, morning, openapi.HeldBack{}},
		"it is only detected": {func(d *deployment.Deployment, _ *release.Release) { d.Mode = deployment.Detect }, morning, openapi.HeldBack{}},
		"it missed a run, whatever the mode": {func(d *deployment.Deployment, r *release.Release) {
			d.Mode, r.CatchUp = deployment.Detect, &release.CatchUp{Generation: 1}
		}, morning, openapi.HeldBack{By: "window", Until: now.Add(6 * time.Hour)}},
		"a newer generation waits": {func(d *deployment.Deployment, _ *release.Release) { d.Generation = 2 }, morning, openapi.HeldBack{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d, rel := correct, drifted()
			c.change(&d, &rel)
			if diff := cmp.Diff(c.want, openapi.HeldBackOf(d, rel, c.schedule, now)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

// A target whose objects could not be read keeps its status, and is said not to be known.
func TestATargetThatWasNotCompared(t *testing.T) {
	rel := drifted()
	rel.Drift, rel.CheckError = nil, &release.CheckError{Code: "cluster-unauthorized", Cause: "forbidden", Since: time.Unix(1, 0)}
	rel.Health = release.Healthy
	d := deployment.Deployment{Generation: 1}
	answers, silent := cluster.Cluster{ID: "c", Status: cluster.Running}, cluster.Cluster{ID: "c", Status: cluster.Unknown}
	got := openapi.TargetsOf(d, []cluster.Cluster{answers, silent}, []release.Release{rel}, nil)
	if got[0].Status != openapi.TargetStatusDEPLOYED || !got[0].Stale || got[0].CheckError.Code != "cluster-unauthorized" {
		t.Errorf("it is %+v", got[0])
	}
	if got[1].Status != openapi.TargetStatusUNKNOWN || got[1].CheckError.Code != "" {
		t.Errorf("on a cluster that does not answer it is %+v", got[1])
	}
	if diff := cmp.Diff(openapi.HealthCounts{Targets: 2, Healthy: 1, Unknown: 1}, openapi.HealthCountsOf(got)); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}
