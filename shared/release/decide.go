package release

import (
	"fmt"
	"strings"
	"time"
)

// Action is what a run does to one release: one of Helm's verbs, or nothing.
type Action string

// The actions. Recover marks a pending record as failed and upgrades; it never uninstalls.
const (
	None      Action = "none"
	Install   Action = "install"
	Upgrade   Action = "upgrade"
	Recover   Action = "recover"
	Uninstall Action = "uninstall"
	Refuse    Action = "refuse"
)

// ForeignPendingGrace is how long a pending record that is not ours is left alone: somebody's helm may be at work.
const ForeignPendingGrace = 15 * time.Minute

// Seen is the newest record of a release on its cluster, as Decide needs it.
type Seen struct {
	Absent        bool
	Revision      int
	Status        string
	OwnerLabel    string
	InputHash     string
	LabelRevision int
	ModifiedAt    time.Time
}

// Want is what a run wants of a release.
type Want struct {
	Owner     Owner
	InputHash string
	Absent    bool
}

// Decision is an action and, for Refuse, why.
type Decision struct {
	Action Action
	Code   string
	Reason string
}

// Decide says which action brings a cluster from what was seen to what is wanted. The caller holds the lease, so a pending record that
// is ours belongs to a writer that is gone. Nothing else decides.
func Decide(seen Seen, want Want, now time.Time) Decision {
	if seen.Absent || seen.Status == "uninstalled" {
		if want.Absent {
			return Decision{Action: None}
		}
		return Decision{Action: Install}
	}
	pending := seen.pending()
	ours := seen.OwnerLabel == OwnerLabel(want.Owner)
	if want.Absent && !ours {
		return Decision{Action: None} // nothing of this owner's is there; what is stays untouched
	}
	if pending && (!ours || handWritten(seen)) && now.Sub(seen.ModifiedAt) < ForeignPendingGrace {
		return refuse("release-foreign-pending", "somebody else's Helm operation on this release began less than 15 minutes ago: %s", seen)
	}
	if !ours {
		return refuse("release-foreign", "a release of that name exists on the cluster and was not made by this deployment: %s", seen)
	}
	switch {
	case want.Absent:
		return Decision{Action: Uninstall}
	case pending:
		return Decision{Action: Recover}
	case seen.Status == "deployed" && seen.InputHash == want.InputHash && !handWritten(seen):
		return Decision{Action: None}
	default:
		return Decision{Action: Upgrade}
	}
}

func refuse(code, format string, seen Seen) Decision {
	return Decision{Action: Refuse, Code: code, Reason: fmt.Sprintf(format, fmt.Sprintf("revision %d, %s", seen.Revision, seen.Status))}
}

func (s Seen) pending() bool {
	return strings.HasPrefix(s.Status, "pending-") || s.Status == "uninstalling"
}

// handWritten: the labels were inherited by a revision that Swell did not write.
func handWritten(s Seen) bool { return s.LabelRevision != s.Revision }

// OwnerLabel is how an owner stands on Helm's record.
func OwnerLabel(o Owner) string { return o.Kind + "-" + o.ID }
