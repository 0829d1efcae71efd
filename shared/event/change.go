package event

import (
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Change is one record of the store, as it was and as it is. Both are of one type: run.Run, Target, release.Release, cluster.Cluster,
// deployment.Deployment, deployment.Generation or group.Group. nil: there was none, or there is none any more.
type Change struct {
	Before, After any
	At            time.Time // when it was stored
}

// TargetOf is a target with what its record leaves to its key.
type TargetOf struct {
	Org, RunID string
	run.Target
}

// Of says what a change means to others: nothing, for most. It names things by id where the record does; Name adds the names.
func Of(c Change) []Event {
	switch {
	case is[run.Run](c):
		return ofRuns(c)
	case is[TargetOf](c):
		return ofTargets(states[TargetOf](c))
	case is[release.Release](c):
		return ofReleases(states[release.Release](c))
	case is[cluster.Cluster](c):
		return ofClusters(c)
	case is[deployment.Generation](c) && c.Before == nil:
		_, g := states[deployment.Generation](c)
		return ofGeneration(g)
	case is[deployment.Deployment](c) && c.After == nil:
		d, _ := states[deployment.Deployment](c)
		return ofDeployment(d, c.At)
	case is[group.Group](c):
		return ofGroup(c)
	}
	return nil
}

func is[T any](c Change) bool {
	_, before := c.Before.(T)
	_, after := c.After.(T)
	return before || after
}

func states[T any](c Change) (before, after T) {
	before, _ = c.Before.(T)
	after, _ = c.After.(T)
	return before, after
}

// newEvent makes an event whose id follows from what makes it this change and no other.
func newEvent(t Type, org string, at time.Time, parts ...string) Event {
	return Event{ID: release.Digest(append([]string{string(t), org}, parts...)), Type: t, Org: org, Time: at.UTC(), SchemaVersion: SchemaVersion}
}
