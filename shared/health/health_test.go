package health_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/health"
)

func read[T any](t *testing.T, text string) T {
	t.Helper()
	var out T
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// workload is one of kind at generation 2, seen by its controller, with more laid over it.
func workload(t *testing.T, kind, more string) *unstructured.Unstructured {
	t.Helper()
	version := map[string]string{"Job": "batch/v1", "Pod": "v1"}[kind]
	if version == "" {
		version = "apps/v1"
	}
	obj := read[map[string]any](t, "metadata: {name: web, uid: w, generation: 2}\nstatus: {observedGeneration: 2, updateRevision: new}")
	obj["apiVersion"], obj["kind"] = version, kind
	obj["metadata"].(map[string]any)["annotations"] = map[string]any{
		"deployment.kubernetes.io/revision": "2", "deprecated.daemonset.template.generation": "2",
	}
	for field, value := range read[map[string]any](t, more) {
		if below, ok := obj[field].(map[string]any); ok {
			maps.Copy(below, value.(map[string]any))
			continue
		}
		obj[field] = value
	}
	raw, err := yaml.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if raw, err = yaml.YAMLToJSON(raw); err == nil {
		err = u.UnmarshalJSON(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func sets() []metav1.PartialObjectMetadata {
	set := func(uid types.UID, revision string) metav1.PartialObjectMetadata {
		controller := true
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			UID: uid, Annotations: map[string]string{"deployment.kubernetes.io/revision": revision},
			OwnerReferences: []metav1.OwnerReference{{UID: "w", Controller: &controller}},
		}}
	}
	return []metav1.PartialObjectMetadata{set("rs-old", "1"), set("rs-new", "2")}
}

// The pods' owners: the two ReplicaSets, and the workload itself at its old and its new revision.
const (
	ofOldSet = `uid: rs-old}], labels: {pod-template-hash: old}`
	ofNewSet = `uid: rs-new}], labels: {pod-template-hash: new}`
	ofOld    = `uid: w}], labels: {controller-revision-hash: old, pod-template-generation: "1"}`
	ofNew    = `uid: w}], labels: {controller-revision-hash: new, pod-template-generation: "2"}`
	ofOther  = `uid: someone}], labels: {controller-revision-hash: new, pod-template-generation: "2"}`
)

func pod(owner, status string) string {
	return fmt.Sprintf("metadata: {name: p, ownerReferences: [{controller: true, %s}\nstatus: %s", owner, status)
}

// container is the status of a pod with one, which waits.
func container(reason, message string, restarts int, last string) string {
	return fmt.Sprintf(`{phase: Pending, containerStatuses: [{name: main, image: "r.io/x:1", restartCount: %d, state: {waiting: {reason: %s, message: "%s"}}, lastState: {terminated: %s}}]}`, restarts, reason, message, last)
}

func TestJudge(t *testing.T) {
	const (
		died    = `{exitCode: 3, reason: Error, message: "no such table"}`
		killed  = `{exitCode: 137, reason: OOMKilled}`
		crashes = "CrashLoopBackOff"
		failed  = `status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too often}]}`
	)
	pull := container("ImagePullBackOff", "manifest unknown", 0, "null")
	loop := container(crashes, "back-off", 3, died)
	cases := map[string]struct {
		kind, more string   // of the workload
		pods       []string // in YAML
		noSets     bool
		code       string // none: no cause
		final      bool
		message    string // must be in it
	}{
		"no pods":                           {kind: "Deployment"},
		"zero replicas":                     {kind: "Deployment", more: "spec: {replicas: 0}"},
		"image of the new pods":             {kind: "Deployment", pods: []string{pod(ofNewSet, pull)}, code: "image-pull", final: true, message: "pod p: ImagePullBackOff: image r.io/x:1 of container main: manifest unknown"},
		"image of the old pods":             {kind: "Deployment", pods: []string{pod(ofOldSet, pull)}, code: "image-pull"},
		"first failed pull":                 {kind: "Deployment", pods: []string{pod(ofNewSet, container("ErrImagePull", "manifest unknown", 0, "null"))}, code: "image-pull"},
		"registry is busy":                  {kind: "Deployment", pods: []string{pod(ofNewSet, container("ImagePullBackOff", "429 Too Many Requests", 0, "null"))}, code: "image-pull"},
		"no image name":                     {kind: "Deployment", pods: []string{pod(ofNewSet, container("InvalidImageName", "bad", 0, "null"))}, code: "image-pull", final: true},
		"image is never pulled":             {kind: "Deployment", pods: []string{pod(ofNewSet, container("ErrImageNeverPull", "absent", 0, "null"))}, code: "image-pull", final: true},
		"third crash":                       {kind: "Deployment", pods: []string{pod(ofNewSet, loop)}, code: "crash-loop", final: true, message: "3 restarts, last ended with code 3 (Error): no such table"},
		"second crash":                      {kind: "Deployment", pods: []string{pod(ofNewSet, container(crashes, "", 2, died))}, code: "crash-loop"},
		"old pods crash":                    {kind: "Deployment", pods: []string{pod(ofOldSet, loop), pod(ofNewSet, `{phase: Running}`)}, code: "not-ready", message: "readiness probe"},
		"old pods crash, new wait":          {kind: "Deployment", pods: []string{pod(ofNewSet, container("ContainerCreating", "", 0, "null")), pod(ofOldSet, loop)}, code: "not-ready", message: "ContainerCreating"},
		"first out of memory":               {kind: "Deployment", pods: []string{pod(ofNewSet, container(crashes, "", 1, killed))}, code: "oom-killed"},
		"second out of memory":              {kind: "Deployment", pods: []string{pod(ofNewSet, container(crashes, "", 2, killed))}, code: "oom-killed", final: true, message: "137 (OOMKilled)"},
		"it crashed but runs":               {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Running, containerStatuses: [{name: main, restartCount: 9, state: {running: {}}}]}`)}, code: "not-ready", message: "readiness probe"},
		"it crashed but is ready":           {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: main, restartCount: 9, state: {running: {}}}]}`)}},
		"between two starts":                {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Running, containerStatuses: [{name: main, restartCount: 3, state: {terminated: {exitCode: 1, reason: Error}}}]}`)}, code: "crash-loop", final: true, message: "Crashed"},
		"ends well, again and again":        {kind: "Deployment", pods: []string{pod(ofNewSet, container(crashes, "", 4, `{exitCode: 0, reason: Completed}`))}, code: "crash-loop", final: true, message: "code 0 (Completed)"},
		"init container crashes":            {kind: "Deployment", pods: []string{pod(ofNewSet, strings.Replace(loop, "containerStatuses", "initContainerStatuses", 1))}, code: "crash-loop", final: true},
		"init container that is done":       {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Pending, initContainerStatuses: [{name: init, restartCount: 5, state: {terminated: {exitCode: 0}}}], containerStatuses: [{name: main, state: {waiting: {reason: PodInitializing}}}]}`)}, code: "not-ready", message: "PodInitializing"},
		"sidecar crashes":                   {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Running, initContainerStatuses: [{name: proxy, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}}], containerStatuses: [{name: main, state: {running: {}}}]}`)}, code: "crash-loop", final: true, message: "container proxy"},
		"sidecar's image":                   {kind: "Deployment", pods: []string{pod(ofNewSet, strings.Replace(pull, "containerStatuses", "initContainerStatuses", 1))}, code: "image-pull", final: true},
		"being deleted":                     {kind: "Deployment", pods: []string{strings.Replace(pod(ofNewSet, loop), "name: p,", `name: p, deletionTimestamp: "2026-01-01T00:00:00Z",`, 1)}},
		"evicted":                           {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Failed, reason: Evicted}`)}, code: "pod-failed", message: "Evicted"},
		"not observed yet":                  {kind: "Deployment", more: "status: {observedGeneration: 1}", pods: []string{pod(ofNewSet, loop)}, code: "crash-loop"},
		"paused":                            {kind: "Deployment", more: "spec: {paused: true}", pods: []string{pod(ofNewSet, loop)}, code: "crash-loop"},
		"newest ReplicaSet not there":       {kind: "Deployment", more: `metadata: {annotations: {deployment.kubernetes.io/revision: "3"}}`, pods: []string{pod(ofNewSet, loop)}, code: "crash-loop"},
		"without ReplicaSets, youngest":     {kind: "Deployment", noSets: true, pods: []string{strings.Replace(pod(ofOldSet, loop), "name: p,", `name: p, creationTimestamp: "2026-01-01T00:00:00Z",`, 1), strings.Replace(pod(ofNewSet, pull), "name: p,", `name: p, creationTimestamp: "2026-01-02T00:00:00Z",`, 1)}, code: "image-pull", final: true},
		"config error":                      {kind: "Deployment", pods: []string{pod(ofNewSet, container("CreateContainerConfigError", "secret x not found", 0, "null"))}, code: "not-ready", message: "secret x not found"},
		"no room":                           {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/3 nodes: cpu"}]}`)}, code: "unschedulable", message: "Unschedulable: 0/3 nodes: cpu"},
		"volume without claim":              {kind: "StatefulSet", pods: []string{pod(ofNew, `{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "pod has unbound immediate PersistentVolumeClaims"}]}`)}, code: "volume-unbound"},
		"a final cause goes first":          {kind: "Deployment", pods: []string{pod(ofNewSet, `{phase: Running}`), pod(ofNewSet, pull)}, code: "image-pull", final: true},
		"deadline exceeded":                 {kind: "Deployment", more: `status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: slow}]}`, code: "deadline-exceeded", final: true, message: "ProgressDeadlineExceeded: slow"},
		"deadline exceeded and why":         {kind: "Deployment", more: `status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`, pods: []string{pod(ofNewSet, `{phase: Running}`)}, code: "deadline-exceeded", final: true, message: "readiness probe"},
		"deadline of a generation ago":      {kind: "Deployment", more: `status: {observedGeneration: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`},
		"deadline exceeded by an image":     {kind: "Deployment", more: `status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`, pods: []string{pod(ofNewSet, pull)}, code: "image-pull", final: true},
		"quota":                             {kind: "Deployment", more: `status: {conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]}`, code: "not-ready", message: "exceeded quota"},
		"StatefulSet":                       {kind: "StatefulSet", pods: []string{pod(ofNew, loop)}, code: "crash-loop", final: true},
		"StatefulSet, partitioned":          {kind: "StatefulSet", more: "spec: {updateStrategy: {rollingUpdate: {partition: 1}}}", pods: []string{pod(ofOld, loop), pod(ofNew, `{phase: Running}`)}, code: "not-ready", message: "readiness probe"},
		"StatefulSet, not yet seen":         {kind: "StatefulSet", more: "status: {observedGeneration: 1}", pods: []string{pod(ofNew, loop)}, code: "crash-loop"},
		"same selector, another's":          {kind: "StatefulSet", pods: []string{pod(ofOther, loop)}, code: "crash-loop"},
		"DaemonSet":                         {kind: "DaemonSet", pods: []string{pod(ofNew, loop)}, code: "crash-loop", final: true},
		"DaemonSet, on delete":              {kind: "DaemonSet", more: "spec: {updateStrategy: {type: OnDelete}}", pods: []string{pod(ofOld, loop)}, code: "crash-loop"},
		"DaemonSet without its count":       {kind: "DaemonSet", more: "metadata: {annotations: {}}", pods: []string{pod(ofNew, loop)}, code: "crash-loop", final: true},
		"ReplicaSet":                        {kind: "ReplicaSet", pods: []string{pod(ofNew, pull)}, code: "image-pull", final: true},
		"Job backs off":                     {kind: "Job", pods: []string{pod(ofNew, container(crashes, "", 5, died))}, code: "crash-loop"},
		"Job's image":                       {kind: "Job", pods: []string{pod(ofNew, pull)}, code: "image-pull", final: true},
		"Job failed":                        {kind: "Job", more: failed, code: "job-failed", final: true, message: "BackoffLimitExceeded: too often"},
		"Job failed, never restarted":       {kind: "Job", more: failed, pods: []string{pod(ofNew, `{phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 2, reason: Error, message: "bad flag"}}}]}`)}, code: "job-failed", final: true, message: "last ended with code 2 (Error): bad flag"},
		"Job's pod failed, another is made": {kind: "Job", pods: []string{pod(ofNew, `{phase: Failed}`)}, code: "pod-failed"},
		"lone Pod":                          {kind: "Pod", pods: []string{"metadata: {name: p, uid: w}\nstatus: {phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 2, reason: Error}}}]}"}, code: "pod-failed", final: true, message: "code 2"},
		"lone Pod waits":                    {kind: "Pod", pods: []string{"metadata: {name: p, uid: w}\nstatus: " + pull}, code: "image-pull", final: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var pods []corev1.Pod
			for _, text := range c.pods {
				pods = append(pods, read[corev1.Pod](t, text))
			}
			replicaSets := sets()
			if c.noSets {
				replicaSets = nil
			}
			got := health.Judge(workload(t, c.kind, c.more), replicaSets, pods)
			if got == nil {
				if c.code != "" {
					t.Error("no cause")
				}
				return
			}
			if got.Code != c.code || got.Waiting == c.final || !strings.Contains(got.Message, c.message) {
				t.Errorf("%+v", *got)
			}
			if strings.HasPrefix(c.code, "image") && got.Image != "r.io/x:1" {
				t.Errorf("image %q", got.Image)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	ready := "spec: {replicas: 1}\nstatus: {replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: \"True\"}]}"
	cases := map[string]struct{ kind, more, want string }{
		"ready":                  {"Deployment", ready, "Current"},
		"paused half way":        {"Deployment", "spec: {replicas: 2, paused: true}\nstatus: {replicas: 2, updatedReplicas: 1}", "InProgress"},
		"none wanted":            {"Deployment", "spec: {replicas: 0}\nstatus: {conditions: [{type: Available, status: \"True\"}]}", "Current"},
		"never observed":         {"Deployment", "spec: {replicas: 0}\nstatus: null", "InProgress"},
		"partition kept back":    {"StatefulSet", "spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}\nstatus: {replicas: 2, readyReplicas: 2, updatedReplicas: 1, currentReplicas: 1}", "Current"},
		"on delete, StatefulSet": {"StatefulSet", "spec: {updateStrategy: {type: OnDelete}}", "Current"},
		"on delete, DaemonSet":   {"DaemonSet", "spec: {updateStrategy: {type: OnDelete}}\nstatus: {desiredNumberScheduled: 1, currentNumberScheduled: 1, numberAvailable: 1, numberReady: 1, updatedNumberScheduled: 0}", "Current"},
		"Job runs":               {"Job", "status: {startTime: \"2026-01-01T00:00:00Z\", active: 1}", "InProgress"},
		"conditions of no shape": {"Deployment", "status: {conditions: [5]}", "Unknown"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			more := c.more
			u := workload(t, c.kind, strings.Replace(more, "\nstatus: null", "", 1))
			if strings.Contains(more, "status: null") {
				unstructured.RemoveNestedField(u.Object, "status")
			}
			if got := health.Status(u); got.Status.String() != c.want {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(`{"status":{"phase":"Pending","containerStatuses":[{"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		var p corev1.Pod
		if yaml.Unmarshal([]byte(raw), &p) != nil {
			return
		}
		if c := health.Judge(&unstructured.Unstructured{Object: map[string]any{"kind": "ReplicaSet"}}, nil, []corev1.Pod{p}); c != nil && (c.Code == "" || c.Message == "") {
			t.Errorf("a cause that says nothing: %+v", c)
		}
	})
}
