package deployment

import "github.com/swell-sh/swell/shared/release"

// Corrects says whether reconcile may put the release right by itself: differences are corrected, or it is to get what it missed while its cluster was
// away. Neither what a newer generation will bring nor what is being removed.
func (d Deployment) Corrects(r release.Release) bool {
	if d.Deleting || r.Desired == nil || r.Desired.Generation != d.Generation {
		return false
	}
	return d.Mode == Correct || r.MayCatchUp(d.Generation)
}
