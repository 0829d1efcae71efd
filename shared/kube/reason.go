package kube

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	maxPods    = 50
	maxMessage = 300
)

// explain looks at the pods of the first workloads that are not ready, one LIST each.
func (c *Client) explain(ctx context.Context, checks []*check) error {
	group, ctx := errgroup.WithContext(ctx)
	looked := 0
	for _, check := range checks {
		if check.live == nil || check.state.Ready() {
			continue
		}
		if check.state.Kind == "Pod" {
			var pod corev1.Pod
			if runtime.DefaultUnstructuredConverter.FromUnstructured(check.live.Object, &pod) == nil {
				check.state.Reason = clip(podReason(&pod).text)
			}
		}
		if !check.kind.pods || looked == maxReasons {
			continue
		}
		looked++
		group.Go(func() error { return c.explainWorkload(ctx, check) })
	}
	return group.Wait()
}

func (c *Client) explainWorkload(ctx context.Context, check *check) error {
	selector, err := podSelector(check.live)
	if err != nil {
		return nil // a workload of a strange shape stays without a reason
	}
	pods, err := c.typed.CoreV1().Pods(check.state.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: maxPods})
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s: %w", check.state.Kind, check.state.Name, Classify(err))
	}
	var worst reason
	for i := range pods.Items {
		if r := podReason(&pods.Items[i]); r.weight > worst.weight {
			worst = r
		}
	}
	if worst.weight == 0 && len(pods.Items) == 0 {
		worst.text = replicaFailure(check.live)
	}
	check.state.Reason = clip(worst.text)
	return nil
}

func podSelector(u *unstructured.Unstructured) (string, error) {
	raw, found, err := unstructured.NestedMap(u.Object, "spec", "selector")
	if err != nil || !found || len(raw) == 0 {
		return "", fmt.Errorf("reading the selector of %s %s: there is none", u.GetKind(), u.GetName())
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return "", err
	}
	parsed, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil || parsed.Empty() {
		return "", fmt.Errorf("reading the selector of %s %s: it selects nothing", u.GetKind(), u.GetName())
	}
	return parsed.String(), nil
}

// replicaFailure is why a controller cannot even create pods: a quota, an admission.
func replicaFailure(u *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "ReplicaFailure" && m["status"] == "True" {
			return fmt.Sprintf("%v: %v", m["reason"], m["message"])
		}
	}
	return ""
}

// reason is one cause; of several the heaviest is told.
type reason struct {
	weight int
	text   string
}

func podReason(pod *corev1.Pod) reason {
	var worst reason
	keep := func(r reason) {
		if r.weight > worst.weight {
			worst = r
		}
	}
	for _, s := range pod.Status.InitContainerStatuses {
		keep(containerReason(s))
	}
	for _, s := range pod.Status.ContainerStatuses {
		keep(containerReason(s))
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			keep(reason{3, join(c.Reason, c.Message)})
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		keep(reason{2, join(pod.Status.Reason, pod.Status.Message)})
	}
	if worst.weight == 0 && pod.Status.Phase == corev1.PodRunning && !podReady(pod) {
		keep(reason{1, "NotReady: pod " + pod.Name + " runs, but its readiness probe does not pass"})
	}
	return worst
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func containerReason(s corev1.ContainerStatus) reason {
	waiting := s.State.Waiting
	switch {
	case waiting != nil && strings.Contains(waiting.Reason, "Image"): // ErrImagePull, ImagePullBackOff, InvalidImageName
		return reason{5, join(fmt.Sprintf("%s: image %s of container %s", waiting.Reason, s.Image, s.Name), waiting.Message)}
	case waiting != nil && waiting.Reason == "CrashLoopBackOff":
		return reason{5, fmt.Sprintf("CrashLoopBackOff: container %s, %d restarts%s", s.Name, s.RestartCount, lastExit(s))}
	case waiting != nil && waiting.Reason != "" && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing":
		return reason{4, join(fmt.Sprintf("%s: container %s", waiting.Reason, s.Name), waiting.Message)}
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return reason{4, fmt.Sprintf("%s: container %s ended with code %d", s.State.Terminated.Reason, s.Name, s.State.Terminated.ExitCode)}
	case waiting != nil && waiting.Reason != "":
		return reason{1, join(fmt.Sprintf("%s: container %s", waiting.Reason, s.Name), waiting.Message)}
	}
	return reason{}
}

func lastExit(s corev1.ContainerStatus) string {
	last := s.LastTerminationState.Terminated
	if last == nil {
		return ""
	}
	return fmt.Sprintf(", last ended with code %d (%s)", last.ExitCode, last.Reason)
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}

// clip keeps a cluster's text short and on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
