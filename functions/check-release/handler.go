package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/healthcheck"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/lease"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	reports
	SetLearnedBy(ctx context.Context, org, run, cluster string, by run.LearnedBy) error
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	SetObserved(ctx context.Context, key release.Key, observed release.Observed, previous *release.Observed) (wrote bool, err error)
	SetHealth(ctx context.Context, key release.Key, health release.Health, message string, at time.Time) error
	SetFailed(ctx context.Context, key release.Key, observed *release.Observed, cause string, at time.Time) error
	SetHealthy(ctx context.Context, key release.Key, revision int, verified release.Desired, at time.Time) error
}

type handler struct {
	store    store
	clusters kube.Opener
	leases   lease.Holder
}

// handle looks once whether the release's workloads run. Not yet is an error that the machine retries; at the deadline the record on the
// cluster is marked failed with the cause, so that nobody takes it for good.
func (h handler) handle(ctx context.Context, ref workflow.TargetRef) (task.Note, error) {
	var note task.Note
	entry, err := h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding the plan entry of cluster %s: %w", ref.Cluster, err)
	}
	note.ClusterName = entry.ClusterName
	rel, err := h.store.FindRelease(ctx, entry.Key)
	if problem.Is(err, "release-not-found") && entry.Absent {
		return note, entry.Again() // forgotten already
	}
	if err != nil {
		return note, fmt.Errorf("finding release %s: %w", entry.Key.Name, err)
	}
	if rel.Desired == nil || rel.Desired.RunID != ref.Run {
		return note, taskerr.Failed("superseded", "another run has moved this release since")
	}
	note.Since = rel.Desired.SetAt
	from, err := h.from(ctx, ref, *rel.Desired)
	if err != nil {
		return note, err
	}
	c, err := h.store.FindCluster(ctx, ref.Org, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding cluster %s: %w", entry.ClusterName, err)
	}
	client, err := h.clusters.Open(ctx, c)
	if err != nil {
		return note, err
	}
	defer client.Close()
	l := look{handler: h, ref: ref, entry: entry, release: rel, relay: c.Relay, client: client, deadline: from.Add(time.Duration(entry.Timeout) * time.Second)}
	if err := l.do(ctx); err != nil {
		return note, err
	}
	return note, entry.Again()
}

// from is from when on the release has its time to become ready. What was ready and is looked at again has it once more.
func (h handler) from(ctx context.Context, ref workflow.TargetRef, desired release.Desired) (time.Time, error) {
	if !ref.Recheck {
		return desired.SetAt, nil
	}
	t, err := h.store.FindTarget(ctx, ref.Org, ref.Run, ref.Cluster)
	if err != nil {
		return time.Time{}, fmt.Errorf("finding target %s of run %s: %w", ref.Cluster, ref.Run, err)
	}
	return t.RecheckedAt, nil
}

// look is one look at one release.
type look struct {
	handler
	ref      workflow.TargetRef
	entry    release.PlanEntry
	release  release.Release
	relay    cluster.Relay
	client   *kube.Client
	deadline time.Time
	state    kube.Readiness // as the release was found
	values   map[string]any // that the user gave it
}

func (l look) do(ctx context.Context) error {
	history, err := record.HistoryOf(ctx, l.client.Metadata(), record.KeyOf(l.entry.Key))
	if err != nil {
		return fmt.Errorf("listing Helm's records on cluster %s: %w", l.entry.ClusterName, kube.Classify(err))
	}
	if l.entry.Absent {
		return l.gone(ctx, history)
	}
	if err := l.entry.Changed(record.Seen(history)); err != nil {
		return err
	}
	stored, err := record.Get(ctx, l.client.Kubernetes().CoreV1(), history[0].Namespace, history[0].SecretName)
	if err != nil {
		return fmt.Errorf("reading Helm's record of release %s on cluster %s: %w", l.entry.Key.Name, l.entry.ClusterName, kube.Classify(err))
	}
	rules, err := healthcheck.RulesOf(ctx, l.store, l.release)
	if err != nil {
		return err
	}
	state, err := l.client.Readiness(ctx, []byte(stored.Manifest), l.entry.Key.Namespace, rules)
	if err != nil {
		return fmt.Errorf("looking at the objects of release %s on cluster %s: %w", l.entry.Key.Name, l.entry.ClusterName, err)
	}
	l.state, l.values = state, stored.Config
	waits := state.Message()
	if applied := history[0].ModifiedAt.Add(time.Duration(l.entry.Timeout) * time.Second); applied.After(l.deadline) {
		l.deadline = applied // hooks may have taken long before the workloads could begin
	}
	switch now := time.Now(); {
	case state.Ready && l.wantsTests():
		return taskerr.New(taskerr.TestsWanted, "tests-wanted", errors.New("the workloads are ready, and the chart's tests are to run"))
	case state.Ready:
		return l.store.SetHealthy(ctx, l.entry.Key, history[0].Revision, *l.release.Desired, now.UTC())
	case state.Failed:
		return l.fail(ctx, history[0], state.Code(), waits)
	case now.After(l.deadline):
		return l.fail(ctx, history[0], state.Code(), fmt.Sprintf("%s: %s", l.late(), waits))
	default:
		next, err := l.next(ctx, state)
		if err != nil {
			return err
		}
		return l.waiting(ctx, waits, next)
	}
}

// late says what the deadline means that has passed.
func (l look) late() string {
	if l.ref.Recheck {
		return fmt.Sprintf("it was ready, and has not been for %d s since it was looked at again", l.entry.Timeout)
	}
	return fmt.Sprintf("not ready after %d s", l.entry.Timeout)
}

// gone: nothing that the owner made is left; a history that a person kept, or somebody else's release, may be.
func (l look) gone(ctx context.Context, history []record.Meta) error {
	want := release.Want{Owner: l.release.Owner, Absent: true}
	if release.Decide(record.Seen(history), want, release.Policy{}, time.Now()).Action == release.None {
		_, err := l.store.SetObserved(ctx, l.entry.Key, release.Observed{Absent: true, At: time.Now().UTC()}, l.release.Observed)
		return err
	}
	if time.Now().After(l.deadline) {
		return taskerr.Failed("not-gone", "revision %d is still %s", history[0].Revision, history[0].Status)
	}
	return l.waiting(ctx, "the release's record is still there", taskerr.NotReady)
}

// wantsTests: not again where the release was only looked at again, nor of what a run takes back.
func (l look) wantsTests() bool { return l.entry.Tests > 0 && !l.entry.TakesBack && !l.ref.Recheck }

// waiting says on the target what it waits for, once each time that changes, and how it goes on. Until a relay says otherwise, it is learned by looking
// again.
func (l look) waiting(ctx context.Context, what, next string) error {
	t, err := l.store.FindTarget(ctx, l.ref.Org, l.ref.Run, l.ref.Cluster)
	if err != nil {
		return fmt.Errorf("finding target %s: %w", l.entry.ClusterName, err)
	}
	if t.Status != run.TargetVerifying || t.Cause != what || t.LearnedBy != run.LearnedByPoll {
		t.Status, t.Cause, t.LearnedBy = run.TargetVerifying, what, run.LearnedByPoll
		if err := l.store.UpdateTarget(ctx, l.ref.Org, l.ref.Run, t); err != nil {
			return fmt.Errorf("marking target %s as verifying: %w", l.entry.ClusterName, err)
		}
	}
	if l.release.Health != release.Progressing {
		if err := l.store.SetHealth(ctx, l.entry.Key, release.Progressing, what, time.Now().UTC()); err != nil {
			return fmt.Errorf("recording the health of release %s: %w", l.entry.Key.Name, err)
		}
	}
	return taskerr.New(next, "not-ready", errors.New(what))
}

// fail marks Helm's record as failed, under the release's lease, and ends the target.
func (l look) fail(ctx context.Context, newest record.Meta, code, cause string) error {
	code, told, err := l.told(ctx, code, cause)
	if err != nil {
		return err
	}
	err = l.leases.Hold(ctx, l.entry.Key, l.entry.ClusterName, l.ref.Run, func(lease.Lease) error {
		if err := record.MarkFailed(ctx, l.client.Kubernetes().CoreV1(), newest, cause); err != nil {
			return fmt.Errorf("marking release %s on cluster %s as failed: %w", l.entry.Key.Name, l.entry.ClusterName, kube.Classify(err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := l.store.SetFailed(ctx, l.entry.Key, l.release.Observed, told, time.Now().UTC()); err != nil {
		return fmt.Errorf("recording release %s as failed: %w", l.entry.Key.Name, err)
	}
	if err := l.store.SetLearnedBy(ctx, l.ref.Org, l.ref.Run, l.ref.Cluster, run.LearnedByLook); err != nil {
		return fmt.Errorf("recording how the failure of release %s was learned: %w", l.entry.Key.Name, err)
	}
	return taskerr.Failed(code, "%s", strings.TrimSpace(told))
}
