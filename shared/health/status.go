package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// observedKinds are those whose controller sets observedGeneration.
var observedKinds = map[string]bool{"Deployment": true, "StatefulSet": true, "DaemonSet": true, "ReplicaSet": true}

// Status is kstatus with six changes: what says Available instead of Ready is taken at its word; a workload is current only once its controller has seen its generation; a DaemonSet whose
// pods a person replaces needs no updated ones, as a StatefulSet of that kind; a Job that runs is not ready yet; an APIService is ready when available; a Pod that stands alone has failed when its phase says so, not while it
// could still be scheduled or restarted.
func Status(u *unstructured.Unstructured) (result *status.Result) {
	defer func() {
		// kstatus asserts types of what the server sent; a strange server must not end the process.
		if recover() != nil {
			result = &status.Result{Status: status.UnknownStatus, Message: "its status is not of the usual shape"}
		}
	}()
	result, err := status.Compute(onDelete(u))
	if err != nil {
		return &status.Result{Status: status.UnknownStatus, Message: "its status is not of the usual shape"}
	}
	current := result.Status == status.CurrentStatus
	group := u.GroupVersionKind().Group
	switch kind := u.GetKind(); {
	case group == "apps" && observedKinds[kind]:
		return ofWorkload(u, result)
	case group == "batch" && kind == "Job":
		suspended, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend")
		if done, _ := condition(u, "Complete"); current && !suspended && done.status != "True" {
			return inProgress(result.Message)
		}
	case kind == "APIService":
		if available, _ := condition(u, "Available"); current && available.status != "True" {
			return inProgress("it is not available")
		}
	case group == "" && kind == "Pod":
		return ofLonePod(u, result)
	default:
		return ofCustom(u, result)
	}
	return result
}

func ofLonePod(u *unstructured.Unstructured, result *status.Result) *status.Result {
	phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
	switch {
	case phase == "Failed":
		return &status.Result{Status: status.FailedStatus, Message: result.Message}
	case result.Status == status.FailedStatus:
		return inProgress(result.Message)
	}
	return result
}

// ofCustom: kstatus knows Ready, Reconciling, Stalled and observedGeneration; many kinds say Available instead of Ready.
func ofCustom(u *unstructured.Unstructured, result *status.Result) *status.Result {
	_, tellsReady := condition(u, "Ready")
	if c, ok := condition(u, "Available"); ok && !tellsReady && c.status != "True" && result.Status == status.CurrentStatus {
		return inProgress(join(join("Available", c.reason), c.message))
	}
	return result
}

// onDelete shows a DaemonSet that is updated by deleting its pods as if all of them were updated.
func onDelete(u *unstructured.Unstructured) *unstructured.Unstructured {
	strategy, _, _ := unstructured.NestedString(u.Object, "spec", "updateStrategy", "type")
	want, _, _ := unstructured.NestedInt64(u.Object, "status", "desiredNumberScheduled")
	if u.GetKind() != "DaemonSet" || strategy != "OnDelete" || want == 0 {
		return u
	}
	shown := u.DeepCopy()
	if unstructured.SetNestedField(shown.Object, want, "status", "updatedNumberScheduled") != nil {
		return u
	}
	return shown
}

func ofWorkload(u *unstructured.Unstructured, result *status.Result) *status.Result {
	if result.Status == status.CurrentStatus && !observed(u) {
		return inProgress("its controller has not seen its latest generation")
	}
	paused, _, _ := unstructured.NestedBool(u.Object, "spec", "paused")
	if paused && result.Status != status.CurrentStatus && u.GetKind() == "Deployment" {
		return inProgress("its roll-out is paused (spec.paused): " + result.Message)
	}
	return result
}

func inProgress(message string) *status.Result {
	return &status.Result{Status: status.InProgressStatus, Message: message}
}
