package release

import "fmt"

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

func revisionText(revision int) string {
	if revision == 0 {
		return "no release"
	}
	return fmt.Sprintf("revision %d", revision)
}
