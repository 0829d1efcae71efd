package cli_test

import (
	"slices"

	"github.com/swell-sh/swell/shared/openapi"
)

// waveOf is the wave that names the cluster.
func waveOf(r *openapi.Rollout, cluster string) string {
	if r == nil {
		return ""
	}
	for _, w := range r.Waves {
		if slices.Contains(w.Clusters, cluster) {
			return w.Name
		}
	}
	return ""
}
