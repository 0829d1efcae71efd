package follow

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/swell-sh/swell/shared/health"
)

// What the caches hold of an object is what is judged by, and no more: that is what keeps thousands of pods in little memory.

const maxTermination = 2 << 10

// slim strips the metadata that every object has. Of managedFields it keeps who and when.
func slim(m metav1.Object) {
	kept := map[string]string{}
	for _, name := range slices.Concat(health.Annotations, []string{nameAnnotation, namespaceAnnotation}) {
		if value, ok := m.GetAnnotations()[name]; ok {
			kept[name] = value
		}
	}
	m.SetAnnotations(kept)
	fields := m.GetManagedFields()
	for i := range fields {
		fields[i].FieldsV1 = nil
	}
	m.SetManagedFields(fields)
}

// stripMetadata is the transform of ReplicaSets and of what is followed by its metadata alone.
func stripMetadata(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		slim(m)
		m.SetLabels(nil)
	}
	return obj, nil
}

// stripSet is that of ReplicaSets: nobody edits them, so that who wrote them does not matter.
func stripSet(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.SetManagedFields(nil)
	}
	return stripMetadata(obj)
}

// stripWorkload is that of workloads and claims: without their pods' template, which is most of them.
func stripWorkload(obj any) (any, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		slim(u)
		u.SetLabels(nil)
		unstructured.RemoveNestedField(u.Object, "spec", "template")
		unstructured.RemoveNestedField(u.Object, "spec", "volumeClaimTemplates")
	}
	return obj, nil
}

// stripPod is that of pods. Of their containers' requests it keeps the sum.
func stripPod(obj any) (any, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	cpu := resource.Quantity{}
	for _, c := range p.Spec.Containers {
		cpu.Add(*c.Resources.Requests.Cpu())
	}
	kept := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: map[string]string{},
		OwnerReferences: owner(p), DeletionTimestamp: p.DeletionTimestamp, CreationTimestamp: p.CreationTimestamp,
	}}
	for _, label := range health.PodLabels {
		if value, ok := p.Labels[label]; ok {
			kept.Labels[label] = value
		}
	}
	if !cpu.IsZero() {
		kept.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: cpu}}}}
	}
	kept.Status = corev1.PodStatus{
		Phase: p.Status.Phase, Reason: p.Status.Reason, Message: p.Status.Message,
		InitContainerStatuses: stripStatuses(p.Status.InitContainerStatuses), ContainerStatuses: stripStatuses(p.Status.ContainerStatuses),
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.PodScheduled {
			kept.Status.Conditions = append(kept.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message})
		}
	}
	return kept, nil
}

func owner(p *corev1.Pod) []metav1.OwnerReference {
	if o := metav1.GetControllerOfNoCopy(p); o != nil {
		return []metav1.OwnerReference{{Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: o.Controller}}
	}
	return nil
}

// stripStatuses drops the containers that run well: nothing is said of them.
func stripStatuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for _, s := range all {
		if s.State.Running != nil && s.Ready {
			continue
		}
		s.ContainerID, s.ImageID, s.AllocatedResources, s.Resources, s.VolumeMounts = "", "", nil, nil, nil
		if last := s.LastTerminationState.Terminated; last != nil && len(last.Message) > maxTermination {
			short := *last
			short.Message = last.Message[len(last.Message)-maxTermination:]
			s.LastTerminationState.Terminated = &short
		}
		kept = append(kept, s)
	}
	return kept
}

// stripNode is that of nodes.
func stripNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	kept := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion}}
	kept.Status.Allocatable = corev1.ResourceList{}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		kept.Status.Allocatable[name] = n.Status.Allocatable[name]
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			kept.Status.Conditions = append(kept.Status.Conditions, corev1.NodeCondition{Type: c.Type, Status: c.Status})
		}
	}
	return kept, nil
}
