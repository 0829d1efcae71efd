package cli_test

import (
	"time"

	"github.com/swell-sh/swell/shared/openapi"
)

// blind and held say by a cluster's cloud what is not known of a target on it, and what holds it back.
var (
	blind = map[string]openapi.CheckError{"blind": {Code: "cluster-unauthorized", Cause: "ingresses are forbidden", Since: epoch}}
	held  = map[string]openapi.HeldBack{"closed": {By: "window", Until: epoch.Add(time.Hour)}, "never": {By: "window"}}
)

func healthOf(targets []openapi.TargetCluster, asked bool) (counts openapi.HealthCounts) {
	if asked {
		counts = openapi.HealthCountsOf(targets)
	}
	return counts
}
