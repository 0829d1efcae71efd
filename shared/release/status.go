package release

import (
	"fmt"
	"strings"
)

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

// StatusOf says how a target stands. reachable: the last look at its cluster succeeded; current: the generation that the deployment is at.
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
		if r.DriftedObjects() > 0 {
			return StatusDrifted, true
		}
		return StatusDeployed, r.CheckError != nil
	default:
		return Status(strings.ToUpper(strings.ReplaceAll(o.Status, "-", "_"))), true
	}
}

// Differs says, for a person, in what a release is not as it should be.
func Differs(r Release, current int) []string {
	o, d := r.Observed, r.Desired
	if o == nil || o.Absent {
		return nil
	}
	var differs []string
	switch {
	case d == nil:
		return []string{"no run has reached this target"}
	case d.Generation != current:
		differs = append(differs, fmt.Sprintf("generation: has %d, should have %d", d.Generation, current))
	}
	if o.ChartVersion != d.ChartVersion && d.ChartVersion != "" && o.ChartVersion != "" {
		differs = append(differs, fmt.Sprintf("chart version: has %s, desired %s", o.ChartVersion, d.ChartVersion))
	}
	switch {
	case o.RolledBackTo > 0:
		differs = append(differs, fmt.Sprintf("revision %d: rolled back by hand to %d", o.Revision, o.RolledBackTo))
	case handWritten(o.seen()):
		differs = append(differs, fmt.Sprintf("revision: %d was not made by Swell", o.Revision))
	}
	return append(differs, o.Differs...)
}
