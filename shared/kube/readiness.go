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

	"github.com/swell-sh/swell/shared/health"
)

// Readiness is what a release's objects show now.
type Readiness struct {
	Ready   bool          // all of them do their work
	Failed  bool          // at least one will not get ready without a change
	Objects []ObjectState // those that can be not ready, in the manifest's order
}

// ObjectState is one object's part in it.
type ObjectState struct {
	Kind       string
	Namespace  string // empty for a cluster-wide object
	Name       string
	UID        string // as it is now; empty: it does not exist
	Generation int64
	State      string // kstatus' word: Current, InProgress, Failed, Terminating, NotFound, Unknown
	Message    string // kstatus' sentence
	Reason     string // of a workload that is not ready: what a person needs to know of its pods; often empty
	Code       string // of the reason, one of the package health's; empty where none is known
	Final      bool   // the reason does not pass by itself
}

// Ready says whether the object does its work.
func (o ObjectState) Ready() bool { return o.State == status.CurrentStatus.String() }

// Failed says that the object does not get ready without a change of the release.
func (o ObjectState) Failed() bool { return o.Final || o.State == status.FailedStatus.String() }

// Waiting returns the objects that are not ready, those that failed first.
func (r Readiness) Waiting() []ObjectState {
	var failed, waiting []ObjectState
	for _, o := range r.Objects {
		switch {
		case o.Failed():
			failed = append(failed, o)
		case !o.Ready():
			waiting = append(waiting, o)
		}
	}
	return append(failed, waiting...)
}

// Code is that of the first object that failed, else of the first that is known why it waits.
func (r Readiness) Code() string {
	for _, o := range r.Waiting() {
		switch {
		case o.Code != "":
			return o.Code
		case o.Failed():
			return health.CodeWorkloadFailed
		}
	}
	return health.CodeNotReady
}

// Rules are what a user says of the health of objects, over what kstatus says.
type Rules interface {
	// Covers says whether a rule is about objects of this kind and name; such an object is looked at whatever its kind.
	Covers(gvk schema.GroupVersionKind, namespace, name string) bool
	// Unmatched names the rules that are about none of a manifest's objects, whose namespaces are set.
	Unmatched(objects []*unstructured.Unstructured) []string
	// Judge is what the rule makes of a live object that it covers.
	Judge(ctx context.Context, live map[string]any) (state status.Status, message string)
}

// Readiness reads the live state of a manifest's objects, one GET for each that can be not ready, and of workloads that are not
// ready the pods. Namespace is the release's, for objects that name none; rules may be nil. An error means that the cluster could
// not be asked, and then nothing is known.
func (c *Client) Readiness(ctx context.Context, manifest []byte, namespace string, rules Rules) (Readiness, error) {
	checks, err := c.checks(manifest, namespace, rules)
	if err != nil {
		return Readiness{}, err
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
		result.Failed = result.Failed || check.state.Failed()
	}
	return result, nil
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
	if check.gvr.Resource == "" { // not served
		return nil
	}
	live, err := c.dynamic.Resource(check.gvr).Namespace(check.state.Namespace).Get(ctx, check.state.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		check.state.State, check.state.Message = status.NotFoundStatus.String(), "it does not exist"
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", check.state.Kind, check.state.Name, Classify(err))
	}
	check.live = live
	check.state.UID, check.state.Generation = string(live.GetUID()), live.GetGeneration()
	if check.rules != nil {
		state, message := check.rules.Judge(ctx, live.Object)
		check.state.State, check.state.Message = state.String(), clip(message)
		return nil
	}
	result := health.Status(live)
	if check.state.Kind == "PersistentVolumeClaim" && result.Status == status.InProgressStatus {
		if result, err = c.claim(ctx, live, result); err != nil {
			return err
		}
	}
	check.state.State, check.state.Message = result.Status.String(), clip(result.Message)
	if check.state.Kind == "PersistentVolumeClaim" && !check.state.Ready() {
		check.state.Code = health.CodeVolumeUnbound
	}
	return nil
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
