// Package remediation decides what a run does about a target on which it failed: try again, go back to the revision that was healthy last, uninstall
// what it installed, or leave it; and how an atomic run takes all its targets back.
package remediation

import (
	"fmt"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Why a target is not remedied; release has those that only its cluster knows of.
const (
	CodeUnsafe         = "remedy-unsafe"    // nothing may be written to the target
	CodeNeedless       = "remedy-needless"  // the run wrote nothing to it
	CodeNoneLeft       = "remedy-none-left" // it was tried as often as it may be
	CodeNothingHealthy = "nothing-healthy"  // there is no revision to go back to
)

// Failure is all that decides about one.
type Failure struct {
	Code, Cause string
	Policy      deployment.Remediation
	Run         run.Run
	Target      run.Target
	Release     release.Release
	Base        *release.PlanEntry // of the plan that Goal names; nil: there is none
}

// Goal is the revision that a rollback leads to, and the plan that it was made by: what a run saw healthy last. Of a target that had succeeded and
// failed a later look, that is the very one that failed: what was there before the run is meant.
func (f Failure) Goal() (revision int, plan string) {
	switch before, rel := f.Target.Before, f.Release; {
	case f.rechecked():
		return before.Revision, before.PlanHash
	case rel.Verified != nil:
		return rel.Healthy, rel.Verified.PlanHash
	default:
		return rel.Healthy, ""
	}
}

func (f Failure) rechecked() bool { return f.Target.Before != nil && !f.Target.SucceededAt.IsZero() }

// Next is the target's next remedy, and the entry that carries it out unless that is the run's own. A remedy that is Refused changes nothing; no
// remedy at all: the deployment asks for none, or the run as a whole is taken back.
func (f Failure) Next() (remedy *run.Remedy, entry *release.PlanEntry) {
	f.Policy = f.Policy.Named()
	r := run.Remedy{Number: 1, Tries: 1, Status: run.RemedyRunning, OfCode: f.Code, OfCause: f.Cause}
	if was := f.Target.Remedy; was != nil {
		r.Number, r.Tries = was.Number+1, was.Tries+1
	}
	refuse := func(code, cause string) (*run.Remedy, *release.PlanEntry) {
		r.Status, r.Code, r.Cause = run.RemedyRefused, code, cause
		return &r, nil
	}
	if f.Policy.Strategy == deployment.Leave && f.Policy.Retries == 0 || ended[f.Code] || f.Run.Phase == run.Reverting {
		return nil, nil
	}
	if why, never := never[f.Code]; never {
		return refuse(CodeUnsafe, why)
	}
	if d := f.Release.Desired; d == nil || d.RunID != f.Run.ID {
		return refuse(CodeNeedless, "the run wrote nothing to this target")
	}
	entry, code, cause := f.wayBack()
	again := r.Tries <= f.Policy.Retries
	switch {
	case again && (f.Policy.RetryOnFailure || entry == nil):
		r.Action, r.Plan = run.Retry, f.Run.PlanHash
		return &r, nil
	case entry == nil && f.Policy.Strategy == deployment.Leave:
		return refuse(CodeNoneLeft, fmt.Sprintf("it was tried %d times", r.Tries))
	case entry == nil:
		return refuse(code, cause)
	}
	entry.TryAgain = again
	return takeBack(r, f.Run, *entry)
}

// TryAgain is the remedy that follows one that went back in order to try again. Where the run has turned around meanwhile, it ends there.
func TryAgain(r run.Run, went run.Remedy) run.Remedy {
	went.Number++
	if r.Phase == run.Reverting {
		went.Status = run.RemedySucceeded
		return went
	}
	went.Action, went.Plan, went.Status = run.Retry, r.PlanHash, run.RemedyRunning
	return went
}

// Failed is the remedy that itself failed: nothing follows it.
func Failed(remedy run.Remedy, code, cause string) run.Remedy {
	remedy.Number, remedy.Status, remedy.Code, remedy.Cause = remedy.Number+1, run.RemedyFailed, code, cause
	return remedy
}

// takeBack completes remedy and entry. The plan's hash follows from them, so that who makes it twice makes one.
func takeBack(r run.Remedy, of run.Run, entry release.PlanEntry) (*run.Remedy, *release.PlanEntry) {
	entry.TakesBack = true
	entry.PlanHash = release.PlanHash(fmt.Sprintf("run %s, remedy %d, to revision %d", of.ID, r.Number, entry.RollbackTo), []release.PlanEntry{entry})
	r.Action, r.Plan, r.Revision = entry.Action, entry.PlanHash, entry.RollbackTo
	return &r, &entry
}

// ended are failures of which the run's end says what there is to say: another run, or a person, has the target, or the run was turned around.
var ended = map[string]bool{"canceled": true, "superseded": true, "reverted": true}

// never are failures after which nothing is written to the target, each with the reason.
var never = map[string]string{
	"cluster-unreachable":     "the cluster does not answer, so nothing can be written to it",
	"credential-unreadable":   "without the cluster's credential nothing can be written to it",
	"unauthorized":            "the cluster does not accept the credential, so nothing can be written to it",
	"release-foreign":         "the release on the cluster is somebody else's",
	"release-foreign-pending": "somebody else's Helm may be at work on the release",
	"release-claimed":         "the release's name is another deployment's",
	"hook-timeout":            "the hook's Job may still run: what it does must not meet an older revision",
	"plan-stale":              "the target moved since it was planned, and was left as it is",
	"not-a-member":            "the cluster left the group",
}

// wayBack is the entry that takes the target back, or why there is none.
func (f Failure) wayBack() (entry *release.PlanEntry, code, cause string) {
	rel := f.Release
	switch f.Policy.Strategy {
	case deployment.UninstallBack:
		if before := f.Target.Before; before == nil || !before.Absent {
			return nil, release.CodeNotFirst, "the strategy uninstall is for a first install only, and the release was there before this run"
		}
		absent := release.AbsentEntry(rel.Key, f.Target.ClusterName, f.Run.Generation)
		return &absent, "", ""
	case deployment.RollBack:
		revision, plan := f.Goal()
		switch {
		case f.Target.Before != nil && f.Target.Before.Absent:
			return nil, CodeNothingHealthy, "the release was not there before this run, so there is no revision to go back to"
		case revision == 0:
			return nil, CodeNothingHealthy, "no revision of this release was ever seen healthy, so there is none to go back to"
		case rel.Observed != nil && rel.Observed.Revision == revision && rel.Observed.Status != "deployed":
			return nil, CodeNothingHealthy, fmt.Sprintf("revision %d, which failed, is the one that was healthy last", revision)
		case plan == "" && f.rechecked():
			return nil, CodeNothingHealthy, neverHealthy(revision)
		case plan == "" || f.Base == nil:
			return nil, CodeNothingHealthy, fmt.Sprintf("revision %d was healthy, and what it was made of is not on record", revision)
		}
		back := backTo(*f.Base, revision)
		back.AcrossHandMade = f.Policy.AcrossHandMade
		return &back, "", ""
	}
	return nil, "", ""
}

func neverHealthy(before int) string {
	return fmt.Sprintf("before this run it had revision %d, which no run has seen healthy", before)
}

// backTo is base as a rollback to that revision. The chart's tests passed when it was found healthy, and it waits for nobody: what it depends on may be
// what broke. Its workloads are looked at again.
func backTo(base release.PlanEntry, revision int) release.PlanEntry {
	base.Action, base.SeenRevision, base.Capabilities, base.ManifestRef = release.Rollback, 0, "", ""
	base.Tests, base.DependsOn = 0, nil
	base.TakeBack = release.TakeBack{RollbackTo: revision}
	return base
}
