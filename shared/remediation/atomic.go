package remediation

import (
	"slices"

	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// Reverts says whether an atomic run, all of whose targets are done and too many of which failed, takes them back. A run that a person stopped stays
// where it was stopped, and what a newer run has is that run's.
func Reverts(r run.Run, targets []run.Target) bool {
	if r.CancelRequested || r.Phase == run.Reverting || r.Type != run.Deploy && r.Type != run.Rollback {
		return false
	}
	return !slices.ContainsFunc(targets, func(t run.Target) bool { return t.Status == run.TargetSuperseded })
}

// Revert is the remedy that takes a target of an atomic run back to what it was before it, and its entry. base is the entry that the revision was
// seen healthy with; nil: there is none. One that cannot be taken back is Refused.
func Revert(r run.Run, t run.Target, key release.Key, base *release.PlanEntry) (*run.Remedy, *release.PlanEntry) {
	remedy := run.Remedy{Number: 1, Status: run.RemedyRunning, Reverts: true}
	if was := t.Remedy; was != nil {
		remedy.Number, remedy.Tries = was.Number+1, was.Tries
	}
	switch {
	case t.Status == run.TargetFailed:
		remedy.OfCode, remedy.OfCause = t.Code, t.Cause
	case t.Status == run.TargetCanceled && t.Remedy != nil: // the run turned around while the target was tried again
		remedy.OfCode, remedy.OfCause = t.Remedy.OfCode, t.Remedy.OfCause
	}
	refuse := func(code, cause string) (*run.Remedy, *release.PlanEntry) {
		remedy.Status, remedy.Code, remedy.Cause, remedy.Action = run.RemedyRefused, code, cause, release.Rollback
		return &remedy, nil
	}
	switch before := t.Before; {
	case never[t.Code] != "" && t.Status == run.TargetFailed:
		return refuse(CodeUnsafe, never[t.Code])
	case before.Absent:
		return takeBack(remedy, r, release.AbsentEntry(key, t.ClusterName, r.Before))
	case base == nil:
		return refuse(CodeNothingHealthy, neverHealthy(before.Revision))
	default:
		return takeBack(remedy, r, backTo(*base, before.Revision))
	}
}
