package release

import "slices"

// Clusters are those of the releases.
func Clusters(releases []Release) []string {
	clusters := make([]string, 0, len(releases))
	for _, r := range releases {
		clusters = append(clusters, r.ClusterID)
	}
	return clusters
}

// CountRemovals counts the targets that hold a release of the owner, and those of them that would lose it because they are no members. A name that
// was claimed and never installed, or a release that was seen to be gone, counts in neither.
func CountRemovals(owned []Release, members []string) (removed, held int) {
	for _, r := range owned {
		if r.Observed == nil && r.Desired == nil || r.Observed != nil && r.Observed.Absent {
			continue
		}
		held++
		if !slices.Contains(members, r.ClusterID) {
			removed++
		}
	}
	return removed, held
}
