package relay

import "slices"

// followed are the kinds whose end a relay reports.
var followed = []string{"Deployment", "StatefulSet", "DaemonSet", "Job", "PersistentVolumeClaim"}

// Follows says whether a relay reports what becomes of objects of that kind.
func Follows(kind string) bool { return slices.Contains(followed, kind) }
