package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func ofRuns(c Change) []Event {
	before, after := states[run.Run](c)
	var e Event
	switch {
	case after.Status == run.Running && before.Status != run.Running && !before.Status.Done():
		e = newEvent(RunStarted, after.Org, after.StartedAt, after.ID)
	case after.Paused != before.Paused && !after.Status.Done():
		typ := RunPaused
		if before.Paused {
			typ = RunResumed
		}
		e = newEvent(typ, after.Org, c.At, after.ID, strconv.FormatInt(after.Version, 10))
	case after.Status.Done() && !before.Status.Done():
		e = newEvent(Type("run."+lower(string(after.Status))), after.Org, after.EndedAt, after.ID)
		e.Outcome = &Outcome{Failures: []Failure{}} // its targets are records of their own: Count
	default:
		return nil
	}
	e.Run = &Run{ID: after.ID, Status: string(after.Status), CreatedAt: after.CreatedAt.UTC(), StartedAt: after.StartedAt.UTC(), EndedAt: after.EndedAt.UTC(),
		Code: after.Code, Cause: short(after.Cause)}
	e.about(after)
	return []Event{e}
}

// about says of which run, deployment and group it is.
func (e *Event) about(r run.Run) {
	e.Run.Type, e.Run.Trigger, e.Run.Actor, e.Run.Generation = string(r.Type), r.Trigger, r.Actor, r.Generation
	if r.DeploymentID != "" {
		e.Deployment = &Deployment{ID: r.DeploymentID, ReleaseName: r.ReleaseName}
	}
	if r.GroupID != "" {
		e.Group = &Group{ID: r.GroupID}
	}
}

func ofTargets(before, after TargetOf) []Event {
	if !after.Status.Done() || before.Status.Done() {
		return nil
	}
	e := newEvent(Type("target."+lower(string(after.Status))), after.Org, after.EndedAt, after.RunID, after.ClusterID)
	e.Run = &Run{ID: after.RunID}
	e.Cluster = &Cluster{ID: after.ClusterID, Name: after.ClusterName}
	e.Target = &Target{Action: after.Action, Status: string(after.Status), Code: after.Code, Cause: short(after.Cause), Revision: after.Revision,
		Remedy: remedyOf(after.Target), LeftBehind: after.LeftBehind, StartedAt: after.StartedAt.UTC(), EndedAt: after.EndedAt.UTC()}
	return []Event{e}
}

func remedyOf(t run.Target) *Remedy {
	if t.Remedy == nil {
		return nil
	}
	return &Remedy{Action: string(t.Remedy.Action), Revision: t.Remedy.Revision, Status: string(t.Remedy.Status)}
}

// ofReleases finds what both health and drift came to. A release that its owner forgot tells nothing.
func ofReleases(before, after release.Release) (events []Event) {
	if after.Owner.ID == "" {
		return nil
	}
	add := func(t Type, at time.Time, drift *release.Drift) {
		e := newEvent(t, after.Org, at, after.ClusterID, after.Namespace, after.Name, stampOf(at))
		e.Cluster = &Cluster{ID: after.ClusterID}
		e.Release = &Release{Namespace: after.Namespace, Name: after.Name, Health: string(after.Health), HealthMessage: short(after.HealthMessage), At: at.UTC()}
		if after.Observed != nil {
			e.Release.Revision = after.Observed.Revision
		}
		if drift != nil {
			e.Release.Drift = &Drift{Objects: drift.Objects, Fields: drift.Fields, Since: drift.Since.UTC()}
		}
		if after.Owner.Kind == "deployment" {
			e.Deployment = &Deployment{ID: after.Owner.ID}
		}
		events = append(events, e)
	}
	if after.Health != before.Health {
		switch after.Health {
		case release.Healthy:
			add(ReleaseHealthy, after.HealthAt, nil)
		case release.Unhealthy:
			add(ReleaseUnhealthy, after.HealthAt, nil)
		}
	}
	switch was, is := before.DriftedObjects() > 0, after.DriftedObjects() > 0; {
	case is && !was:
		add(ReleaseDrifted, after.Drift.Since, after.Drift)
	case was && !is:
		add(ReleaseUndrifted, undriftedAt(after), nil)
	}
	return events
}

// undriftedAt is when the release was seen without drift: by a look at its objects, or since another revision is there.
func undriftedAt(r release.Release) time.Time {
	if r.Drift != nil && r.Drift.Objects == 0 || r.Observed == nil {
		if r.Drift != nil {
			return r.Drift.At
		}
		return r.HealthAt
	}
	return r.Observed.At
}

func ofClusters(c Change) []Event {
	before, after := states[cluster.Cluster](c)
	about := func(k cluster.Cluster, t Type, at time.Time) []Event {
		e := newEvent(t, k.Org, at, k.ID, stampOf(at))
		e.Cluster = &Cluster{ID: k.ID, Name: k.Name}
		if t == ClusterUnreachable {
			e.Cluster.Cause, e.Cluster.Since = short(k.StatusMessage), k.StatusSince.UTC()
		}
		return []Event{e}
	}
	switch {
	case c.Before == nil:
		return about(after, ClusterImported, after.CreatedAt)
	case c.After == nil:
		e := newEvent(ClusterRemoved, before.Org, c.At, before.ID)
		e.Cluster = &Cluster{ID: before.ID, Name: before.Name}
		return []Event{e}
	case before.Status == cluster.Running && after.Status == cluster.Unknown:
		return about(after, ClusterUnreachable, after.StatusSince)
	case before.Status == cluster.Unknown && after.Status == cluster.Running:
		return about(after, ClusterReachable, after.StatusSince)
	}
	return nil
}

func ofGeneration(g deployment.Generation) []Event {
	e := newEvent(DeploymentAccepted, g.Org, g.CreatedAt, g.DeploymentID, strconv.Itoa(g.Number))
	e.Deployment = &Deployment{ID: g.DeploymentID}
	e.Generation = &Generation{Number: g.Number, ChartName: g.Chart.Name, ChartVersion: g.Chart.Version, ChartDigest: g.Chart.Digest, CreatedBy: g.CreatedBy, RunID: g.RunID}
	return []Event{e}
}

func ofDeployment(d deployment.Deployment, at time.Time) []Event {
	e := newEvent(DeploymentRemoved, d.Org, at, d.ID)
	e.Deployment, e.Group = &Deployment{ID: d.ID, ReleaseName: d.ReleaseName}, &Group{ID: d.GroupID}
	return []Event{e}
}

// ofGroup tells a change that somebody made: reconcile, which only notes when the group is due, leaves its version.
func ofGroup(c Change) []Event {
	before, after := states[group.Group](c)
	kind, g := "changed", after
	switch {
	case c.Before == nil:
		kind = "created"
	case c.After == nil:
		kind, g = "removed", before
	case before.Version == after.Version:
		return nil
	}
	e := newEvent(GroupChanged, g.Org, c.At, g.ID, kind, strconv.FormatInt(g.Version, 10))
	e.Group = &Group{ID: g.ID, Name: g.Name}
	e.Change = &GroupDelta{Kind: kind, Members: len(g.Members), Version: g.Version}
	return []Event{e}
}

func lower(status string) string { return strings.ToLower(status) }

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// maxCause bounds a cause: an event on the bus has at most 256 KiB, and people read it.
const maxCause = 2000

func short(cause string) string { return excerpt.Of(cause, maxCause) }
