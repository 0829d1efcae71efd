package release_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/release"
)

// Whoever moves a release to an entry, DeployRelease or what could not reach the cluster, moves it to the same.
func TestDesiredBy(t *testing.T) {
	entry := release.PlanEntry{Generation: 3, InputHash: "h", ChartName: "web", ChartVersion: "1.2.3", HealthChecks: true, Absent: true}
	want := release.Desired{Seq: 7, Generation: 3, RunID: "r", PlanHash: "p", InputHash: "h", ChartName: "web", ChartVersion: "1.2.3", HealthChecks: true, Absent: true, SetAt: now}
	if diff := cmp.Diff(want, entry.DesiredBy("r", 7, "p", now)); diff != "" {
		t.Error(diff)
	}
}
