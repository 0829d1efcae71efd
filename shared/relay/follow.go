package relay

import "slices"

// Kind is a kind of object, and where an API server has it.
type Kind struct{ Kind, Group, Version, Resource string }

// Followed are the kinds whose end a relay reports.
var Followed = []Kind{
	{"Deployment", "apps", "v1", "deployments"},
	{"StatefulSet", "apps", "v1", "statefulsets"},
	{"DaemonSet", "apps", "v1", "daemonsets"},
	{"Job", "batch", "v1", "jobs"},
	{"PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"},
}

// Follows says whether a relay reports what becomes of objects of that kind.
func Follows(kind string) bool {
	return slices.ContainsFunc(Followed, func(k Kind) bool { return k.Kind == kind })
}
