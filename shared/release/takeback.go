package release

import (
	"errors"
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/taskerr"
)

// Again ends the state of an entry that took back in order to try again; it is no failure.
func (t TakeBack) Again() error {
	if !t.TryAgain {
		return nil
	}
	return taskerr.New(taskerr.TryAgain, "try-again", errors.New("the target is as it was, and what the run wanted is tried again"))
}

// Why a target is not taken back.
const (
	CodeGone         = "rollback-gone"          // the revision's record is not there
	CodeHandMade     = "rollback-hand-made"     // a person's revision is in between, or the one to go back to
	CodeAcrossFailed = "rollback-across-failed" // a revision that no run saw healthy is, likewise
	CodeNotFirst     = "remedy-not-first"       // only a first install is uninstalled
)

// Revision is one of Helm's records of a release, without its contents.
type Revision struct {
	Number        int
	Status        string
	OwnerLabel    string
	InputHash     string
	LabelRevision int
	Run           string // that made it, as its label says
}

// byHand: Swell's labels are missing, or were inherited.
func (r Revision) byHand() bool { return r.OwnerLabel == "" || r.LabelRevision != r.Number }

// MayTakeBack says whether what a run did to a release may be taken back as the entry says, given the release's history, newest first. across are
// the revisions made by hand that it takes back with it: it is said to people, also where it is allowed. Of another run's revision nobody has seen
// that it was well, or the way back would lead to it: it is never crossed.
func (e PlanEntry) MayTakeBack(history []Revision, owner Owner, runID string) (across string, refused Decision) {
	refuse := func(code, format string, args ...any) Decision {
		return Decision{Action: Refuse, Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	for _, r := range history {
		switch {
		case r.Number == e.RollbackTo:
			return across, e.mayReturnTo(r, owner, refuse)
		case r.byHand() || r.OwnerLabel != OwnerLabel(owner):
			across = strings.TrimPrefix(fmt.Sprintf("%s; revision %d, %s, made by %s", across, r.Number, r.Status, r.author()), "; ")
			if e.RollbackTo == 0 || !e.AcrossHandMade {
				return across, refuse(CodeHandMade, "it would go across %s", across)
			}
		case r.Run != runID && e.RollbackTo == 0:
			return across, refuse(CodeNotFirst, "revision %d was made by run %s: the release was there before this run", r.Number, r.Run)
		case r.Run != runID:
			return across, refuse(CodeAcrossFailed, "it would go across revision %d of run %s, which no run has seen healthy", r.Number, r.Run)
		}
	}
	if e.RollbackTo > 0 {
		return across, refuse(CodeGone, "the record of revision %d is not on the cluster any more", e.RollbackTo)
	}
	return across, Decision{}
}

func (e PlanEntry) mayReturnTo(r Revision, owner Owner, refuse func(code, format string, args ...any) Decision) Decision {
	switch {
	case r.byHand() || r.OwnerLabel != OwnerLabel(owner) || r.InputHash != e.InputHash:
		return refuse(CodeHandMade, "revision %d is not the one that a run saw healthy: it was made by %s", r.Number, r.author())
	case r.Status != "deployed" && r.Status != "superseded":
		return refuse(CodeAcrossFailed, "revision %d is %s", r.Number, r.Status)
	}
	return Decision{}
}

// author is who made a revision, as far as its labels tell.
func (r Revision) author() string {
	switch {
	case r.OwnerLabel == "":
		return "somebody else's Helm, without Swell's labels"
	case r.LabelRevision != r.Number:
		return fmt.Sprintf("hand with Helm: its labels are those of revision %d", r.LabelRevision)
	}
	return "Swell for " + r.OwnerLabel + ", run " + r.Run
}
