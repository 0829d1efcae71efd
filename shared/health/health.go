// Package health judges the objects of a release by what the cluster shows of them and of their pods. It makes no request: a look
// from outside and the relay inside a cluster judge alike.
package health

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/swell-sh/swell/shared/relay"
)

// The codes of causes.
const (
	CodeImagePull        = "image-pull"
	CodeCrashLoop        = "crash-loop"
	CodeOOMKilled        = "oom-killed"
	CodeJobFailed        = "job-failed"
	CodePodFailed        = "pod-failed"
	CodeDeadlineExceeded = "deadline-exceeded"
	CodeUnschedulable    = "unschedulable"
	CodeVolumeUnbound    = "volume-unbound"
	// CodeHealthCheckUnmatched: a user's rule is about nothing that the release has.
	CodeHealthCheckUnmatched = "health-check-unmatched"

	CodeWorkloadFailed = "workload-failed" // says kstatus, and nothing more is known
	CodeNotReady       = "not-ready"       // of all that has no code of its own
)

// Ended are the codes of what a container did that ended: it may have written why.
var Ended = []string{CodeCrashLoop, CodeOOMKilled, CodeJobFailed, CodePodFailed}

// Judge says why a workload that is not ready does not do its work; nil where nothing is known. pods are those that its selector
// finds, or a Pod that stands alone itself; sets are the ReplicaSets of a Deployment, needed only where a pod's own cause is final.
//
// A cause that does not wait is final: it does not pass without a change of the release. It comes only from pods of the workload's
// newest revision, so that old pods that crash do not fail a good roll-out; what others suffer from is told, and waits.
func Judge(workload *unstructured.Unstructured, sets []metav1.PartialObjectMetadata, pods []corev1.Pod) *relay.Cause {
	worst := ofPods(workload, sets, pods)
	switch workload.GetKind() {
	case "Job":
		if c, ok := condition(workload, "Failed"); ok && c.status == "True" {
			return final(CodeJobFailed, c.text(), worst)
		}
		if worst != nil && worst.Code != CodeImagePull {
			worst.Waiting = true // the Job's own backoff limit says when it has failed
		}
	case "Deployment":
		if c, ok := condition(workload, "Progressing"); ok && c.reason == "ProgressDeadlineExceeded" && observed(workload) && (worst == nil || worst.Waiting) {
			return final(CodeDeadlineExceeded, c.text(), worst)
		}
	}
	if worst != nil {
		return worst
	}
	if c, ok := condition(workload, "ReplicaFailure"); ok && c.status == "True" { // a quota, an admission
		return &relay.Cause{Code: CodeNotReady, Message: c.text(), Waiting: true}
	}
	return nil
}

// ofPods is the heaviest cause: a final one first, and pods of the newest revision before others.
func ofPods(workload *unstructured.Unstructured, sets []metav1.PartialObjectMetadata, pods []corev1.Pod) *relay.Cause {
	var worst *relay.Cause
	weight := 0
	newest := newest(workload, sets, pods)
	for i := range pods {
		cause, w := ofPod(&pods[i])
		if cause == nil {
			continue
		}
		if newest(&pods[i]) {
			w += heaviest
		} else {
			cause.Waiting = true
		}
		if w > weight {
			worst, weight = cause, w
		}
	}
	return worst
}

// final is a workload's own verdict with what its pods add to it.
func final(code, message string, pods *relay.Cause) *relay.Cause {
	if pods == nil {
		return &relay.Cause{Code: code, Message: message}
	}
	told := *pods
	told.Code, told.Message, told.Waiting = code, fmt.Sprintf("%s; %s", message, pods.Message), false
	return &told
}

// said is one condition of an object.
type said struct{ status, reason, message string }

func (s said) text() string { return join(s.reason, s.message) }

func condition(u *unstructured.Unstructured, name string) (said, bool) {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == name {
			text := func(field string) string { s, _ := m[field].(string); return s }
			return said{text("status"), text("reason"), text("message")}, true
		}
	}
	return said{}, false
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + ": " + b
}
