package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	helmkube "helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/resource"
)

const (
	atOnce       = 16 // requests of one kind of object; Helm's own installs send all at once
	goneEvery    = 100 * time.Millisecond
	goneEveryMax = 2 * time.Second
)

// objects is Helm's client for the release's objects with five differences: hooks together have one deadline and a late one is named
// and left running, objects of one kind are updated side by side (as Helm creates them), nothing is asked twice that this process knows,
// what a failed upgrade left goes with the next one, and what Helm only logs is kept.
type objects struct {
	client *helmkube.Client
	hookBy time.Time // no hook is waited for beyond it
	// leftovers finds what failed upgrades made that neither list has; nil where nothing of the kind can be.
	leftovers func(original, target helmkube.ResourceList) helmkube.ResourceList
	// said is what a hook that failed wrote, before a policy deletes it; nil: nobody asks.
	said func(hooks helmkube.ResourceList) string

	mu       sync.Mutex
	late     []*resource.Info // hooks that did not end in time
	hook     *Error
	warnings []string
	failures []error // of deletions
	kept     error   // why an upgrade could not tell, for want of an answer, whether what is no more in the chart is gone
}

var (
	_ helmkube.Interface                    = (*objects)(nil)
	_ helmkube.InterfaceExt                 = (*objects)(nil)
	_ helmkube.InterfaceDeletionPropagation = (*objects)(nil)
)

// newObjects wraps client and listens to its log: Helm says there, and nowhere else, which objects it could not delete.
func newObjects(client *helmkube.Client, hookBy time.Time) *objects {
	o := &objects{client: client, hookBy: hookBy}
	client.Log = func(format string, args ...any) {
		if strings.HasPrefix(format, "Failed to delete") || strings.HasPrefix(format, "Unable to get obj") {
			o.stays(format, args...)
		}
	}
	return o
}

// stays is an object that should go. To Helm the upgrade is done then, and nobody would delete the object any more. So where there was no answer
// the verb fails, and the next one deletes; a refusal the next one would hear again: that is a warning.
func (o *objects) stays(format string, args ...any) {
	o.warn(format, args...)
	for _, arg := range args {
		if err, ok := arg.(error); ok && unanswering(err) {
			o.mu.Lock()
			o.kept = errors.Join(o.kept, fmt.Errorf("deleting what is no more in the chart: %w", err))
			o.mu.Unlock()
		}
	}
}

// warn keeps what is wrong and does not fail the verb.
func (o *objects) warn(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.warnings = append(o.warnings, fmt.Sprintf(format, args...))
}

// IsReachable is known: the capabilities were read from the cluster.
func (*objects) IsReachable() error { return nil }

// Build never validates on the client's side: for that Helm would download the cluster's whole OpenAPI document. The server validates.
func (o *objects) Build(r io.Reader, _ bool) (helmkube.ResourceList, error) {
	return o.client.Build(r, false)
}

// Create makes objects, side by side within a kind.
func (o *objects) Create(list helmkube.ResourceList) (*helmkube.Result, error) {
	return o.client.Create(list)
}

// Update is Helm's update, kind by kind in its order, the objects of a kind side by side; then what is no longer in target is deleted.
func (o *objects) Update(original, target helmkube.ResourceList, force bool) (*helmkube.Result, error) {
	all := &helmkube.Result{}
	for batch := range batches(target) {
		results := make([]*helmkube.Result, len(batch))
		failed := make([]error, len(batch))
		var group errgroup.Group
		group.SetLimit(atOnce)
		for i, info := range batch {
			group.Go(func() error {
				one := helmkube.ResourceList{info}
				results[i], failed[i] = o.client.Update(original.Intersect(one), one, force)
				return nil
			})
		}
		_ = group.Wait() // failures are in failed, of all and not of the first alone
		for _, r := range results {
			all.Created = append(all.Created, r.Created...)
			all.Updated = append(all.Updated, r.Updated...)
		}
		if err := errors.Join(failed...); err != nil {
			return all, err
		}
	}
	gone := original.Difference(target)
	if o.leftovers != nil {
		gone = append(gone, o.leftovers(original, target)...)
	}
	rest, err := o.client.Update(gone, nil, force)
	all.Deleted = rest.Deleted
	return all, errors.Join(err, o.kept)
}

// batches yields the runs of one kind.
func batches(list helmkube.ResourceList) func(func(helmkube.ResourceList) bool) {
	return func(yield func(helmkube.ResourceList) bool) {
		for len(list) > 0 {
			kind := list[0].Mapping.GroupVersionKind.Kind
			n := slices.IndexFunc(list, func(i *resource.Info) bool { return i.Mapping.GroupVersionKind.Kind != kind })
			if n < 0 {
				n = len(list)
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// Delete deletes, but for a hook that still runs.
func (o *objects) Delete(list helmkube.ResourceList) (*helmkube.Result, []error) {
	return o.DeleteWithPropagationPolicy(list, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy is Delete with a choice.
func (o *objects) DeleteWithPropagationPolicy(list helmkube.ResourceList, p metav1.DeletionPropagation) (*helmkube.Result, []error) {
	list = o.ended(list)
	if len(list) == 0 {
		return &helmkube.Result{}, nil
	}
	result, errs := o.client.DeleteWithPropagationPolicy(list, p)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = append(o.failures, errs...)
	return result, errs
}

// ended leaves out hooks that were late: a policy "delete on failure" would end a Job that still works.
func (o *objects) ended(list helmkube.ResourceList) helmkube.ResourceList {
	o.mu.Lock()
	defer o.mu.Unlock()
	late := helmkube.ResourceList(o.late)
	return list.Filter(func(i *resource.Info) bool { return !late.Contains(i) })
}

// WatchUntilReady waits for one hook, as long as all hooks together may take.
func (o *objects) WatchUntilReady(list helmkube.ResourceList, timeout time.Duration) error {
	left := min(timeout, time.Until(o.hookBy))
	var err error
	if left > 0 {
		err = o.client.WatchUntilReady(list, left)
	} else if len(o.waitedFor(list)) > 0 {
		err = context.DeadlineExceeded
	}
	if err == nil {
		return nil
	}
	waited := o.waitedFor(list)
	cause := err.Error()
	if o.said != nil {
		cause += o.said(waited)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hook = &Error{Code: CodeHookFailed, Object: names(waited), Cause: cause}
	if timedOut(err) {
		o.late = append(o.late, waited...)
		o.hook = &Error{Code: CodeHookTimeout, Object: names(waited),
			Cause: "the hook had not ended in the time a verb may wait for hooks, and still runs"}
	}
	return o.hook
}

// waitedFor: of other kinds Helm expects no end.
func (*objects) waitedFor(list helmkube.ResourceList) helmkube.ResourceList {
	return list.Filter(func(i *resource.Info) bool {
		kind := i.Mapping.GroupVersionKind.Kind
		return kind == "Job" || kind == "Pod"
	})
}

func timedOut(err error) bool {
	return wait.Interrupted(err) || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timed out waiting for the condition")
}

func names(list helmkube.ResourceList) string {
	all := make([]string, len(list))
	for i, info := range list {
		all[i] = info.Mapping.GroupVersionKind.Kind + "/" + info.Name
	}
	return strings.Join(all, ", ")
}

// WaitForDelete waits until a hook of an earlier run is gone. Helm looks every two seconds, which is most of many a verb's time.
func (o *objects) WaitForDelete(list helmkube.ResourceList, timeout time.Duration) error {
	list = o.ended(list)
	end := time.Now().Add(min(timeout, time.Until(o.hookBy)))
	for _, info := range list {
		if err := o.awaitGone(info, end); err != nil {
			return err
		}
	}
	return nil
}

func (o *objects) awaitGone(info *resource.Info, end time.Time) error {
	for pause := goneEvery; ; pause = min(2*pause, goneEveryMax) {
		err := info.Get()
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return fmt.Errorf("waiting for the end of %s: %w", info.ObjectName(), err)
		case time.Now().After(end):
			o.mu.Lock()
			defer o.mu.Unlock()
			o.hook = &Error{Code: CodeHookTimeout, Object: names(helmkube.ResourceList{info}),
				Cause: "the hook of an earlier run was told to go and is still there"}
			return o.hook
		}
		time.Sleep(pause)
	}
}

// Wait is never asked: verbs do not wait for workloads.
func (o *objects) Wait(list helmkube.ResourceList, timeout time.Duration) error {
	return o.client.Wait(list, timeout)
}

// WaitWithJobs is never asked either.
func (o *objects) WaitWithJobs(list helmkube.ResourceList, timeout time.Duration) error {
	return o.client.WaitWithJobs(list, timeout)
}

// WaitAndGetCompletedPodPhase is for `helm test`, which no verb is.
func (o *objects) WaitAndGetCompletedPodPhase(name string, timeout time.Duration) (corev1.PodPhase, error) {
	return o.client.WaitAndGetCompletedPodPhase(name, timeout)
}
