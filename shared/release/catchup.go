package release

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
