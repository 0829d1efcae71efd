package kube

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// maxReasons is how many not-ready workloads get their pods looked at: one is usually the cause, more would cost calls.
const maxReasons = 3

// Readiness is what a release's objects show now.
type Readiness struct {
	Ready   bool          // all of them do their work
	Failed  bool          // at least one will not get ready without a change
	Objects []ObjectState // those that can be not ready, in the manifest's order
}

// ObjectState is one object's part in it.
type ObjectState struct {
	Kind      string
	Namespace string // empty for a cluster-wide object
	Name      string
	State     string // kstatus' word: Current, InProgress, Failed, Terminating, NotFound, Unknown
	Message   string // kstatus' sentence
	Reason    string // of a workload that is not ready: what a person needs to know of its pods; often empty
}

// Ready says whether the object does its work.
func (o ObjectState) Ready() bool { return o.State == status.CurrentStatus.String() }

// Waiting returns the objects that are not ready.
func (r Readiness) Waiting() []ObjectState {
	var waiting []ObjectState
	for _, o := range r.Objects {
		if !o.Ready() {
			waiting = append(waiting, o)
		}
	}
	return waiting
}

// watched are the kinds that can be not ready, with their resources. The types are known, so that no discovery is needed.
//
// Not here on purpose: Services of type LoadBalancer and Ingresses, whose address comes from a controller outside the
// cluster, which many clusters do not have; a release without one works inside the cluster. HorizontalPodAutoscalers and
// PodDisruptionBudgets do no work of their own. Custom resources mean ready each in its own way.
var watched = map[schema.GroupKind]kind{
	{Group: "apps", Kind: "Deployment"}:                               {resource: "deployments", pods: true, observed: true},
	{Group: "apps", Kind: "StatefulSet"}:                              {resource: "statefulsets", pods: true, observed: true},
	{Group: "apps", Kind: "DaemonSet"}:                                {resource: "daemonsets", pods: true, observed: true},
	{Group: "apps", Kind: "ReplicaSet"}:                               {resource: "replicasets", pods: true, observed: true},
	{Group: "batch", Kind: "Job"}:                                     {resource: "jobs", pods: true},
	{Kind: "Pod"}:                                                     {resource: "pods"},
	{Kind: "PersistentVolumeClaim"}:                                   {resource: "persistentvolumeclaims"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {resource: "customresourcedefinitions", cluster: true},
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             {resource: "apiservices", cluster: true},
}

type kind struct {
	resource string
	cluster  bool
	pods     bool // it has a selector of pods
	observed bool // its controller sets observedGeneration
}

var watchedKinds = func() map[string]bool {
	names := map[string]bool{}
	for gk := range watched {
		names[gk.Kind] = true
	}
	return names
}()

// Readiness reads the live state of a manifest's objects, one GET each, and for up to three workloads that are not ready
// their pods. Namespace is the release's, for objects that name none. An error means that the cluster could not be asked,
// and then nothing is known.
func (c *Client) Readiness(ctx context.Context, manifest []byte, namespace string) (Readiness, error) {
	objects, err := parse(manifest, func(kind string) bool { return watchedKinds[kind] })
	if err != nil {
		return Readiness{}, err
	}
	var checks []*check
	for _, u := range objects {
		if k, ok := watched[u.GroupVersionKind().GroupKind()]; ok && u.GetName() != "" {
			checks = append(checks, newCheck(u, k, namespace))
		}
	}
	if err := c.readAll(ctx, checks); err != nil {
		return Readiness{}, err
	}
	if err := c.explain(ctx, checks); err != nil {
		return Readiness{}, err
	}
	result := Readiness{Ready: true}
	for _, check := range checks {
		result.Objects = append(result.Objects, check.state)
		result.Ready = result.Ready && check.state.Ready()
		result.Failed = result.Failed || check.state.State == status.FailedStatus.String()
	}
	return result, nil
}

// check is one object on its way from the manifest to its state.
type check struct {
	kind  kind
	gvr   schema.GroupVersionResource
	live  *unstructured.Unstructured
	state ObjectState
}

func newCheck(u *unstructured.Unstructured, k kind, namespace string) *check {
	if u.GetNamespace() != "" {
		namespace = u.GetNamespace()
	}
	if k.cluster {
		namespace = ""
	}
	return &check{
		kind:  k,
		gvr:   u.GroupVersionKind().GroupVersion().WithResource(k.resource),
		state: ObjectState{Kind: u.GetKind(), Namespace: namespace, Name: u.GetName()},
	}
}

func (c *Client) readAll(ctx context.Context, checks []*check) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, check := range checks {
		group.Go(func() error { return c.read(ctx, check) })
	}
	return group.Wait()
}

func (c *Client) read(ctx context.Context, check *check) error {
	live, err := c.dynamic.Resource(check.gvr).Namespace(check.state.Namespace).Get(ctx, check.state.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		check.state.State, check.state.Message = status.NotFoundStatus.String(), "it does not exist"
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", check.state.Kind, check.state.Name, Classify(err))
	}
	check.live = live
	result := compute(live)
	if check.kind.observed && result.Status == status.CurrentStatus && !observed(live) {
		result = inProgress("its controller has not seen its latest generation")
	}
	if check.state.Kind == "PersistentVolumeClaim" && result.Status == status.InProgressStatus {
		if result, err = c.claim(ctx, live, result); err != nil {
			return err
		}
	}
	check.state.State, check.state.Message = result.Status.String(), clip(result.Message)
	return nil
}

// observed is stricter than kstatus, which takes an object without status for one that has none.
func observed(u *unstructured.Unstructured) bool {
	seen, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	return err == nil && found && seen >= u.GetGeneration()
}

// claim lets a claim pass that waits for its first consumer: a workload that uses it and does not run is not ready
// itself, and one that nobody uses would wait for ever.
func (c *Client) claim(ctx context.Context, pvc *unstructured.Unstructured, pending *status.Result) (*status.Result, error) {
	name, _, _ := unstructured.NestedString(pvc.Object, "spec", "storageClassName")
	phase, _, _ := unstructured.NestedString(pvc.Object, "status", "phase")
	if name == "" || phase != "Pending" {
		return pending, nil
	}
	class, err := c.typed.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return inProgress(fmt.Sprintf("its storage class %s does not exist", name)), nil
	case apierrors.IsForbidden(err):
		return pending, nil
	case err != nil:
		return nil, fmt.Errorf("reading storage class %s: %w", name, Classify(err))
	}
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == "WaitForFirstConsumer" {
		return &status.Result{Status: status.CurrentStatus, Message: "it is bound when a pod first uses it"}, nil
	}
	return pending, nil
}

func inProgress(message string) *status.Result {
	return &status.Result{Status: status.InProgressStatus, Message: message}
}

// compute is kstatus with three changes: a Job that runs is not ready yet; an APIService is ready when available; a Pod that
// stands alone has failed when its phase says so, not while it could still be scheduled or restarted.
func compute(u *unstructured.Unstructured) (result *status.Result) {
	defer func() {
		// kstatus asserts types of what the server sent; a strange server must not end the process.
		if recover() != nil {
			result = &status.Result{Status: status.UnknownStatus, Message: "its status is not of the usual shape"}
		}
	}()
	result, err := status.Compute(u)
	if err != nil {
		return &status.Result{Status: status.UnknownStatus, Message: "its status is not of the usual shape"}
	}
	switch u.GetKind() {
	case "Job":
		suspended, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend")
		if result.Status == status.CurrentStatus && !suspended && !conditionTrue(u, "Complete") {
			return inProgress(result.Message)
		}
	case "APIService":
		if result.Status == status.CurrentStatus && !conditionTrue(u, "Available") {
			return inProgress("it is not available")
		}
	case "Pod":
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		if phase == "Failed" {
			return &status.Result{Status: status.FailedStatus, Message: result.Message}
		}
		if result.Status == status.FailedStatus {
			return inProgress(result.Message)
		}
	}
	return result
}

func conditionTrue(u *unstructured.Unstructured, name string) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == name {
			return m["status"] == "True"
		}
	}
	return false
}
