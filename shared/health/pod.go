package health

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/swell-sh/swell/shared/relay"
)

const (
	// finalCrashes is how many restarts a container gets: programs that wait for others to come up by crashing do so once or twice.
	finalCrashes = 3
	// finalKills is the same for a container that the kernel killed: its memory limit does not rise.
	finalKills = 2
)

// The weights of causes; of several the heaviest is told.
const (
	weightProbe = iota + 1
	weightEnded
	weightPlace
	weightContainer
	weightLoop
	weightFinal
	heaviest
)

// Final says that something of the pod does not pass by itself, if the pod is of its workload's newest revision.
func Final(pod *corev1.Pod) bool {
	cause, _ := ofPod(pod)
	return cause != nil && !cause.Waiting
}

// ofPod is the heaviest of a pod's causes, and its weight.
func ofPod(pod *corev1.Pod) (*relay.Cause, int) {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || ready(pod) {
		return nil, 0
	}
	var worst *relay.Cause
	weight := 0
	keep := func(c *relay.Cause, w int) {
		if c != nil && w > weight {
			worst, weight = c, w
		}
	}
	for _, s := range pod.Status.InitContainerStatuses { // sidecars are among them
		keep(ofContainer(s))
	}
	for _, s := range pod.Status.ContainerStatuses {
		keep(ofContainer(s))
	}
	keep(ofPlace(pod))
	if pod.Status.Phase == corev1.PodFailed {
		c := &relay.Cause{Code: CodePodFailed, Message: join(pod.Status.Reason, pod.Status.Message)}
		if worst != nil && weight > weightPlace { // the container's end says more
			c.Message = worst.Message
		}
		c.Waiting = alone(pod) == nil // its controller makes another
		worst, weight = c, weightEnded
	}
	if worst == nil && pod.Status.Phase == corev1.PodRunning {
		keep(&relay.Cause{Code: CodeNotReady, Message: "it runs, but its readiness probe does not pass", Waiting: true}, weightProbe)
	}
	if worst != nil {
		worst.Pod, worst.Message = pod.Name, join("pod "+pod.Name, worst.Message)
	}
	return worst, weight
}

// alone returns a pod that no controller owns.
func alone(pod *corev1.Pod) *corev1.Pod {
	for _, o := range pod.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return nil
		}
	}
	return pod
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// ofPlace is why a pod has no node, in the scheduler's words. Nodes and volumes may come.
func ofPlace(pod *corev1.Pod) (*relay.Cause, int) {
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		cause := &relay.Cause{Code: CodeUnschedulable, Message: join(c.Reason, c.Message), Waiting: true}
		if strings.Contains(strings.ToLower(c.Message), "persistentvolumeclaim") {
			cause.Code = CodeVolumeUnbound
		}
		return cause, weightPlace
	}
	return nil, 0
}

func ofContainer(s corev1.ContainerStatus) (*relay.Cause, int) {
	if s.State.Running != nil {
		return nil, 0
	}
	if waiting := s.State.Waiting; waiting != nil && isImage(waiting.Reason) {
		return ofImage(s)
	}
	if end := lastEnd(s); end != nil && s.RestartCount > 0 {
		return ofCrash(s, end)
	}
	switch waiting, ended := s.State.Waiting, s.State.Terminated; {
	case ended != nil && ended.ExitCode != 0:
		return &relay.Cause{Code: CodeNotReady, Message: fmt.Sprintf("container %s%s", s.Name, words(ended)), Waiting: true}, weightContainer
	case waiting == nil || waiting.Reason == "":
		return nil, 0
	case waiting.Reason == "ContainerCreating" || waiting.Reason == "PodInitializing":
		return waits(s), weightProbe
	default:
		return waits(s), weightContainer
	}
}

func waits(s corev1.ContainerStatus) *relay.Cause {
	text := join(fmt.Sprintf("%s: container %s", s.State.Waiting.Reason, s.Name), s.State.Waiting.Message)
	return &relay.Cause{Code: CodeNotReady, Message: text, Waiting: true}
}

func isImage(reason string) bool {
	return strings.Contains(reason, "Image") // ErrImagePull, ImagePullBackOff, InvalidImageName, ErrImageNeverPull
}

// ofImage: a first failed pull is tried again at once by the kubelet, and a registry that is away or busy may come back.
func ofImage(s corev1.ContainerStatus) (*relay.Cause, int) {
	waiting := s.State.Waiting
	cause := &relay.Cause{
		Code: CodeImagePull, Image: s.Image,
		Message: join(fmt.Sprintf("%s: image %s of container %s", waiting.Reason, s.Image, s.Name), waiting.Message),
	}
	switch waiting.Reason {
	case "ImagePullBackOff":
		cause.Waiting = passes(waiting.Message)
	case "InvalidImageName", "ErrImageNeverPull":
	default:
		cause.Waiting = true
	}
	if cause.Waiting {
		return cause, weightLoop
	}
	return cause, weightFinal
}

// passing are words of registries and of the way to them that say nothing against the image.
var passing = []string{
	"timeout", "timed out", "deadline exceeded", "connection refused", "connection reset", "no route to host", "temporary failure", "no such host",
	"too many requests", "toomanyrequests", "500 internal", "502 bad", "503 service", "504 gateway", "unexpected eof", "qps exceeded",
}

func passes(message string) bool {
	message = strings.ToLower(message)
	for _, words := range passing {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// lastEnd is how the container ended last; nil: it does not crash.
func lastEnd(s corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	switch {
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return s.State.Terminated
	case s.State.Terminated != nil: // an init container that is done, or a program that ended well: it may be started again
		return nil
	case s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff":
		if last := s.LastTerminationState.Terminated; last != nil {
			return last
		}
		return &corev1.ContainerStateTerminated{}
	}
	return nil
}

func ofCrash(s corev1.ContainerStatus, end *corev1.ContainerStateTerminated) (*relay.Cause, int) {
	cause := &relay.Cause{Code: CodeCrashLoop, Waiting: s.RestartCount < finalCrashes}
	if end.Reason == "OOMKilled" {
		cause.Code, cause.Waiting = CodeOOMKilled, s.RestartCount < finalKills
	}
	name := "CrashLoopBackOff"
	if s.State.Waiting == nil {
		name = "Crashed"
	}
	cause.Message = fmt.Sprintf("%s: container %s, %d restarts%s", name, s.Name, s.RestartCount, words(end))
	if cause.Waiting {
		return cause, weightLoop
	}
	return cause, weightFinal
}

// words is how a container ended, with what it left in its termination log.
func words(end *corev1.ContainerStateTerminated) string {
	if end.Reason == "" && end.ExitCode == 0 && end.Message == "" {
		return ""
	}
	return join(fmt.Sprintf(", last ended with code %d (%s)", end.ExitCode, end.Reason), strings.TrimSpace(end.Message))
}
