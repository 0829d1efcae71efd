package deployment

import (
	"slices"

	"github.com/swell-sh/swell/shared/problem"
)

// defaultRemovalLimit is the percentage of its targets that a deployment may lose at once, unless it says otherwise.
const defaultRemovalLimit = 50

// GuardRemovals refuses to remove so many of the releases that the deployment holds: an emptied group, or labels that a script got wrong, must not
// uninstall everywhere. held counts the targets that hold a release, those to be removed included.
func (d Deployment) GuardRemovals(removed, held int) error {
	limit := d.RemovalLimit
	if limit == 0 {
		limit = defaultRemovalLimit
	}
	if removed*100 <= limit*held {
		return nil
	}
	return problem.Conflict("removal-guard", "it would remove deployment %q from %d of its %d targets, and at most %d %% may go at once", d.ReleaseName, removed, held, limit).
		Try("if that is meant, ask again with confirmRemovals=true; else see who is still a member of the cluster group")
}

// ValidateRemovalLimit refuses what is no percentage.
func ValidateRemovalLimit(percent int) error {
	if percent < 1 || percent > 100 {
		return problem.Invalid("removal-limit-invalid", "removalLimitPercent is %d", percent).At("removalLimitPercent").Try("use 1 to 100; 100 allows every removal")
	}
	return nil
}

// Moves says on which clusters the deployment is to be installed because they joined, and from which it is to be removed because they left. held are
// the clusters with a release of it. A deployment that is being removed needs neither.
func (d Deployment) Moves(members, held []string) (join, leave []string) {
	if d.Deleting {
		return nil, nil
	}
	for _, c := range members {
		if d.InstallOnJoin && !slices.Contains(held, c) {
			join = append(join, c)
		}
	}
	for _, c := range held {
		if !slices.Contains(members, c) {
			leave = append(leave, c)
		}
	}
	return join, leave
}
