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
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/swell-sh/swell/shared/health"
)

const (
	maxLists   = 3   // of a look: so many workloads' pods are asked for one by one; of more, those of the namespace at once
	maxPods    = 50  // of one workload
	maxAllPods = 500 // of a namespace
	maxMessage = 300
)

// explain looks at the pods of the workloads that are not ready: at most three LISTs, and one of ReplicaSets for each Deployment
// that has a pod in a state that does not pass.
func (c *Client) explain(ctx context.Context, checks []*check) error {
	byNamespace, workloads := map[string][]*check{}, 0
	for _, check := range checks {
		switch {
		case check.live == nil || check.state.Ready():
		case check.state.Kind == "Pod":
			var pod corev1.Pod
			if runtime.DefaultUnstructuredConverter.FromUnstructured(check.live.Object, &pod) == nil {
				check.judge(nil, []corev1.Pod{pod})
			}
		case check.kind.pods:
			byNamespace[check.state.Namespace] = append(byNamespace[check.state.Namespace], check)
			workloads++
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	if workloads > maxLists {
		lists := 0
		for namespace, workloads := range byNamespace {
			if lists++; lists <= maxLists {
				group.Go(func() error { return c.explainAll(ctx, namespace, workloads) })
			}
		}
		return group.Wait()
	}
	for _, workloads := range byNamespace {
		for _, check := range workloads {
			group.Go(func() error { return c.explainOne(ctx, check) })
		}
	}
	return group.Wait()
}

func (c *Client) explainOne(ctx context.Context, check *check) error {
	selector, err := podSelector(check.live)
	if err != nil {
		return nil // a workload of a strange shape stays without a reason
	}
	pods, err := c.pods(ctx, check.state.Namespace, metav1.ListOptions{LabelSelector: selector.String(), Limit: maxPods})
	if err != nil {
		return fmt.Errorf("listing the pods of %s %s: %w", check.state.Kind, check.state.Name, err)
	}
	return c.judge(ctx, check, pods)
}

// explainAll reads the pods of a namespace once for many workloads.
func (c *Client) explainAll(ctx context.Context, namespace string, workloads []*check) error {
	all, err := c.pods(ctx, namespace, metav1.ListOptions{Limit: maxAllPods})
	if err != nil {
		return fmt.Errorf("listing the pods of namespace %s: %w", namespace, err)
	}
	for _, check := range workloads {
		selector, err := podSelector(check.live)
		if err != nil {
			continue
		}
		var pods []corev1.Pod
		for i := range all {
			if selector.Matches(labels.Set(all[i].Labels)) {
				pods = append(pods, all[i])
			}
		}
		if err := c.judge(ctx, check, pods); err != nil {
			return err
		}
	}
	return nil
}

// pods are none where they may not be read.
func (c *Client) pods(ctx context.Context, namespace string, options metav1.ListOptions) ([]corev1.Pod, error) {
	list, err := c.typed.CoreV1().Pods(namespace).List(ctx, options)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Classify(err)
	}
	return list.Items, nil
}

var replicaSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}

func (c *Client) judge(ctx context.Context, check *check, pods []corev1.Pod) error {
	var sets []metav1.PartialObjectMetadata
	if check.state.Kind == "Deployment" && anyFinal(pods) {
		selector, err := podSelector(check.live)
		if err != nil {
			return nil
		}
		list, err := c.metadata.Resource(replicaSets).Namespace(check.state.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
		if err != nil && !apierrors.IsForbidden(err) {
			return fmt.Errorf("listing the ReplicaSets of Deployment %s: %w", check.state.Name, Classify(err))
		}
		if err == nil {
			sets = list.Items
		}
	}
	check.judge(sets, pods)
	return nil
}

func anyFinal(pods []corev1.Pod) bool {
	for i := range pods {
		if health.Final(&pods[i]) {
			return true
		}
	}
	return false
}

func (c *check) judge(sets []metav1.PartialObjectMetadata, pods []corev1.Pod) {
	if cause := health.Judge(c.live, sets, pods); cause != nil {
		c.state.Reason, c.state.Code, c.state.Final = clip(cause.Message), cause.Code, !cause.Waiting
	}
}

func podSelector(u *unstructured.Unstructured) (labels.Selector, error) {
	raw, found, err := unstructured.NestedMap(u.Object, "spec", "selector")
	if err != nil || !found || len(raw) == 0 {
		return nil, fmt.Errorf("reading the selector of %s %s: there is none", u.GetKind(), u.GetName())
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil, err
	}
	parsed, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil || parsed.Empty() {
		return nil, fmt.Errorf("reading the selector of %s %s: it selects nothing", u.GetKind(), u.GetName())
	}
	return parsed, nil
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
