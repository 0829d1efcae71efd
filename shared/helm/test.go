package helm

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	helmaction "helm.sh/helm/v3/pkg/action"
	helmkube "helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/swell-sh/swell/shared/excerpt"
)

// What is told of a test that failed: how its containers ended and the end of its pod's log, which takes as long as a kubelet that is away. A kubelet's limit
// cuts the end off, so that more is read than is told; a cause has 2 KiB.
const (
	logLines  = 20
	readBytes = 64 << 10
	logBytes  = 1 << 10
	endBytes  = 512 // of the termination message
	logTime   = 5 * time.Second
)

// test runs the chart's tests as Helm does. A test that an earlier run left is deleted first, so that running it twice is running it again.
func (v *verb) test(ctx context.Context, status helmrelease.Status) error {
	if status != helmrelease.StatusDeployed {
		return errorf(CodeReleaseConflict, "the release is %s, not deployed", status)
	}
	clients, err := v.config.KubernetesClientSet()
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	pods := clients.CoreV1().Pods(v.req.Namespace)
	v.objects.said = func(tests helmkube.ResourceList) string {
		ctx, cancel := context.WithTimeout(ctx, logTime)
		defer cancel()
		return said(ctx, pods, tests)
	}
	testing := helmaction.NewReleaseTesting(v.config)
	testing.Namespace = v.req.Namespace
	testing.Timeout = v.req.HookTimeout
	_, err = testing.Run(v.req.ReleaseName)
	return err
}

// said is how the first pod of the tests ended, and the last lines that it wrote; what cannot be read is left out.
func said(ctx context.Context, pods typedcorev1.PodInterface, tests helmkube.ResourceList) string {
	for _, info := range tests {
		selector := "metadata.name=" + info.Name
		options := metav1.ListOptions{FieldSelector: selector}
		if info.Mapping.GroupVersionKind.Kind == "Job" {
			options = metav1.ListOptions{LabelSelector: "job-name=" + info.Name}
		}
		list, err := pods.List(ctx, options)
		if err != nil || len(list.Items) == 0 {
			continue
		}
		return ofPod(ctx, pods, list.Items[len(list.Items)-1])
	}
	return ""
}

func ofPod(ctx context.Context, pods typedcorev1.PodInterface, pod corev1.Pod) string {
	var b strings.Builder
	for _, s := range pod.Status.ContainerStatuses {
		if end := s.State.Terminated; end != nil && end.ExitCode != 0 {
			fmt.Fprintf(&b, "; container %s ended with code %d", s.Name, end.ExitCode)
			if end.Message != "" {
				b.WriteString(": " + excerpt.Of(strings.TrimSpace(end.Message), endBytes))
			}
		}
	}
	lines, most := int64(logLines), int64(readBytes)
	stream, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &most}).Stream(ctx)
	if err != nil {
		return b.String()
	}
	defer func() { _ = stream.Close() }() // only read
	log, err := io.ReadAll(io.LimitReader(stream, readBytes))
	if text := strings.TrimSpace(string(log)); text != "" && err == nil {
		fmt.Fprintf(&b, "; pod %s wrote: %s", pod.Name, excerpt.End(text, logBytes))
	}
	return b.String()
}
