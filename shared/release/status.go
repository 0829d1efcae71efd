package release

import "strings"

// Status is a target's status, exactly as the API shows it.
type Status string

// Pipeline's and Helm's words, and DRIFTED, which is ours. DEPLOYED means accepted by the cluster; Health says whether it runs.
const (
	StatusUnknown      Status = "UNKNOWN"
	StatusNotInstalled Status = "NOT_INSTALLED"
	StatusStale        Status = "STALE"
	StatusDrifted      Status = "DRIFTED"
	StatusDeployed     Status = "DEPLOYED"
)

// StatusOf says how a target stands. reachable: the last look at its cluster succeeded; current: the deployment's newest generation.
func StatusOf(r Release, reachable bool, current int) (status Status, stale bool) {
	switch o := r.Observed; {
	case !reachable || (o == nil && r.Desired != nil):
		return StatusUnknown, true
	case o == nil || o.Absent:
		return StatusNotInstalled, true
	case o.Status == "deployed" || o.Status == "superseded":
		if !InSync(r.Desired, o) || r.Desired.Generation != current {
			return StatusStale, true
		}
		return StatusDeployed, false
	default:
		return Status(strings.ToUpper(strings.ReplaceAll(o.Status, "-", "_"))), true
	}
}
