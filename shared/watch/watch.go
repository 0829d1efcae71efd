// Package watch is what a cluster's relay reported of one release, and the task that waits for it.
package watch

import (
	"cmp"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
)

// MaxObjects is how many objects of one release are remembered: those that were heard of last.
const MaxObjects = 50

// Watch is the newest that was reported of each object of one release.
type Watch struct {
	release.Key
	Objects []Object
	Version int64 // rises with every change
}

// Object is the newest that was reported of one object.
type Object struct {
	relay.Object
	Progress Fact // Progressing, Complete or Failed, at the object's generation
	Touched  Fact // Changed or Deleted by somebody else
}

// Fact is one report. Its zero value is none.
type Fact struct {
	ID     string
	UID    string // of the object
	State  relay.State
	Cause  *relay.Cause
	SeenAt time.Time
}

// Take remembers what is new among reports of the release. What came before, or is older than what is known, changes nothing. touched says that
// somebody else changed or deleted an object.
func (w *Watch) Take(reports []relay.Report, now time.Time) (news, touched bool) {
	for _, r := range reports {
		if r.SeenAt.After(now) {
			r.SeenAt = now // a clock that is ahead would outdo every report after it
		}
		o := w.object(r.Object)
		if r.State == relay.Changed || r.State == relay.Deleted {
			if o.touch(r) {
				news, touched = true, true
			}
		} else if o.progress(r) {
			news = true
		}
	}
	w.Objects = slices.DeleteFunc(w.Objects, func(o Object) bool { return o.Progress.ID == "" && o.Touched.ID == "" })
	if len(w.Objects) > MaxObjects {
		slices.SortStableFunc(w.Objects, func(a, b Object) int { return b.heardAt().Compare(a.heardAt()) })
		w.Objects = w.Objects[:MaxObjects]
	}
	return news, touched
}

// object finds what is known of an object, by name, or begins to know it.
func (w *Watch) object(about relay.Object) *Object {
	i := w.find(about)
	if i < 0 {
		w.Objects = append(w.Objects, Object{Object: about})
		i = len(w.Objects) - 1
	}
	return &w.Objects[i]
}

func (w *Watch) find(about relay.Object) int {
	return slices.IndexFunc(w.Objects, func(o Object) bool {
		return o.Kind == about.Kind && o.Namespace == about.Namespace && o.Name == about.Name
	})
}

func (o *Object) touch(r relay.Report) bool {
	if r.ID == o.Touched.ID || r.SeenAt.Before(o.Touched.SeenAt) {
		return false
	}
	o.Touched = factOf(r)
	return true
}

// progress: of one object the newer generation counts, and of one generation the newer report, but no last word is unsaid by one that is none. Of two
// objects of the same name the one that was seen later counts.
func (o *Object) progress(r relay.Report) bool {
	if o.Progress.ID != "" {
		newer := cmp.Or(cmp.Compare(r.Object.Generation, o.Generation), r.SeenAt.Compare(o.Progress.SeenAt))
		same := r.Object.Generation == o.Generation
		if r.Object.UID != o.UID {
			newer, same = r.SeenAt.Compare(o.Progress.SeenAt), false
		}
		if r.ID == o.Progress.ID || newer <= 0 || same && o.Progress.State.Terminal() && !r.State.Terminal() {
			return false
		}
	}
	o.Object, o.Progress = r.Object, factOf(r)
	return true
}

func (o Object) heardAt() time.Time {
	if o.Touched.SeenAt.After(o.Progress.SeenAt) {
		return o.Touched.SeenAt
	}
	return o.Progress.SeenAt
}

func factOf(r relay.Report) Fact {
	return Fact{ID: r.ID, UID: r.Object.UID, State: r.State, Cause: clip(r.Cause), SeenAt: r.SeenAt.UTC()}
}

// Valid says whether a report can be one of an object in a cluster.
func Valid(r relay.Report) bool {
	switch r.State {
	case relay.Progressing, relay.Complete, relay.Failed, relay.Changed, relay.Deleted:
	default:
		return false
	}
	if r.ID == "" || r.Namespace == "" || r.Release == "" || r.Object.Kind == "" || r.Object.Name == "" || r.Object.Generation < 0 || r.SeenAt.IsZero() {
		return false
	}
	const longest = 253 // of a name in Kubernetes
	for _, text := range []string{r.ID, r.Namespace, r.Release, r.Object.Kind, r.Object.Namespace, r.Object.Name, r.Object.UID, r.Manager} {
		if len(text) > longest {
			return false
		}
	}
	return true
}

// The most bytes that are kept of a cause, less than 2 KiB in all: of its words the beginning, of the log the end.
const (
	maxText = 768 // of the words, and of the log
	maxPod  = 253
	maxCode = 64
)

func clip(c *relay.Cause) *relay.Cause {
	if c == nil {
		return nil
	}
	return &relay.Cause{Code: excerpt.Of(c.Code, maxCode), Message: excerpt.Of(c.Message, maxText), Pod: excerpt.Of(c.Pod, maxPod), Logs: excerpt.End(c.Logs, maxText), Waiting: c.Waiting}
}
