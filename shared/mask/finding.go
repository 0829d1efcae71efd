package mask

import (
	"slices"

	"github.com/swell-sh/swell/shared/drift"
)

// Findings masks the literals in what differs on a cluster. Of a Secret a finding holds no value to begin with.
func Findings(findings []drift.Finding, literals []string) []drift.Finding {
	masked := slices.Clone(findings)
	for i, f := range masked {
		masked[i].Want, masked[i].Live, masked[i].Path = rendered(f.Want, literals), rendered(f.Live, literals), Hide(f.Path, literals)
	}
	return masked
}
