package follow

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// For the tests alone.
var (
	Touch    = touch
	StripPod = stripPod
	Touched  = touched
	Sets     = sets
)

// LastLines is what is told of a pod's log.
func LastLines(ctx context.Context, typed kubernetes.Interface, pod corev1.Pod) string {
	return (&Follower{typed: typed, logs: true}).lastLines(ctx, []corev1.Pod{pod}, pod.Name)
}
