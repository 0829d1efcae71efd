package health

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	templateAnnotation = "deprecated.daemonset.template.generation" // a DaemonSet's own count of its templates
	templateLabel      = "pod-template-generation"
	appsRevision       = "controller-revision-hash"
	hashLabel          = "pod-template-hash"
)

// What Judge reads of the metadata, beside names, owners and times: who keeps less of objects keeps these.
var (
	Annotations = []string{revisionAnnotation, templateAnnotation} // of workloads and their ReplicaSets
	PodLabels   = []string{hashLabel, appsRevision, templateLabel}
)

// newest finds the pods of a workload's newest revision. Until the controller has seen the newest generation there are none, and
// where the cluster does not say which revision is the newest, it is that of the youngest pod.
func newest(workload *unstructured.Unstructured, sets []metav1.PartialObjectMetadata, pods []corev1.Pod) func(*corev1.Pod) bool {
	none := func(*corev1.Pod) bool { return false }
	switch workload.GetKind() {
	case "Deployment":
		paused, _, _ := unstructured.NestedBool(workload.Object, "spec", "paused")
		if paused || !observed(workload) { // a paused roll-out has no newest pods
			return none
		}
		return ofDeployment(workload, sets, pods)
	case "StatefulSet":
		revision, _, _ := unstructured.NestedString(workload.Object, "status", "updateRevision")
		if !observed(workload) || revision == "" {
			return none
		}
		return owned(workload, func(p *corev1.Pod) bool { return p.Labels[appsRevision] == revision })
	case "DaemonSet":
		if !observed(workload) {
			return none
		}
		if template := workload.GetAnnotations()[templateAnnotation]; template != "" {
			return owned(workload, func(p *corev1.Pod) bool { return p.Labels[templateLabel] == template })
		}
		return owned(workload, youngest(appsRevision, pods))
	case "Pod":
		return func(p *corev1.Pod) bool { return p.UID == workload.GetUID() }
	}
	return owned(workload, func(*corev1.Pod) bool { return true })
}

func ofDeployment(workload *unstructured.Unstructured, sets []metav1.PartialObjectMetadata, pods []corev1.Pod) func(*corev1.Pod) bool {
	revision := workload.GetAnnotations()[revisionAnnotation]
	for i := range sets {
		if revision != "" && sets[i].Annotations[revisionAnnotation] == revision && metav1.IsControlledBy(&sets[i], workload) {
			return func(p *corev1.Pod) bool { return metav1.IsControlledBy(p, &sets[i]) }
		}
	}
	if len(sets) > 0 { // the newest is not there yet
		return func(*corev1.Pod) bool { return false }
	}
	return youngest(hashLabel, pods)
}

// owned leaves out the pods of another workload with the same selector.
func owned(workload *unstructured.Unstructured, is func(*corev1.Pod) bool) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return metav1.IsControlledBy(p, workload) && is(p) }
}

func youngest(label string, pods []corev1.Pod) func(*corev1.Pod) bool {
	if len(pods) == 0 {
		return func(*corev1.Pod) bool { return false }
	}
	last := slices.MaxFunc(pods, func(a, b corev1.Pod) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return func(p *corev1.Pod) bool { return p.Labels[label] == last.Labels[label] }
}

// observed is stricter than kstatus, which takes an object without status for one that has none.
func observed(u *unstructured.Unstructured) bool {
	seen, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	return err == nil && found && seen >= u.GetGeneration()
}
