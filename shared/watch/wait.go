package watch

import (
	"time"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/workflow"
)

// The times of a wait: how long a relay may be silent before it is taken for dead, and how often, at most, its cluster is looked at for what others
// changed there.
const (
	SilentAfter = 3 * time.Minute
	LookAgain   = 10 * time.Second
)

// Alive says whether a relay that was heard then is heard still.
func Alive(heardAt, now time.Time) bool { return !heardAt.IsZero() && now.Sub(heardAt) < SilentAfter }

// Wait is one task that waits for what becomes of a release's objects. A release has one at most: that of the run that has it.
type Wait struct {
	release.Key
	Run     string
	Objects []relay.Object     // that were not ready when it began
	Until   time.Time          // the release's deadline: then it is looked at whatever was reported
	Token   workflow.TaskToken // empty: the task has not said yet where its answer goes
}

// Over says whether the reports are reason enough to look at the cluster: every object is complete, or one of them failed or is gone.
func (w Wait) Over(reported Watch) bool {
	complete := 0
	for _, waited := range w.Objects {
		i := reported.find(waited)
		if i < 0 {
			continue
		}
		o := reported.Objects[i]
		if o.Touched.State == relay.Deleted && o.Touched.UID == waited.UID {
			return true
		}
		if o.Progress.UID != waited.UID || o.Generation < waited.Generation {
			continue
		}
		switch o.Progress.State {
		case relay.Failed:
			return true
		case relay.Complete:
			complete++
		}
	}
	return complete > 0 && complete == len(w.Objects)
}
