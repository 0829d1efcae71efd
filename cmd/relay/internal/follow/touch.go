package follow

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ours are the field managers of Helm and of Swell: what they write is no news.
var ours = []string{"helm", "swell", "Helm"}

// touch is who else changed an object last, and when, as its managedFields tell. What Helm wrote after it, it wrote over. A status is no change, nor is
// what a controller does, such as an autoscaler that scales. Of a scale the API does not say when it was: then at is zero.
func touch(fields []metav1.ManagedFieldsEntry) (manager string, at time.Time, ok bool) {
	own, scaled := time.Time{}, ""
	for _, f := range fields {
		switch {
		case f.Subresource == "scale" && !controls(f.Manager, fields):
			scaled = f.Manager
		case f.Subresource != "" || f.Time == nil:
		case slices.Contains(ours, f.Manager):
			if f.Time.After(own) {
				own = f.Time.Time
			}
		case !controls(f.Manager, fields) && f.Time.After(at):
			manager, at = f.Manager, f.Time.Time
		}
	}
	if at.After(own) {
		return manager, at, true
	}
	return scaled, time.Time{}, scaled != ""
}

// controls says that a program does its work by changing such objects: it writes their status, or is named like one that does.
func controls(manager string, fields []metav1.ManagedFieldsEntry) bool {
	if slices.ContainsFunc(fields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == manager && f.Subresource == "status" }) {
		return true
	}
	for _, suffix := range []string{"controller", "controllers", "controller-manager", "operator", "autoscaler", "cainjector", "scheduler", "kubelet"} {
		if strings.HasSuffix(manager, suffix) {
			return true
		}
	}
	return strings.HasPrefix(manager, "kube-") || manager == "before-first-apply" || manager == "k3s" || manager == "vpa-updater"
}

// changedAt is when anything of an object changed last, its status included.
func changedAt(m metav1.Object) time.Time {
	at := m.GetCreationTimestamp().Time
	for _, f := range m.GetManagedFields() {
		if f.Time != nil && f.Time.After(at) {
			at = f.Time.Time
		}
	}
	return at
}
