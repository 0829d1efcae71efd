package release

import "time"

// Correction is what reconcile would do about the release as it was last seen, were its deployment to have it corrected. None while that is not
// for reconcile: a run has the release or never reached it, or the last look could not tell all.
func (r Release) Correction(now time.Time) Action {
	d, o := r.Desired, r.Observed
	if d == nil || o == nil || r.ActiveRun != "" || r.CheckError != nil {
		return None
	}
	seen := o.seen()
	seen.Drifted = r.DriftedObjects()
	want := Want{Owner: r.Owner, InputHash: d.InputHash, Absent: d.Absent}
	return Decide(seen, want, Policy{Reconcile: true, Correct: true}, now).Action
}

// seen is what was observed as Decide needs it. When the record was modified is not kept: no later than the look.
func (o Observed) seen() Seen {
	return Seen{
		Absent: o.Absent, Revision: o.Revision, Status: o.Status, OwnerLabel: o.OwnerLabel, InputHash: o.InputHash, LabelRevision: o.LabelRevision,
		ModifiedAt: o.At, RolledBackTo: o.RolledBackTo,
	}
}
