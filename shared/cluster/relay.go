package cluster

import "time"

// RelayStatus says where the installation of a cluster's relay is.
type RelayStatus string

// The empty status is that of a cluster whose relay nobody asked for.
const (
	RelayInstalling RelayStatus = "INSTALLING"
	RelayInstalled  RelayStatus = "INSTALLED"
	RelayFailed     RelayStatus = "FAILED"
	RelayRemoving   RelayStatus = "REMOVING"
)

// RelaySetup is what Swell did to have a relay in the cluster. Whether that lives is said by Relay alone.
type RelaySetup struct {
	Wanted       bool
	Status       RelayStatus
	ChartVersion string    // of the last one installed
	Error        string    // the raw cause, of RelayFailed and of a rotation that did not end
	ChangedAt    time.Time // when Status was set
	KeyRotatedAt time.Time // when the key in use was made
	Rotating     bool      // the key before it is accepted still
}

// Stands says whether the cluster has a relay of Swell's, or may have what an install or a removal that failed left of one.
func (r RelaySetup) Stands() bool { return r.Status != "" }
