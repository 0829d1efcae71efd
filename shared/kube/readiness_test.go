package kube_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
)

// put stores objects written as YAML.
func put(tb testing.TB, server *kubetest.Server, docs string) {
	tb.Helper()
	for doc := range strings.SplitSeq(docs, "\n---\n") {
		obj := map[string]any{}
		if err := yaml.Unmarshal([]byte(doc), &obj); err != nil {
			tb.Fatal(err)
		}
		server.Put(obj)
	}
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo, generation: 2}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, progressDeadlineSeconds: 600}
status:
  observedGeneration: 2
  replicas: 2
  updatedReplicas: 2
  readyReplicas: 2
  availableReplicas: 2
  conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]
`

// starved is the deployment with one replica that does not get ready.
var starved = strings.NewReplacer("readyReplicas: 2", "readyReplicas: 1", "availableReplicas: 2", "availableReplicas: 1").Replace(deployment)

func pod(name, status string) string {
	return fmt.Sprintf("\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: demo, labels: {app: web}}\nstatus: %s", name, status)
}

func TestReadiness(t *testing.T) {
	const claim = "\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: demo}\nspec: {storageClassName: %s}\nstatus: {phase: %s}"
	const class = "\n---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: %s}\nvolumeBindingMode: %s"
	const job = "\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: demo}\nspec: {suspend: %v, selector: {matchLabels: {app: web}}}\nstatus: %s"
	waiting := `{phase: Pending, containerStatuses: [{name: main, image: "ghcr.io/x:1", restartCount: 4, state: {waiting: {reason: %s, message: "%s"}}, lastState: {terminated: {exitCode: 3, reason: Error}}}]}`

	cases := map[string]struct {
		live          string // the cluster's objects, of which the first is in the manifest
		ready, failed bool
		state         string
		reason        string // must be in Reason
		code          string // not-ready, if empty
	}{
		"Deployment":        {live: deployment, ready: true, state: "Current"},
		"OldGeneration":     {live: strings.Replace(deployment, "observedGeneration: 2", "observedGeneration: 1", 1), state: "InProgress"},
		"NeverObserved":     {live: strings.Replace(strings.Replace(deployment, "observedGeneration: 2", "x: 1", 1), "generation: 2", "generation: 1", 1), state: "InProgress"},
		"NotAvailable":      {live: starved, state: "InProgress"},
		"DeadlineExceeded":  {live: strings.Replace(starved, "NewReplicaSetAvailable", "ProgressDeadlineExceeded", 1), failed: true, state: "Failed", reason: "ProgressDeadlineExceeded", code: "deadline-exceeded"},
		"BeingDeleted":      {live: strings.Replace(deployment, "generation: 2", `generation: 2, deletionTimestamp: "2026-01-01T00:00:00Z"`, 1), state: "Terminating"},
		"ImagePull":         {live: starved + pod("a", fmt.Sprintf(waiting, "ImagePullBackOff", "not found")), failed: true, code: "image-pull", state: "InProgress", reason: "ImagePullBackOff: image ghcr.io/x:1 of container main: not found"},
		"CrashLoop":         {live: starved + pod("a", fmt.Sprintf(waiting, "CrashLoopBackOff", "back-off")), failed: true, code: "crash-loop", state: "InProgress", reason: "CrashLoopBackOff: container main, 4 restarts, last ended with code 3 (Error)"},
		"ConfigError":       {live: starved + pod("a", fmt.Sprintf(waiting, "CreateContainerConfigError", "secret x not found")), state: "InProgress", reason: "CreateContainerConfigError: container main: secret x not found"},
		"Unschedulable":     {live: starved + pod("a", `{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/3 nodes"}]}`), code: "unschedulable", state: "InProgress", reason: "Unschedulable: 0/3 nodes"},
		"ProbeFails":        {live: starved + pod("a", `{phase: Running, conditions: [{type: Ready, status: "False"}]}`), state: "InProgress", reason: "readiness probe"},
		"WorstOfMany":       {live: starved + pod("a", `{phase: Running}`) + pod("b", fmt.Sprintf(waiting, "ErrImagePull", "no")) + pod("c", fmt.Sprintf(waiting, "ContainerCreating", "")), code: "image-pull", state: "InProgress", reason: "ErrImagePull"},
		"InitContainer":     {live: starved + pod("a", strings.Replace(fmt.Sprintf(waiting, "CrashLoopBackOff", ""), "containerStatuses", "initContainerStatuses", 1)), failed: true, code: "crash-loop", state: "InProgress", reason: "CrashLoopBackOff"},
		"QuotaExceeded":     {live: strings.Replace(starved, "conditions: [", "conditions: [{type: ReplicaFailure, status: \"True\", reason: FailedCreate, message: exceeded quota},", 1), state: "InProgress", reason: "FailedCreate: exceeded quota"},
		"PodsOfOthers":      {live: starved + strings.Replace(pod("a", fmt.Sprintf(waiting, "ImagePullBackOff", "")), "app: web", "app: other", 1), state: "InProgress"},
		"StatefulSet":       {live: "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: demo, generation: 1}\nspec: {replicas: 1}\nstatus: {observedGeneration: 1, replicas: 1, readyReplicas: 0}", state: "InProgress"},
		"StatefulSetOfZero": {live: "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: demo, generation: 1}\nspec: {replicas: 0}", state: "InProgress"}, // not yet observed
		"DaemonSet":         {live: "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent, namespace: demo, generation: 1}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1, numberReady: 1}", state: "InProgress"},
		"JobRuns":           {live: fmt.Sprintf(job, false, `{startTime: "2026-01-01T00:00:00Z", active: 1}`), state: "InProgress"},
		"JobDone":           {live: fmt.Sprintf(job, false, `{startTime: "2026-01-01T00:00:00Z", conditions: [{type: Complete, status: "True"}]}`), ready: true, state: "Current"},
		"JobFailed":         {live: fmt.Sprintf(job, false, `{startTime: "2026-01-01T00:00:00Z", conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}`), failed: true, code: "job-failed", state: "Failed", reason: "BackoffLimitExceeded"},
		"JobSuspended":      {live: fmt.Sprintf(job, true, `{startTime: "2026-01-01T00:00:00Z"}`), ready: true, state: "Current"},
		"PodFailed":         {live: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: demo}\nstatus: {phase: Failed, reason: Evicted}", failed: true, code: "pod-failed", state: "Failed", reason: "pod p: Evicted"},
		"PodUnschedulable":  {live: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: demo, creationTimestamp: \"2026-01-01T00:00:00Z\"}\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: \"False\", reason: Unschedulable, message: no room}]}", code: "unschedulable", state: "InProgress", reason: "no room"},
		"ClaimBound":        {live: fmt.Sprintf(claim, "fast", "Bound"), ready: true, state: "Current"},
		"ClaimPending":      {live: fmt.Sprintf(claim, "fast", "Pending") + fmt.Sprintf(class, "fast", "Immediate"), code: "volume-unbound", state: "InProgress"},
		"ClaimWaits":        {live: fmt.Sprintf(claim, "slow", "Pending") + fmt.Sprintf(class, "slow", "WaitForFirstConsumer"), ready: true, state: "Current"},
		"ClaimLost":         {live: fmt.Sprintf(claim, "slow", "Lost") + fmt.Sprintf(class, "slow", "WaitForFirstConsumer"), code: "volume-unbound", state: "InProgress"},
		"ClaimNoClass":      {live: fmt.Sprintf(claim, "none", "Pending"), code: "volume-unbound", state: "InProgress"},
		"APIService":        {live: "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.x}\nstatus: {conditions: [{type: Available, status: \"False\"}]}", state: "InProgress"},
		"CRD":               {live: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.y}\nstatus: {conditions: [{type: Established, status: \"True\"}]}", ready: true, state: "Current"},
		"StrangeStatus":     {live: strings.Replace(deployment, "conditions: [", "conditions: [5, ", 1), state: "Unknown"},
	}
	for what, tc := range cases {
		t.Run(what, func(t *testing.T) {
			server, client := newServer(t, kubetest.Options{})
			put(t, server, tc.live)
			server.ResetRequests()
			manifest, _, _ := strings.Cut(tc.live, "\n---\n")
			got, err := client.Readiness(t.Context(), []byte(manifest), "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Objects) != 1 {
				t.Fatalf("%d objects, want 1", len(got.Objects))
			}
			o := got.Objects[0]
			if got.Ready != tc.ready || got.Failed != tc.failed || o.State != tc.state {
				t.Errorf("ready %v, failed %v, %+v", got.Ready, got.Failed, o)
			}
			if !strings.Contains(o.Reason, tc.reason) || (tc.reason == "" && o.Reason != "") {
				t.Errorf("reason %q, want %q", o.Reason, tc.reason)
			}
			if code := cmp.Or(tc.code, "not-ready"); !got.Ready && got.Code() != code {
				t.Errorf("code %s, want %s", got.Code(), code)
			}
			requests := 2
			if got.Failed {
				requests = 3 // and the ReplicaSets
			}
			if server.Count("", "") > requests || server.Writes() > 0 {
				t.Errorf("requests: %+v", server.Requests())
			}
		})
	}
}

func TestReadinessOfAManifest(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	var manifest strings.Builder
	for i := range 40 {
		fmt.Fprintf(&manifest, "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata:\n  text: |\n    kind: Deployment\n", i)
	}
	for i := range 5 {
		doc := strings.NewReplacer("name: web, namespace: demo,", fmt.Sprintf("name: web%d,", i), "app: web", fmt.Sprintf("app: web%d", i)).Replace(starved)
		manifest.WriteString("---" + doc)
		put(t, server, strings.Replace(doc, "metadata: {", "metadata: {namespace: prod, ", 1))
	}
	manifest.WriteString("---\nkind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p, namespace: demo}}\n")
	manifest.WriteString("---\n\"kind\": Service\napiVersion: v1\nmetadata: {name: lb}\nspec: {type: LoadBalancer}\n")
	manifest.WriteString("---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n---\n\n")
	server.ResetRequests()

	got, err := client.Readiness(t.Context(), []byte(manifest.String()), "prod", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Ready || got.Failed || len(got.Objects) != 6 || len(got.Waiting()) != 6 {
		t.Errorf("Readiness: %+v", got)
	}
	last := got.Objects[5]
	want := kube.ObjectState{Kind: "Pod", Namespace: "demo", Name: "p", State: "NotFound", Message: "it does not exist"}
	if diff := gocmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	if gets, lists := server.Count("get", ""), server.Count("list", "pods"); gets != 6 || lists != 1 || server.Count("", "") != 7 {
		t.Errorf("%d GETs, %d LISTs of pods, %d requests; want 6, 1, 7", gets, lists, server.Count("", ""))
	}
	if server.Requests()[0].Namespace == "" {
		t.Errorf("requests: %+v", server.Requests())
	}
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, scope: %s, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true}]}
---
`

// TestReadinessOfCustomKinds: by kstatus' conventions, for one discovery; what has no status passes, and what is not served is missing.
func TestReadinessOfCustomKinds(t *testing.T) {
	const widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: demo, generation: 2}\n"
	cases := map[string]struct {
		status, state, message string
		unserved, cluster      bool
	}{
		"no status":        {state: "Current"},
		"ready":            {status: `status: {conditions: [{type: Ready, status: "True"}]}`, state: "Current"},
		"not ready":        {status: `status: {conditions: [{type: Ready, status: "False", reason: Waits, message: for a license}]}`, state: "InProgress", message: "for a license"},
		"old generation":   {status: `status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}`, state: "InProgress"},
		"reconciling":      {status: `status: {conditions: [{type: Reconciling, status: "True", message: at work}]}`, state: "InProgress", message: "at work"},
		"stalled":          {status: `status: {conditions: [{type: Stalled, status: "True", message: no license}]}`, state: "Failed", message: "no license"},
		"not available":    {status: `status: {conditions: [{type: Available, status: "False", reason: NoPods, message: "0 of 3"}]}`, state: "InProgress", message: "Available: NoPods: 0 of 3"},
		"cluster-wide":     {cluster: true, status: `status: {conditions: [{type: Ready, status: "False"}]}`, state: "InProgress"},
		"of no known kind": {unserved: true, state: "NotFound", message: "does not serve"},
	}
	for what, tc := range cases {
		t.Run(what, func(t *testing.T) {
			server, client := newServer(t, kubetest.Options{})
			scope, doc := "Namespaced", widget+tc.status
			if tc.cluster {
				scope, doc = "Cluster", strings.Replace(doc, ", namespace: demo", "", 1)
			}
			if !tc.unserved {
				put(t, server, fmt.Sprintf(widgets, scope)+doc)
			}
			server.ResetRequests()
			got, err := client.Readiness(t.Context(), []byte(strings.Split(doc, "status:")[0]), "demo", nil)
			if err != nil || len(got.Objects) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			o := got.Objects[0]
			if o.State != tc.state || !strings.Contains(o.Message, tc.message) || got.Ready != (tc.state == "Current") || got.Failed != (tc.state == "Failed") {
				t.Errorf("%+v", got)
			}
			if server.Count("get", "widgets") > 1 || server.Writes() > 0 || len(server.Requests()) > 5 {
				t.Errorf("requests: %+v", server.Requests())
			}
		})
	}
}

func TestReadinessOfNothing(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	got, err := client.Readiness(t.Context(), nil, "demo", nil)
	if err != nil || !got.Ready || got.Failed || server.Count("", "") != 0 {
		t.Errorf("%+v, %v, %d requests", got, err, server.Count("", ""))
	}
}

// TestReadinessIsNoGuess: when the cluster cannot be asked, nothing is said about it.
func TestReadinessIsNoGuess(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	put(t, server, deployment)
	for code, want := range map[int32]string{401: "ClusterUnauthorized", 403: "ClusterUnauthorized", 503: "ClusterUnreachable", 429: "ClusterUnreachable"} {
		server.Fail(func(*http.Request) *metav1.Status {
			return &metav1.Status{Code: code, Reason: map[int32]metav1.StatusReason{401: "Unauthorized", 403: "Forbidden", 503: "ServiceUnavailable", 429: "TooManyRequests"}[code]}
		})
		got, err := client.Readiness(t.Context(), []byte(deployment), "demo", nil)
		if name(err) != want || got.Ready {
			t.Errorf("%d: %+v, %v", code, got, err)
		}
	}
}

func TestReadinessOfBadManifests(t *testing.T) {
	_, client := newServer(t, kubetest.Options{})
	for what, manifest := range map[string]string{
		"NotYAML":   "kind: Deployment\nsecret: [t0k3n-that-must-not-leak",
		"NotObject": "- kind: Deployment",
		"TooLong":   strings.Repeat("# comment\n", 2<<20),
	} {
		_, err := client.Readiness(t.Context(), []byte(manifest), "demo", nil)
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzReadiness(f *testing.F) {
	server := kubetest.New(nil, kubetest.Options{})
	defer server.Close()
	client := newClient(f, server.Credential())
	f.Add(deployment)
	f.Add("kind: List\nitems: [{kind: Pod}]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, manifest string) {
		_, _ = client.Readiness(t.Context(), []byte(manifest), "demo", nil) // must not panic
	})
}
