package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

// repairs is how often a repair looks again where somebody wrote to an object meanwhile.
const repairs = 3

// comparison is what differs between a record's manifest and the cluster.
type comparison struct {
	manifest []byte
	findings []drift.Finding
}

// compare looks at the live objects of a release whose record is as it should be.
func (v verb) compare(ctx context.Context, client *kube.Client, newest record.Meta) (comparison, error) {
	stored, err := record.Get(ctx, client.Kubernetes().CoreV1(), newest.Namespace, newest.SecretName)
	if err != nil {
		return comparison{}, fmt.Errorf("reading Helm's record of release %s on cluster %s: %w", v.entry.Key.Name, v.entry.ClusterName, kube.Classify(err))
	}
	c := comparison{manifest: []byte(stored.Manifest)}
	c.findings, err = v.differences(ctx, client, c.manifest)
	return c, err
}

func (v verb) differences(ctx context.Context, client *kube.Client, manifest []byte) ([]drift.Finding, error) {
	findings, err := client.Drift(ctx, manifest, v.entry.Key.Namespace, drift.Options{Ignore: v.ignore})
	if err != nil {
		return nil, fmt.Errorf("comparing the objects of release %s on cluster %s: %w", v.entry.Key.Name, v.entry.ClusterName, kube.Classify(err))
	}
	return findings, nil
}

// repair puts the live objects right, and looks whether they are. There is no new revision: the release is as it should be.
func (v verb) repair(ctx context.Context, client *kube.Client, live comparison) error {
	findings := live.findings
	for range repairs {
		err := client.Repair(ctx, findings, live.manifest, v.entry.Key.Name, v.entry.Key.Namespace, v.mayWrite)
		if err != nil && !errors.Is(err, kube.ErrDriftMoved) {
			return refused(fmt.Errorf("repairing release %s on cluster %s: %w", v.entry.Key.Name, v.entry.ClusterName, kube.Classify(err)))
		}
		if findings, err = v.differences(ctx, client, live.manifest); err != nil || len(findings) == 0 {
			return err
		}
	}
	f := findings[0]
	return taskerr.Failed("drift-remains", "%d differences are there again after a repair, the first in %s %s at %q, written by %q: somebody else writes them",
		len(findings), f.Kind, f.Name, f.Path, f.Manager)
}

// refused is final for this run where the server had a reason of its own: another attempt would hear it again.
func refused(err error) error {
	if taskerr.NameOf(err) != taskerr.Internal {
		return err
	}
	return taskerr.New(taskerr.TargetFailed, "repair-refused", err)
}

// mayWrite ends the writes where a Helm verb's would end, by wall clock: a process that was frozen thaws with an old monotonic one.
func (v verb) mayWrite() error {
	if stop := v.lease.StopMutationsAt(); !time.Now().Round(0).Before(stop) {
		return taskerr.Failed("mutation-refused", "the lease is about to end, so nothing is written any more; the next run repairs what is left")
	}
	return nil
}

// putBack repairs what the verb left of a drift that was known: Helm's patches keep a field that somebody added.
func (v verb) putBack(ctx context.Context, client *kube.Client, rel release.Release, history []record.Meta) error {
	live, err := v.compare(ctx, client, history[0])
	if err != nil {
		return err
	}
	if len(live.findings) > 0 {
		if err := v.repair(ctx, client, live); err != nil {
			return err
		}
	}
	return v.inSync(ctx, rel)
}

// inSync clears the drift that was recorded: there is none now.
func (v verb) inSync(ctx context.Context, rel release.Release) error {
	if rel.Drift == nil {
		return nil
	}
	found := release.Drift{Revision: rel.Drift.Revision, At: time.Now().UTC()}
	if _, err := v.store.SetDrift(context.WithoutCancel(ctx), v.entry.Key, found, rel.Drift); err != nil {
		return fmt.Errorf("recording that the objects of release %s are right: %w", v.entry.Key.Name, err)
	}
	return nil
}

// tell corrects the action on the target, where the plan did not foresee it.
func (v verb) tell(ctx context.Context, action release.Action) error {
	if v.entry.Action == action {
		return nil
	}
	t, err := v.store.FindTarget(ctx, v.entry.Key.Org, v.run.ID, v.entry.ClusterID)
	if err == nil && t.Action != string(action) {
		t.Action = string(action)
		err = v.store.UpdateTarget(ctx, v.entry.Key.Org, v.run.ID, t)
	}
	if err != nil {
		return fmt.Errorf("recording what is done on cluster %s: %w", v.entry.ClusterName, err)
	}
	return nil
}
