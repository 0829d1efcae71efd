package release

import "time"

// CatchUp is what a release missed because its cluster did not answer. Who reaches the cluster again starts a run for it, whatever its deployment says of
// differences: somebody asked for this.
type CatchUp struct {
	RunID      string // that could not reach it
	Generation int    // that it should have got
}

// MayCatchUp says whether the release still should get what it missed: no run has moved its desired state since, and its deployment is still at
// that generation.
func (r Release) MayCatchUp(generation int) bool {
	return r.CatchUp != nil && r.CatchUp.Generation == generation && r.Desired != nil && r.Desired.RunID == r.CatchUp.RunID
}

// DesiredBy is the entry as the state that a run moves its release to.
func (e PlanEntry) DesiredBy(runID string, seq int64, planHash string, at time.Time) Desired {
	return Desired{Seq: seq, Generation: e.Generation, RunID: runID, PlanHash: planHash, InputHash: e.InputHash, ChartName: e.ChartName,
		ChartVersion: e.ChartVersion, Absent: e.Absent, SetAt: at}
}
