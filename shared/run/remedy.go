package run

import "github.com/swell-sh/swell/shared/release"

// Retry is the remedy that tries the same again. The others are release.Rollback and release.Uninstall.
const Retry release.Action = "retry"

// RemedyStatus says how far a remedy is.
type RemedyStatus string

// A remedy that was Refused changed nothing.
const (
	RemedyRunning   RemedyStatus = "Running"
	RemedySucceeded RemedyStatus = "Succeeded"
	RemedyFailed    RemedyStatus = "Failed"
	RemedyRefused   RemedyStatus = "Refused"
)

// Remedy is what is done about a target on which a run failed, or which an atomic run takes back.
type Remedy struct {
	Number   int // of the target's remedies, from 1: a state that runs twice finds its own
	Tries    int // of what the run wanted, that failed
	Action   release.Action
	Plan     string // planHash of the entry that carries it out
	Revision int    // that it goes back to; 0: to none
	Status   RemedyStatus
	Code     string // why it was refused or failed
	Cause    string // of Code; of one that ended well, what is to be known of it
	OfCode   string // of the failure that it is for; empty: the target had not failed
	OfCause  string
	Reverts  bool // the run as a whole is taken back: it is atomic
}

// Back says whether the remedy takes the target back, rather than try again.
func (r Remedy) Back() bool { return r.Action == release.Rollback || r.Action == release.Uninstall }

// The codes of targets that had not failed when their run was taken back.
const (
	CodeTakenBack    = "taken-back"
	CodeRevertFailed = "revert-failed"
)

// Before is what a target had when a run came to it: what an atomic run goes back to.
type Before struct {
	Absent   bool   // no release
	Revision int    // Helm's, as it was last seen
	PlanHash string // of the entry that the revision was seen healthy with; empty: it was not
}

// BeforeOf is what a release is before a run moves it.
func BeforeOf(r release.Release) Before {
	o := r.Observed
	if o == nil || o.Absent {
		return Before{Absent: true}
	}
	b := Before{Revision: o.Revision}
	if r.Healthy == o.Revision && release.InSync(r.Verified, o) {
		b.PlanHash = r.Verified.PlanHash
	}
	return b
}

// Ended is the target at the end of its path: caught is why the path ended early, empty if it did not. The failure that a remedy was for stays
// the target's, however the remedy ended.
func (t Target) Ended(code, cause string) Target {
	r := t.Remedy
	if r == nil || r.Status == RemedyRefused && !r.Reverts {
		return t.endedAs(code, cause)
	}
	remedy := *r
	t.Remedy = &remedy
	if remedy.Status == RemedyRunning {
		remedy.Status = RemedySucceeded
		if code != "" {
			remedy.Status, remedy.Code, remedy.Cause = RemedyFailed, code, cause
		}
		*t.Remedy = remedy
	}
	if !remedy.Back() {
		return t.endedAs(code, cause)
	}
	well := remedy.Status == RemedySucceeded
	t.LeftBehind = !well
	switch {
	case remedy.OfCode != "":
		return t.endedAs(remedy.OfCode, remedy.OfCause)
	case well:
		t.Status, t.Code, t.Cause = TargetReverted, CodeTakenBack, revertedCause
		return t
	default:
		return t.endedAs(CodeRevertFailed, "the target was to be taken back: "+remedy.Code+": "+remedy.Cause)
	}
}

const revertedCause = "the target was changed and then taken back: the run was turned around, since another target failed and the deployment is atomic, or since somebody asked for it"

func (t Target) endedAs(code, cause string) Target {
	t.Code, t.Cause = code, cause
	switch code {
	case "":
		t.Status = TargetSucceeded
	case "canceled", "reverted":
		t.Status = TargetCanceled
	case "superseded":
		t.Status = TargetSuperseded
	default:
		t.Status = TargetFailed
	}
	return t
}
