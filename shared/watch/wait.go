package watch

import (
	"time"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/workflow"
)

// LookAgain is how often, at most, a relay's cluster is looked at for what others changed there.
const LookAgain = 10 * time.Second

// Alive says whether a relay that was heard then is heard still.
func Alive(heardAt, now time.Time) bool {
	return !heardAt.IsZero() && now.Sub(heardAt) < relay.SilentAfter
}

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

// Why is why one of the objects does not run, as the relay said of it at the generation that it has now: of one that failed, else of the first that waits.
// Nil: it said nothing of any.
func (w Watch) Why(objects []relay.Object) (at int, why *relay.Cause) {
	for i, o := range objects {
		known := w.find(o)
		if known < 0 {
			continue
		}
		said := w.Objects[known]
		switch {
		case said.Progress.Cause == nil || said.UID != o.UID || said.Generation != o.Generation:
		case said.Progress.State == relay.Failed:
			return i, said.Progress.Cause
		case why == nil:
			at, why = i, said.Progress.Cause
		}
	}
	return at, why
}
