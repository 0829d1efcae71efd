package run

import "github.com/swell-sh/swell/shared/problem"

// Redrive is the run that takes up again what failed or was canceled in this one, given its targets. It has no id yet. A run that ended
// before it had targets is taken up whole.
func (r Run) Redrive(targets []Target) (Run, error) {
	again := Run{Org: r.Org, Type: r.Type, RedriveOf: r.ID, Before: r.Before, Force: r.Force, ConfirmRemovals: r.ConfirmRemovals}.
		About(r.DeploymentID, r.GroupID, r.ReleaseName, r.Generation)
	switch {
	case !r.Status.Done():
		return again, problem.Conflict("run-not-done", "run %q is %s", r.ID, r.Status).Try("wait for its end, or cancel it")
	case r.Type == Plan:
		return again, problem.Conflict("nothing-to-redrive", "run %q changed nothing: it is a plan", r.ID).Try("plan again")
	case r.Type == Leave: // its clusters may be members again
		return again, problem.Conflict("nothing-to-redrive", "run %q removed releases from clusters that left the group", r.ID).
			Try("sync the deployment: it removes them from clusters that are no members now")
	case len(targets) == 0 && (r.Status == Failed || r.Status == Canceled):
		again.Only = r.Only
		return again, nil
	}
	for _, t := range targets {
		if t.Status == TargetFailed || t.Status == TargetCanceled || t.Status == TargetReverted || t.Status == TargetUnreachable {
			again.Only = append(again.Only, t.ClusterID)
		}
	}
	if len(again.Only) == 0 {
		return again, problem.Conflict("nothing-to-redrive", "no target of run %q failed, was canceled or could not be reached", r.ID).Try("sync the deployment, or update it")
	}
	if r.Type == Remove { // it is about what is left, and only then may the deployment be forgotten
		again.Only = nil
	}
	return again, nil
}
