package follow_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/cmd/relay/internal/follow"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// wrote is an entry of managedFields, so many seconds after noon; below 0: without a time.
func wrote(manager, subresource string, second int) metav1.ManagedFieldsEntry {
	e := metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Operation: metav1.ManagedFieldsOperationUpdate}
	if second >= 0 {
		e.Time = &metav1.Time{Time: noon.Add(time.Duration(second) * time.Second)}
	}
	return e
}

func TestTouch(t *testing.T) {
	status := wrote("kube-controller-manager", "status", 20)
	cases := map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   string // manager; empty: nobody
		at     int    // seconds after noon; below 0: not told
	}{
		"nobody":                       {},
		"helm alone":                   {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 0), status}},
		"an edit":                      {[]metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("kubectl-edit", "", 9), status}, "kubectl-edit", 9},
		"helm wrote over it":           {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 10), wrote("kubectl-edit", "", 9)}},
		"within the second of helm's":  {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 9), wrote("kubectl-edit", "", 9)}},
		"the last of two":              {[]metav1.ManagedFieldsEntry{wrote("b", "", 12), wrote("a", "", 11), wrote("helm", "", 0)}, "b", 12},
		"a status by hand":             {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("kubectl-edit", "status", 9)}},
		"a scale by hand has no time":  {[]metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("kubectl", "scale", -1)}, "kubectl", -1},
		"a scale by an autoscaler":     {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("kube-controller-manager", "scale", -1)}},
		"who writes the status":        {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("acme", "status", 8), wrote("acme", "", 9)}},
		"a controller by its name":     {fields: []metav1.ManagedFieldsEntry{wrote("helm", "", 0), wrote("cert-manager-cainjector", "", 9), wrote("my-operator", "", 9)}},
		"before managedFields were on": {fields: []metav1.ManagedFieldsEntry{wrote("before-first-apply", "", 9)}},
	}
	for name, c := range cases {
		manager, at, ok := follow.Touch(c.fields)
		if manager != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", name, manager, ok, c.want)
		}
		if told := c.want != "" && c.at >= 0; told && !at.Equal(noon.Add(time.Duration(c.at)*time.Second)) || !told && ok && !at.IsZero() {
			t.Errorf("%s: at %s", name, at)
		}
	}
}

// What a pod's cause is told by must survive, and little else.
func TestStripPod(t *testing.T) {
	controller := true
	whole := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "p", Namespace: "n", UID: "u", Labels: map[string]string{"pod-template-hash": "h", "app": "x"}, Annotations: map[string]string{"a": "b"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r", UID: "o", Controller: &controller}},
			ManagedFields:   []metav1.ManagedFieldsEntry{wrote("kubelet", "status", 1)},
		},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{
			{Name: "a", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}}},
			{Name: "b", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")}}},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "a", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			{Name: "b", RestartCount: 3, ImageID: "long", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}},
		}},
	}
	got, err := follow.StripPod(whole)
	if err != nil {
		t.Fatal(err)
	}
	p := got.(*corev1.Pod)
	if len(p.Labels) != 1 || p.Annotations != nil || p.ManagedFields != nil || p.OwnerReferences[0].UID != "o" {
		t.Errorf("metadata: %+v", p.ObjectMeta)
	}
	if cpu := p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); cpu != 350 || p.Spec.NodeName != "" {
		t.Errorf("%d thousandths of a CPU are requested, on %q", cpu, p.Spec.NodeName)
	}
	if s := p.Status.ContainerStatuses; len(s) != 1 || s[0].Name != "b" || s[0].RestartCount != 3 || s[0].ImageID != "" {
		t.Errorf("statuses: %+v", s)
	}
}
