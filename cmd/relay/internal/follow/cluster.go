package follow

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/swell-sh/swell/shared/relay"
)

// Follows is how many objects of releases are followed, and whether one of them is on its way.
func (f *Follower) Follows() (objects int, busy bool) {
	for _, informer := range f.workloads {
		objects += len(informer.GetStore().ListKeys())
	}
	for _, informer := range f.others {
		objects += len(informer.GetStore().ListKeys())
	}
	return objects, f.facts.progressing() > 0
}

// Cluster is what is seen of the cluster as a whole.
func (f *Follower) Cluster(context.Context) (relay.Cluster, error) {
	v, err := f.typed.Discovery().ServerVersion()
	if err != nil {
		return relay.Cluster{}, fmt.Errorf("reading the cluster's version: %w", err)
	}
	c := relay.Cluster{Version: v.GitVersion}
	for _, obj := range f.nodes.GetStore().List() {
		node, ok := obj.(*corev1.Node)
		if !ok {
			continue
		}
		c.Nodes++
		for _, condition := range node.Status.Conditions {
			if condition.Status == corev1.ConditionTrue { // Ready is the only one that is kept
				c.ReadyNodes++
			}
		}
		c.MilliCPU += node.Status.Allocatable.Cpu().MilliValue()
		c.MemoryBytes += node.Status.Allocatable.Memory().Value()
		c.Pods += node.Status.Allocatable.Pods().Value()
	}
	for _, obj := range f.pods.GetStore().List() {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || len(pod.Spec.Containers) == 0 {
			continue
		}
		c.RequestedMilliCPU += pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
	}
	return c, nil
}
