package release

import (
	"fmt"
	"strings"
	"time"
)

// Action is what is done to one release: one of Helm's verbs, a repair of its objects, or nothing.
type Action string

// The actions. Rollback goes back to an older revision, as a remedy. Recover marks a pending record as failed and upgrades; it never uninstalls. Repair puts live objects right without a new
// revision. Report and Hold are reconcile's: the difference is recorded, and nothing is done about it.
const (
	None      Action = "none"
	Install   Action = "install"
	Upgrade   Action = "upgrade"
	Repair    Action = "repair"
	Rollback  Action = "rollback"
	Test      Action = "test" // runs the chart's tests; nothing is decided to need it
	Recover   Action = "recover"
	Uninstall Action = "uninstall"
	Refuse    Action = "refuse"
	Report    Action = "report"
	Hold      Action = "hold"
)

// Writes says whether the action changes something on the cluster.
func (a Action) Writes() bool {
	switch a {
	case Install, Upgrade, Rollback, Repair, Recover, Uninstall:
		return true
	}
	return false
}

// ForeignPendingGrace is how long a pending record that is not ours is left alone: somebody's helm may be at work.
const ForeignPendingGrace = 15 * time.Minute

// Seen is the newest record of a release on its cluster, and its objects, as Decide needs them.
type Seen struct {
	Absent        bool
	Revision      int
	Status        string
	OwnerLabel    string
	InputHash     string
	LabelRevision int
	ModifiedAt    time.Time
	RolledBackTo  int // the revision that somebody chose by a rollback by hand; 0: none
	Drifted       int // live objects that differ from the record's manifest
}

// Want is what a run wants of a release.
type Want struct {
	Owner     Owner
	InputHash string
	Absent    bool
	Rollback  bool // by going back to a revision that has it, not by making one
}

// Policy is who asks. A person's run does what is needed; reconcile does what the deployment lets it.
type Policy struct {
	Reconcile bool
	Correct   bool // the deployment's mode; it binds reconcile alone
}

// Decision is an action and, for Refuse, why.
type Decision struct {
	Action Action
	Code   string
	Reason string
}

// Decide says what is done to a release, from what was seen, what is wanted and who asks. Who writes by it holds the lease, so a pending
// record that is ours belongs to a writer that is gone. Nothing else decides.
func Decide(seen Seen, want Want, policy Policy, now time.Time) Decision {
	decision := converge(seen, want, now)
	switch {
	case !policy.Reconcile || !decision.Action.Writes():
		return decision
	case seen.rolledBack():
		return Decision{Action: Hold}
	case !policy.Correct:
		return Decision{Action: Report}
	default:
		return decision
	}
}

// converge says what brings a cluster from what was seen to what is wanted.
func converge(seen Seen, want Want, now time.Time) Decision {
	if seen.Absent || seen.Status == "uninstalled" {
		return want.ofNothing()
	}
	ours := seen.OwnerLabel == OwnerLabel(want.Owner)
	switch {
	case want.Absent && !ours:
		return Decision{Action: None} // nothing of this owner's is there; what is stays untouched
	case (!ours || handWritten(seen)) && seen.pending() && now.Sub(seen.ModifiedAt) < ForeignPendingGrace:
		return refuse("release-foreign-pending", "somebody else's Helm operation on this release began less than 15 minutes ago: %s", seen)
	case !ours:
		return refuse("release-foreign", "a release of that name exists on the cluster and was not made by this deployment: %s", seen)
	case want.Absent:
		return Decision{Action: Uninstall}
	case seen.pending():
		return Decision{Action: Recover}
	case !seen.has(want):
		return Decision{Action: want.verb()}
	case seen.Drifted > 0:
		return Decision{Action: Repair}
	default:
		return Decision{Action: None}
	}
}

// ofNothing is what is done where there is no release.
func (w Want) ofNothing() Decision {
	switch {
	case w.Absent:
		return Decision{Action: None}
	case w.Rollback:
		return Decision{Action: Refuse, Code: CodeGone, Reason: "the release is not there any more, so there is no revision to go back to"}
	}
	return Decision{Action: Install}
}

// verb is what makes a revision that has what is wanted.
func (w Want) verb() Action {
	if w.Rollback {
		return Rollback
	}
	return Upgrade
}

func refuse(code, format string, seen Seen) Decision {
	return Decision{Action: Refuse, Code: code, Reason: fmt.Sprintf(format, fmt.Sprintf("revision %d, %s", seen.Revision, seen.Status))}
}

// has: the record is what is wanted; its objects may not be.
func (s Seen) has(want Want) bool {
	return s.Status == "deployed" && s.IsOf(want.InputHash)
}

// IsOf says whether the record is one that Swell made of that input. The hash alone does not say so: a `helm upgrade` by hand inherits labels, but not
// the revision they were written for.
func (s Seen) IsOf(inputHash string) bool {
	return !s.Absent && s.InputHash == inputHash && !handWritten(s)
}

func (s Seen) pending() bool {
	return strings.HasPrefix(s.Status, "pending-") || s.Status == "uninstalling"
}

// rolledBack: a person chose the revision that runs.
func (s Seen) rolledBack() bool {
	return s.Status == "deployed" && handWritten(s) && s.RolledBackTo > 0
}

// handWritten: the labels were inherited by a revision that Swell did not write.
func handWritten(s Seen) bool { return s.LabelRevision != s.Revision }

// OwnerLabel is how an owner stands on Helm's record.
func OwnerLabel(o Owner) string { return o.Kind + "-" + o.ID }
