package event_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

var (
	at    = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	names = event.Names{
		Runs:        map[string]run.Run{"r1": aRun(run.Running)},
		Deployments: map[string]deployment.Deployment{"d1": {ID: "d1", ReleaseName: "web", GroupID: "g1"}},
		Groups:      map[string]string{"g1": "prod"}, Clusters: map[string]string{"c1": "eu-1"},
	}
	targets = []run.Target{
		{ClusterID: "c3", ClusterName: "us-1", Status: run.TargetFailed, Code: "not-ready", Cause: "web-1: ImagePullBackOff: shop:9"},
		{ClusterID: "c1", ClusterName: "eu-1", Status: run.TargetSucceeded},
		{ClusterID: "c2", ClusterName: "eu-2", Status: run.TargetFailed, Code: "not-ready", Cause: "web-1: OOMKilled"},
	}
)

func aRun(status run.Status) run.Run {
	r := run.New("r1", run.Deploy, "acme", "api", "ann", at.Add(-time.Minute)).About("d1", "g1", "web", 3)
	r.Status, r.StartedAt = status, at.Add(-50*time.Second)
	if status.Done() {
		r.EndedAt = at
	}
	if status == run.Failed {
		r.Code, r.Cause = "plan-stale", "the plan is out of date"
	}
	return r
}

func aTarget(status run.TargetStatus) event.TargetOf {
	t := event.TargetOf{Org: "acme", RunID: "r1", Target: run.Target{ClusterID: "c1", ClusterName: "eu-1", Action: "upgrade", Status: status, StartedAt: at.Add(-time.Minute)}}
	if status.Done() {
		t.EndedAt, t.Revision = at, 7
	}
	if status == run.TargetFailed {
		t.Code, t.Cause = "not-ready", "web-1: ImagePullBackOff: shop:9"
		t.Remedy = &run.Remedy{Action: release.Upgrade, Revision: 6, Status: run.RemedySucceeded}
	}
	return t
}

func aRelease(health release.Health, drifted int) release.Release {
	return release.Release{Key: release.Key{Org: "acme", ClusterID: "c1", Namespace: "shop", Name: "web"}, Owner: release.OwnedByDeployment("d1"),
		Health: health, HealthMessage: "web-1: OOMKilled", HealthAt: at, Observed: &release.Observed{Revision: 7, At: at},
		Drift: &release.Drift{Revision: 7, Objects: drifted, Fields: 2 * drifted, Since: at, At: at}}
}

func aCluster(status cluster.Status) cluster.Cluster {
	return cluster.Cluster{Org: "acme", ID: "c1", Name: "eu-1", Status: status, StatusMessage: "connection refused", StatusSince: at, CreatedAt: at}
}

func aGroup(version int64) group.Group {
	return group.Group{Org: "acme", ID: "g1", Name: "prod", Members: []string{"c1", "c2"}, Version: version}
}

// changes are one of each kind, and what they mean.
func changes() map[string]struct {
	change event.Change
	want   []event.Type
} {
	type c = struct {
		change event.Change
		want   []event.Type
	}
	generation := deployment.Generation{Org: "acme", DeploymentID: "d1", Number: 3, Chart: deployment.Chart{Name: "web", Version: "1.2.3", Digest: "sha256:ab"}, RunID: "r1", CreatedBy: "ann", CreatedAt: at}
	moved := aRelease(release.Healthy, 3)
	moved.Observed = &release.Observed{Revision: 8, At: at}
	forgotten := aRelease(release.Healthy, 0)
	forgotten.Owner = release.Owner{}
	unnoticed := aGroup(2)
	paused := aRun(run.Running)
	paused.Paused = true
	return map[string]c{
		"a run accepted":           {event.Change{After: aRun(run.Pending)}, nil},
		"a run begins":             {event.Change{Before: aRun(run.Pending), After: aRun(run.Running)}, []event.Type{event.RunStarted}},
		"a run goes on":            {event.Change{Before: aRun(run.Running), After: aRun(run.Running)}, nil},
		"a run is paused":          {event.Change{Before: aRun(run.Running), After: paused}, []event.Type{event.RunPaused}},
		"a run is resumed":         {event.Change{Before: paused, After: aRun(run.Running)}, []event.Type{event.RunResumed}},
		"a paused run is canceled": {event.Change{Before: paused, After: aRun(run.Canceled)}, []event.Type{event.RunCanceled}},
		"a run succeeds":           {event.Change{Before: aRun(run.Running), After: aRun(run.Succeeded)}, []event.Type{event.RunSucceeded}},
		"a run fails":              {event.Change{Before: aRun(run.Running), After: aRun(run.Failed)}, []event.Type{event.RunFailed}},
		"a run ends in part":       {event.Change{Before: aRun(run.Running), After: aRun(run.Partial)}, []event.Type{event.RunPartial}},
		"a run canceled unstarted": {event.Change{Before: aRun(run.Pending), After: aRun(run.Canceled)}, []event.Type{event.RunCanceled}},
		"a run superseded":         {event.Change{Before: aRun(run.Running), After: aRun(run.Superseded)}, []event.Type{event.RunSuperseded}},
		"an ended run changes":     {event.Change{Before: aRun(run.Failed), After: aRun(run.Failed)}, nil},
		"a target waits":           {event.Change{After: aTarget(run.TargetWaiting)}, nil},
		"a target succeeds":        {event.Change{Before: aTarget(run.TargetVerifying), After: aTarget(run.TargetSucceeded)}, []event.Type{event.TargetSucceeded}},
		"a target fails":           {event.Change{Before: aTarget(run.TargetVerifying), After: aTarget(run.TargetFailed)}, []event.Type{event.TargetFailed}},
		"a target is away":         {event.Change{Before: aTarget(run.TargetPreparing), After: aTarget(run.TargetUnreachable)}, []event.Type{event.TargetUnreachable}},
		"a target reverted":        {event.Change{Before: aTarget(run.TargetDeploying), After: aTarget(run.TargetReverted)}, []event.Type{event.TargetReverted}},
		"a target canceled":        {event.Change{Before: aTarget(run.TargetWaiting), After: aTarget(run.TargetCanceled)}, []event.Type{event.TargetCanceled}},
		"a target superseded":      {event.Change{Before: aTarget(run.TargetWaiting), After: aTarget(run.TargetSuperseded)}, []event.Type{event.TargetSuperseded}},
		"drift found":              {event.Change{Before: aRelease(release.Healthy, 0), After: aRelease(release.Healthy, 2)}, []event.Type{event.ReleaseDrifted}},
		"more drift found":         {event.Change{Before: aRelease(release.Healthy, 1), After: aRelease(release.Healthy, 2)}, nil},
		"drift gone":               {event.Change{Before: aRelease(release.Healthy, 2), After: aRelease(release.Healthy, 0)}, []event.Type{event.ReleaseUndrifted}},
		"drift upgraded away":      {event.Change{Before: aRelease(release.Healthy, 2), After: moved}, []event.Type{event.ReleaseUndrifted}},
		"healthy":                  {event.Change{Before: aRelease(release.Progressing, 0), After: aRelease(release.Healthy, 0)}, []event.Type{event.ReleaseHealthy}},
		"unhealthy":                {event.Change{Before: aRelease(release.Healthy, 0), After: aRelease(release.Unhealthy, 0)}, []event.Type{event.ReleaseUnhealthy}},
		"unhealthy and drifted":    {event.Change{Before: aRelease(release.Healthy, 0), After: aRelease(release.Unhealthy, 1)}, []event.Type{event.ReleaseUnhealthy, event.ReleaseDrifted}},
		"a release forgotten":      {event.Change{Before: aRelease(release.Healthy, 2), After: forgotten}, nil},
		"a release's item gone":    {event.Change{Before: aRelease(release.Healthy, 2)}, nil},
		"a cluster imported":       {event.Change{After: aCluster(cluster.Running)}, []event.Type{event.ClusterImported}},
		"a cluster is lost":        {event.Change{Before: aCluster(cluster.Running), After: aCluster(cluster.Unknown)}, []event.Type{event.ClusterUnreachable}},
		"a cluster is still lost":  {event.Change{Before: aCluster(cluster.Unknown), After: aCluster(cluster.Unknown)}, nil},
		"a cluster is back":        {event.Change{Before: aCluster(cluster.Unknown), After: aCluster(cluster.Running)}, []event.Type{event.ClusterReachable}},
		"a cluster removed":        {event.Change{Before: aCluster(cluster.Running)}, []event.Type{event.ClusterRemoved}},
		"a generation accepted":    {event.Change{After: generation}, []event.Type{event.DeploymentAccepted}},
		"a generation withdrawn":   {event.Change{Before: generation}, nil},
		"a deployment removed":     {event.Change{Before: deployment.Deployment{Org: "acme", ID: "d1", GroupID: "g1", ReleaseName: "web"}}, []event.Type{event.DeploymentRemoved}},
		"a deployment changed":     {event.Change{Before: deployment.Deployment{ID: "d1"}, After: deployment.Deployment{ID: "d1", RunSeq: 2}}, nil},
		"a group created":          {event.Change{After: aGroup(1)}, []event.Type{event.GroupChanged}},
		"a group changed":          {event.Change{Before: aGroup(1), After: aGroup(2)}, []event.Type{event.GroupChanged}},
		"a group is due":           {event.Change{Before: aGroup(2), After: unnoticed}, nil},
		"a group removed":          {event.Change{Before: aGroup(2)}, []event.Type{event.GroupChanged}},
		"something else":           {event.Change{After: "a step"}, nil},
	}
}

func TestOf(t *testing.T) {
	for name, c := range changes() {
		t.Run(name, func(t *testing.T) {
			c.change.At = at
			var got []event.Type
			for _, e := range event.Of(c.change) {
				got = append(got, e.Type)
				if e.Org != "acme" || !e.Time.Equal(at) && e.Type != event.RunStarted || e.SchemaVersion != event.SchemaVersion {
					t.Errorf("%+v", e)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(event.Of(c.change), event.Of(c.change)); diff != "" {
				t.Errorf("the same change is told in two ways:\n%s", diff)
			}
		})
	}
}

func TestIDsTellChangesApart(t *testing.T) {
	seen := map[string]string{}
	twice := []event.Type{event.RunCanceled, event.ReleaseUndrifted, event.ReleaseUnhealthy, event.ReleaseDrifted} // told of one change in two ways above
	for name, c := range changes() {
		c.change.At = at
		for _, e := range event.Of(c.change) {
			if other, ok := seen[e.ID]; ok && !slices.Contains(twice, e.Type) {
				t.Errorf("%s has the id of %s", name, other)
			}
			seen[e.ID] = name
		}
	}
	later := aRelease(release.Healthy, 1)
	later.Drift.Since = at.Add(time.Hour)
	before := aRelease(release.Healthy, 0)
	if event.Of(event.Change{Before: before, After: later})[0].ID == event.Of(event.Change{Before: before, After: aRelease(release.Healthy, 1)})[0].ID {
		t.Error("drift that came back has the id of the first")
	}
}

// every is what the changes mean, complete, by type.
func every(t *testing.T) map[event.Type][]event.Event {
	t.Helper()
	out := map[event.Type][]event.Event{}
	for _, c := range changes() {
		c.change.At = at
		for _, e := range event.Of(c.change) {
			e.Name(names)
			e.Count(targets)
			out[e.Type] = append(out[e.Type], e)
		}
	}
	return out
}

func sample(t *testing.T, typ event.Type) event.Event {
	t.Helper()
	all := every(t)[typ]
	if len(all) == 0 {
		t.Fatalf("no change means %s", typ)
	}
	return slices.MinFunc(all, func(a, b event.Event) int { return strings.Compare(string(indented(t, a)), string(indented(t, b))) })
}

func TestNamesAndCounts(t *testing.T) {
	failed := event.Of(event.Change{Before: aTarget(run.TargetVerifying), After: aTarget(run.TargetFailed)})[0]
	failed.Name(names)
	if failed.Run.Actor != "ann" || failed.Deployment.ReleaseName != "web" || failed.Group.Name != "prod" || failed.Cluster.Name != "eu-1" {
		t.Errorf("%+v of %+v on %+v", failed.Run, failed.Deployment, failed.Group)
	}
	drifted := event.Of(event.Change{Before: aRelease(release.Healthy, 0), After: aRelease(release.Healthy, 2)})[0]
	drifted.Name(names)
	if drifted.Deployment.ReleaseName != "web" || drifted.Group.Name != "prod" || drifted.Cluster.Name != "eu-1" {
		t.Errorf("%+v of %+v", drifted.Release, drifted.Deployment)
	}
	drifted.Name(event.Names{})
	ended := event.Of(event.Change{Before: aRun(run.Running), After: aRun(run.Partial)})[0]
	ended.Count(targets)
	o := ended.Outcome
	if o.Targets != 3 || o.Succeeded != 1 || o.Failed != 2 || len(o.Failures) != 2 || o.Failures[0].Cluster.Name != "eu-2" {
		t.Errorf("%+v", o)
	}
	many := slices.Repeat(targets[:1], 100)
	ended.Count(many)
	if len(ended.Outcome.Failures) != 20 || ended.Outcome.Failed != 100 {
		t.Errorf("%d of %d failures are named", len(ended.Outcome.Failures), ended.Outcome.Failed)
	}
}

func TestCausesAreBounded(t *testing.T) {
	long := aTarget(run.TargetFailed)
	long.Cause = strings.Repeat("ő", 100_000)
	if got := event.Of(event.Change{After: long})[0].Target.Cause; len(got) > 2100 || !strings.HasSuffix(got, "…") {
		t.Errorf("a cause of %d bytes", len(got))
	}
}

func TestPatterns(t *testing.T) {
	cases := map[string]bool{"run.failed": true, "run.*": true, "*": true, "release.drifted": true, "run.": false, "run*": false, "runs.*": false, "": false, "run.failed*": false, "**": false, "Run.failed": false}
	for pattern, valid := range cases {
		err := event.ValidatePattern(pattern)
		if (err == nil) != valid || err != nil && !problem.Is(err, "event-unknown") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	if !event.RunFailed.Matches("run.*") || event.TargetFailed.Matches("run.*") || !event.TargetFailed.Matches("*") || event.RunFailed.Matches("run.fail") {
		t.Error("patterns match what they should not")
	}
}
