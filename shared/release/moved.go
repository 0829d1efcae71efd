package release

import (
	"fmt"

	"github.com/swell-sh/swell/shared/taskerr"
)

// Sight is what a plan sees of one release before it is carried out: the preconditions of its entry.
type Sight struct {
	Action       Action
	Revision     int    // the newest record's; 0: none
	Capabilities string // a digest of the cluster's version and APIs
}

// Moved says what is no longer as the entry saw it; empty: all is.
func (e PlanEntry) Moved(now Sight) string {
	switch {
	case now.Revision != e.SeenRevision:
		return fmt.Sprintf("%s, planned on %s", revisionText(now.Revision), revisionText(e.SeenRevision))
	case now.Action != e.Action:
		return fmt.Sprintf("revision %d is another now: it would be %s, planned was %s", now.Revision, now.Action, e.Action)
	case now.Capabilities != e.Capabilities:
		return "the cluster's version or its APIs changed"
	}
	return ""
}

// Changed is the failure of a run whose release has another newest record than the one that the run made by the entry; nil: it has that.
func (e PlanEntry) Changed(newest Seen) error {
	if newest.IsOf(e.InputHash) {
		return nil
	}
	return taskerr.Failed("release-changed", "the release's newest record is not the one this run made: somebody else has changed it")
}

func revisionText(revision int) string {
	if revision == 0 {
		return "no release"
	}
	return fmt.Sprintf("revision %d", revision)
}
