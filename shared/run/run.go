// Package run is one execution that a person, a schedule or an event started: its targets, its steps and how it ended.
package run

import (
	"time"

	"github.com/swell-sh/swell/shared/release"
)

// Type says what a run does.
type Type string

// The types of runs.
const (
	Deploy   Type = "deploy"   // bring every target to a new generation
	Sync     Type = "sync"     // bring every target to the current generation again; uninstall from ex-members
	Remove   Type = "remove"   // uninstall everywhere, then forget the deployment
	Leave    Type = "leave"    // uninstall from clusters that left the group
	Check    Type = "check"    // look, change nothing
	Plan     Type = "plan"     // find what a deploy would change, change nothing
	Rollback Type = "rollback" // bring every target back to an older generation
	Join     Type = "join"     // bring clusters that joined to the current generation
)

// Status says how far a run is.
type Status string

// A run is Pending until its execution started. Superseded: another generation, or a removal, took its place.
const (
	Pending    Status = "Pending"
	Running    Status = "Running"
	Succeeded  Status = "Succeeded"
	Partial    Status = "Partial"
	Failed     Status = "Failed"
	Canceled   Status = "Canceled"
	Superseded Status = "Superseded"
)

// Done says whether the status is a last one.
func (s Status) Done() bool {
	switch s {
	case Succeeded, Partial, Failed, Canceled, Superseded:
		return true
	}
	return false
}

// Run is the record of one execution. Its id is the execution's name.
type Run struct {
	Org             string
	ID              string
	Type            Type
	Trigger         string // api, reconcile, source
	Actor           string
	DeploymentID    string
	GroupID         string
	ReleaseName     string
	Generation      int
	Before          int      // the generation that the targets should have had until then; 0: none, or it moves none
	Seq             int64    // of the deployment; a higher one wins a desired pointer
	Only            []string // cluster ids; empty: every target
	Force           bool     // of a removal: forget targets that could not be uninstalled
	ConfirmRemovals bool     // the caller allowed it to remove releases beyond the deployment's limit
	RedriveOf       string   // the run whose failed targets it takes up again
	Apply           string   // hash of the plan that it must carry out as it stands, or refuse; empty: it makes its own
	PlanHash        string
	Origin          Origin // of one that a source started
	Status          Status
	CancelRequested bool
	Paused          bool   // it begins no further target until it is resumed
	Phase           Phase  // Reverting: its targets return to what they were
	Code            string // why the run as a whole failed
	Cause           string
	CreatedAt       time.Time
	StartedAt       time.Time
	EndedAt         time.Time
	Version         int64 // rises with every change of the run, its targets or steps: the ETag
}

// Machine names the state machine that executes a run of this type.
func (t Type) Machine() string {
	switch t {
	case Remove, Leave:
		return "remove-deployment"
	case Check:
		return "check"
	case Plan:
		return "plan"
	default:
		return "deploy"
	}
}

// OfMembers says that the run's targets are the group's members of now. Those of every other run are the clusters that have a release.
func (t Type) OfMembers() bool {
	switch t {
	case Deploy, Rollback, Plan, Join:
		return true
	}
	return false
}

// OnlyLooks says whether a run of this type writes nothing to a cluster.
func (t Type) OnlyLooks() bool { return t == Check || t == Plan }

// TargetStatus says how far a target of a run is.
type TargetStatus string

// A target is Waiting until a batch takes it.
const (
	TargetWaiting    TargetStatus = "Waiting"
	TargetPreparing  TargetStatus = "Preparing"
	TargetDeploying  TargetStatus = "Deploying"
	TargetVerifying  TargetStatus = "Verifying"
	TargetSucceeded  TargetStatus = "Succeeded"
	TargetFailed     TargetStatus = "Failed"
	TargetCanceled   TargetStatus = "Canceled"
	TargetSuperseded TargetStatus = "Superseded"
	// TargetReverted had succeeded and was taken back, since another failed and the run is atomic.
	TargetReverted TargetStatus = "Reverted"
	// TargetUnreachable is deferred: the cluster did not answer, and gets what it missed when it does.
	TargetUnreachable TargetStatus = "Unreachable"
)

// Done says whether the status is a last one.
func (s TargetStatus) Done() bool {
	switch s {
	case TargetSucceeded, TargetFailed, TargetCanceled, TargetSuperseded, TargetUnreachable, TargetReverted:
		return true
	}
	return false
}

// Target is one cluster of a run, and its outcome.
type Target struct {
	ClusterID   string
	ClusterName string
	Action      string // of the plan entry: install, upgrade, uninstall, none
	Status      TargetStatus
	Code        string    // stable, kebab-case; empty on success
	Cause       string    // raw text of Helm, Kubernetes or the provider, redacted
	LeftBehind  bool      // something of the release stays on the cluster that nobody asked for
	Warning     string    // what went wrong and is no failure: objects that should be gone and that the cluster did not let go
	Revision    int       // Helm's, after the run
	LearnedBy   LearnedBy // how its end was learned; empty: it came to nothing that had to be learned
	Diff        *Diff     // of a plan: what applying it would change; nil: not compared
	Before      *Before   // what the run found there; nil: it has not come so far
	Remedy      *Remedy   // what was done about a failure; nil: nothing
	StartedAt   time.Time
	EndedAt     time.Time
	Wave        string    // of the roll-out; empty: the last, or there are none
	SucceededAt time.Time // when it first did, of one that is, or was, looked at again since
	RecheckedAt time.Time // when it was opened to be looked at again
}

// Diff counts what a plan would change on one target; Ref leads to the objects and fields.
type Diff struct {
	Ref                                  string // key in the bucket of the diff.Object list
	Created, Changed, Deleted, Unchanged int    // objects
	Destructive                          int    // objects whose change loses something or cannot be done in place
	Reproducible                         bool   // false: another render may differ from what is shown
}

// Step is one attempt of one state for one target.
type Step struct {
	ClusterID   string // empty: a step of the run as a whole
	ClusterName string
	State       string
	Attempt     int
	Remedy      int    // number of the target's remedy that it belongs to; 0: the run's own path
	Status      string // Running, Succeeded, Failed
	Code        string
	Cause       string
	StartedAt   time.Time
	EndedAt     time.Time
}

// CorrectAgain is how long reconcile waits after a run that failed on a target, or repaired it, before it tries the same again.
const CorrectAgain = 30 * time.Minute

// MayRepeat says whether reconcile may do that to the target by itself: not soon after it failed there, nor a second repair soon after a first,
// which somebody undid: it may be a controller that would undo each. And never after a hook outlived its verb: the hook's Job may still run.
func (t Target) MayRepeat(next release.Action, now time.Time) bool {
	if t.Code == "hook-timeout" {
		return false
	}
	again := t.Status == TargetFailed || next == release.Repair && t.Action == string(release.Repair)
	return !again || now.Sub(t.EndedAt) >= CorrectAgain
}

// HoldsReconcile says whether reconcile leaves alone for now what the run was about: a run of its own did not succeed there a short time ago, and
// would end the same way, or a person canceled it.
func (r Run) HoldsReconcile(now time.Time) bool {
	switch r.Status {
	case Failed, Partial, Canceled:
		return r.Trigger == "reconcile" && now.Sub(r.EndedAt) < CorrectAgain
	}
	return false
}

// Conclude says how a run ended, from what its targets came to.
func Conclude(targets []Target) Status {
	count := map[TargetStatus]int{}
	for _, t := range targets {
		if t.Status == TargetCanceled && t.Code == "gate-failed" { // by nobody's wish
			t.Status = TargetFailed
		}
		count[t.Status]++
	}
	switch {
	case count[TargetSucceeded] == len(targets):
		return Succeeded
	case count[TargetFailed]+count[TargetUnreachable] == 0 && count[TargetSuperseded] > 0:
		return Superseded
	case count[TargetFailed]+count[TargetUnreachable] == 0 && count[TargetCanceled]+count[TargetReverted] > 0:
		return Canceled
	case count[TargetSucceeded] > 0:
		return Partial
	default:
		return Failed
	}
}

// LeftBehind says whether any target was left with something that nobody asked for.
func LeftBehind(targets []Target) bool {
	for _, t := range targets {
		if t.LeftBehind {
			return true
		}
	}
	return false
}

// StoppedBy says whether a run must stop before it touches another target, and as what. generation and deleting are the deployment's,
// as they stand now: after a rollback it may be a lower one. Of two runs of the same generation the one with the higher Seq has each release.
func (r Run) StoppedBy(generation int, deleting bool) (TargetStatus, bool) {
	switch {
	case r.CancelRequested:
		return TargetCanceled, true
	case r.Status.Done(): // its record was ended over it: the machine is taken for dead
		return TargetSuperseded, true
	case r.Type.OnlyLooks():
		return "", false
	case deleting && r.Type != Remove, generation != r.Generation && r.Type != Leave && r.Type != Remove:
		return TargetSuperseded, true
	}
	return "", false
}

// New makes a run that is still to be admitted. The id is its execution's name.
func New(id string, typ Type, org, trigger, actor string, at time.Time) Run {
	return Run{Org: org, ID: id, Type: typ, Trigger: trigger, Actor: actor, Status: Pending, CreatedAt: at}
}

// About returns the run as one about that generation of a deployment.
func (r Run) About(deploymentID, groupID, releaseName string, generation int) Run {
	r.DeploymentID, r.GroupID, r.ReleaseName, r.Generation = deploymentID, groupID, releaseName, generation
	return r
}

// Ref is what its machine is started with.
func (r Run) Ref() map[string]string { return map[string]string{"org": r.Org, "run": r.ID} }
