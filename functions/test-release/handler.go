package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/lease"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	SetFailed(ctx context.Context, key release.Key, observed *release.Observed, cause string, at time.Time) error
	SetHealthy(ctx context.Context, key release.Key, revision int, verified release.Desired, at time.Time) error
}

type objects interface {
	GetValues(ctx context.Context, org, ref string, into any) error
}

type handler struct {
	store    store
	objects  objects
	clusters kube.Opener
	leases   lease.Holder
}

// handle runs the chart's tests on a release whose workloads are ready, under the release's lease. Running them again deletes what the
// attempt before left and runs them anew.
func (h handler) handle(ctx context.Context, ref workflow.TargetRef) (task.Note, error) {
	var note task.Note
	entry, err := h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding the plan entry of cluster %s: %w", ref.Cluster, err)
	}
	note.ClusterName = entry.ClusterName
	rel, err := h.store.FindRelease(ctx, entry.Key)
	if err != nil {
		return note, fmt.Errorf("finding release %s: %w", entry.Key.Name, err)
	}
	if rel.Desired == nil || rel.Desired.RunID != ref.Run {
		return note, taskerr.Failed("superseded", "another run has moved this release since")
	}
	return note, h.leases.Hold(ctx, entry.Key, entry.ClusterName, ref.Run, func(l lease.Lease) error {
		return test{handler: h, ref: ref, entry: entry, release: rel, lease: l}.do(ctx)
	})
}

// test is one run of a release's tests under a lease.
type test struct {
	handler
	ref     workflow.TargetRef
	entry   release.PlanEntry
	release release.Release
	lease   lease.Lease
}

func (t test) do(ctx context.Context) error {
	if err := t.tell(ctx); err != nil {
		return err
	}
	c, err := t.store.FindCluster(ctx, t.ref.Org, t.ref.Cluster)
	if err != nil {
		return fmt.Errorf("finding cluster %s: %w", t.entry.ClusterName, err)
	}
	cred, err := t.clusters.Credential(ctx, c)
	if err != nil {
		return err
	}
	client, err := kube.New(cred, t.clusters.Policy)
	if err != nil {
		return err
	}
	defer client.Close()
	newest, err := t.newest(ctx, client)
	if err != nil {
		return err
	}
	err = t.run(ctx, cred)
	if failed, ok := errors.AsType[*helm.Error](err); ok && (failed.Code == helm.CodeHookFailed || failed.Code == helm.CodeHookTimeout) {
		return t.fail(ctx, client, failed)
	}
	if err != nil {
		return err
	}
	if err := t.store.SetHealthy(ctx, t.entry.Key, newest.Revision, *t.release.Desired, time.Now().UTC()); err != nil {
		return fmt.Errorf("recording that release %s is healthy: %w", t.entry.Key.Name, err)
	}
	return nil
}

// tell says on the target what happens now.
func (t test) tell(ctx context.Context) error {
	target, err := t.store.FindTarget(ctx, t.ref.Org, t.ref.Run, t.ref.Cluster)
	if err != nil {
		return fmt.Errorf("finding target %s: %w", t.entry.ClusterName, err)
	}
	target.Status, target.Cause = run.TargetVerifying, "its chart's tests run"
	if err := t.store.UpdateTarget(ctx, t.ref.Org, t.ref.Run, target); err != nil {
		return fmt.Errorf("marking target %s as being tested: %w", t.entry.ClusterName, err)
	}
	return nil
}

// newest is the release's newest record, if it is still the one that this run made.
func (t test) newest(ctx context.Context, client *kube.Client) (record.Meta, error) {
	history, err := record.HistoryOf(ctx, client.Metadata(), record.KeyOf(t.entry.Key))
	if err != nil {
		return record.Meta{}, fmt.Errorf("listing Helm's records on cluster %s: %w", t.entry.ClusterName, kube.Classify(err))
	}
	if err := t.entry.Changed(record.Seen(history)); err != nil {
		return record.Meta{}, err
	}
	return history[0], nil
}

func (t test) run(ctx context.Context, cred kube.Credential) error {
	op := helm.Op{
		Credential: cred, AllowedNetworks: t.clusters.Policy.String(), ReleaseName: t.entry.Key.Name, Namespace: t.entry.Key.Namespace,
		Action: release.Test, Fence: t.lease.Fence, StopMutationsAt: t.lease.StopMutationsAt(),
		HookTimeout: min(time.Duration(t.entry.Tests)*time.Second, t.lease.HookTimeout(time.Now())),
	}
	if err := t.objects.GetValues(ctx, t.ref.Org, t.entry.ValuesRef, &op.Values); err != nil { // to keep them out of what is told
		return fmt.Errorf("reading the values of release %s: %w", t.entry.Key.Name, err)
	}
	_, err := helm.Apply(ctx, op)
	return err
}

// fail marks Helm's record as failed, so that nobody takes the release for good.
func (t test) fail(ctx context.Context, client *kube.Client, failed *helm.Error) error {
	cause := fmt.Sprintf("%s: %s", failed.Object, failed.Cause)
	if failed.Code == helm.CodeHookTimeout {
		cause = fmt.Sprintf("%s had not ended after %d s", failed.Object, t.entry.Tests)
	}
	newest, err := t.newest(ctx, client) // the tests were written into it
	if err != nil {
		return err
	}
	if err := record.MarkFailed(ctx, client.Kubernetes().CoreV1(), newest, "test failed: "+cause); err != nil {
		return fmt.Errorf("marking release %s on cluster %s as failed: %w", t.entry.Key.Name, t.entry.ClusterName, kube.Classify(err))
	}
	if err := t.store.SetFailed(ctx, t.entry.Key, t.release.Observed, cause, time.Now().UTC()); err != nil {
		return fmt.Errorf("recording release %s as failed: %w", t.entry.Key.Name, err)
	}
	return taskerr.Failed("test-failed", "%s", cause)
}
