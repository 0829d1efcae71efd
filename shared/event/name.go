package event

import (
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/run"
)

// Names are what ids stand for, by id. One that is gone by now is not in them.
type Names struct {
	Runs        map[string]run.Run
	Deployments map[string]deployment.Deployment
	Groups      map[string]string
	Clusters    map[string]string
}

// Name adds what the event's record did not say. An id that is not in n stays without a name.
func (e *Event) Name(n Names) {
	if e.Run != nil && e.Run.Type == "" {
		e.about(n.Runs[e.Run.ID])
	}
	if d := e.Deployment; d != nil && (d.ReleaseName == "" || e.Group == nil) {
		if known, ok := n.Deployments[d.ID]; ok {
			d.ReleaseName, e.Group = known.ReleaseName, &Group{ID: known.GroupID}
		}
	}
	if g := e.Group; g != nil && g.Name == "" {
		g.Name = n.Groups[g.ID]
	}
	if c := e.Cluster; c != nil && c.Name == "" {
		c.Name = n.Clusters[c.ID]
	}
}

// Unnamed says which ids the event has without what they stand for.
func (e Event) Unnamed(ask func(what, id string)) {
	if e.Run != nil && e.Run.Type == "" {
		ask("run", e.Run.ID)
	}
	if e.Deployment != nil && e.Deployment.ReleaseName == "" {
		ask("deployment", e.Deployment.ID)
	}
	if e.Group != nil && e.Group.Name == "" {
		ask("group", e.Group.ID)
	}
	if e.Cluster != nil && e.Cluster.Name == "" {
		ask("cluster", e.Cluster.ID)
	}
}

// maxFailures bounds what the end of a run names.
const maxFailures = 20

// Count says what the run's targets came to, if the event is a run's end.
func (e *Event) Count(targets []run.Target) {
	if e.Outcome == nil {
		return
	}
	o := Outcome{Targets: len(targets), Failures: []Failure{}}
	for _, t := range targets {
		switch Type("target." + lower(string(t.Status))) {
		case TargetSucceeded:
			o.Succeeded++
			continue
		case TargetFailed:
			o.Failed++
		case TargetUnreachable:
			o.Unreachable++
		case TargetReverted:
			o.Reverted++
			continue
		case TargetCanceled:
			o.Canceled++
			continue
		case TargetSuperseded:
			o.Superseded++
			continue
		default: // not done: the run ended over it
			continue
		}
		o.Failures = append(o.Failures, Failure{Cluster: Cluster{ID: t.ClusterID, Name: t.ClusterName}, Code: t.Code, Cause: short(t.Cause), Remedy: remedyOf(t)})
	}
	slices.SortFunc(o.Failures, func(a, b Failure) int { return strings.Compare(a.Cluster.Name, b.Cluster.Name) })
	o.Failures = o.Failures[:min(len(o.Failures), maxFailures)]
	e.Outcome = &o
}
