package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/helm"
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

// keepRevisions is how many of Helm's records are kept, beside the last healthy one.
const keepRevisions = 5

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	SetDesired(ctx context.Context, key release.Key, owner release.Owner, desired release.Desired) error
	SetDrift(ctx context.Context, key release.Key, found release.Drift, previous *release.Drift) (wrote bool, err error)
	SetObserved(ctx context.Context, key release.Key, observed release.Observed, previous *release.Observed) (wrote bool, err error)
}

type objects interface {
	GetChart(ctx context.Context, org, digest string) ([]byte, error)
	GetValues(ctx context.Context, org, ref string, into any) error
}

type handler struct {
	store    store
	objects  objects
	clusters kube.Opener
	leases   lease.Holder
	log      *slog.Logger
}

// handle runs the one Helm verb that brings a target to its plan entry, under the release's lease. When it returns, nothing is written to
// the cluster behind it: the verb's child is dead.
func (h handler) handle(ctx context.Context, ref workflow.TargetRef) (task.Note, error) {
	var note task.Note
	entry, err := h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding the plan entry of cluster %s: %w", ref.Cluster, err)
	}
	note.ClusterName = entry.ClusterName
	rel, err := h.store.FindRelease(ctx, entry.Key)
	if err != nil && !problem.Is(err, "release-not-found") {
		return note, fmt.Errorf("finding release %s: %w", entry.Key.Name, err)
	}
	forgotten := err != nil && entry.Absent
	v, err := h.permitted(ctx, ref, run.BeforeOf(rel), entry.TakesBack)
	if err != nil || forgotten {
		return note, err
	}
	return note, h.leases.Hold(ctx, entry.Key, entry.ClusterName, ref.Run, func(l lease.Lease) error {
		v.entry, v.lease = entry, l
		if !entry.TakesBack { // what takes back looks first whether it may
			if err := v.want(ctx, ref.Plan); err != nil {
				return err
			}
		}
		return v.do(ctx, ref.Plan)
	})
}

// want moves the release's desired state to the entry.
func (v verb) want(ctx context.Context, planHash string) error {
	e := v.entry
	desired := e.DesiredBy(v.run.ID, v.run.Seq, planHash, time.Now().UTC())
	if err := v.store.SetDesired(ctx, e.Key, release.OwnedByDeployment(v.run.DeploymentID), desired); err != nil {
		return fmt.Errorf("moving the desired state of release %s on cluster %s: %w", e.Key.Name, e.ClusterName, err)
	}
	return nil
}

// permitted refuses a run that was canceled or superseded, and one that was turned around unless it takes back; it says on the target what happens now
// and, the first time, what was there before.
func (h handler) permitted(ctx context.Context, ref workflow.TargetRef, before run.Before, back bool) (verb, error) {
	v := verb{handler: h}
	var err error
	if v.run, err = h.store.FindRun(ctx, ref.Org, ref.Run); err != nil {
		return v, fmt.Errorf("finding run %s: %w", ref.Run, err)
	}
	d, err := h.store.FindDeployment(ctx, ref.Org, v.run.DeploymentID)
	if err != nil {
		return v, fmt.Errorf("finding the deployment of run %s: %w", ref.Run, err)
	}
	if err := task.Stopped(v.run, d, back); err != nil {
		return v, err
	}
	v.ignore = d.Ignore
	if v.target, err = h.store.FindTarget(ctx, ref.Org, ref.Run, ref.Cluster); err != nil {
		return v, fmt.Errorf("finding target %s of run %s: %w", ref.Cluster, ref.Run, err)
	}
	v.target.Status = run.TargetDeploying
	if v.target.Before == nil {
		v.target.Before = &before
	}
	return v, h.store.UpdateTarget(ctx, ref.Org, ref.Run, v.target)
}

// verb is one operation under a lease.
type verb struct {
	handler
	run    run.Run
	target run.Target
	ignore []deployment.Ignore
	entry  release.PlanEntry
	lease  lease.Lease
}

func (v verb) do(ctx context.Context, planHash string) error {
	c, err := v.store.FindCluster(ctx, v.entry.Key.Org, v.entry.ClusterID)
	if err != nil {
		return fmt.Errorf("finding cluster %s: %w", v.entry.ClusterName, err)
	}
	cred, err := v.clusters.Credential(ctx, c)
	if err != nil {
		return err
	}
	client, err := kube.New(cred, v.clusters.Policy)
	if err != nil {
		return err
	}
	defer client.Close()
	history, err := v.history(ctx, client)
	if err != nil {
		return err
	}
	rel, err := v.store.FindRelease(ctx, v.entry.Key)
	if err != nil {
		return fmt.Errorf("finding release %s: %w", v.entry.Key.Name, err)
	}
	if err := v.turnBack(ctx, planHash, rel, history); err != nil {
		return err
	}
	decision, live, err := v.decide(ctx, client, rel, history)
	if err != nil {
		return err
	}
	if done, err := v.bound(ctx, rel, history, decision.Action); done {
		return err
	}
	return v.act(ctx, client, cred, rel, history, decision, live)
}

// act does what was decided.
func (v verb) act(ctx context.Context, client *kube.Client, cred kube.Credential, rel release.Release, history []record.Meta, decision release.Decision, live comparison) error {
	switch decision.Action {
	case release.Install:
		if rel.Healthy > 0 { // it is gone, and with it the revision that was healthy
			if err := v.observe(ctx, rel, history); err != nil {
				return err
			}
		}
	case release.None:
		return errors.Join(v.observe(ctx, rel, history), v.inSync(ctx, rel))
	case release.Repair:
		if err := v.tell(ctx, release.Repair); err != nil {
			return err
		}
		if err := v.repair(ctx, client, live); err != nil {
			return err
		}
		return errors.Join(v.observe(ctx, rel, history), v.inSync(ctx, rel))
	case release.Refuse:
		if err := v.observe(ctx, rel, history); err != nil {
			return err
		}
		return taskerr.Failed(decision.Code, "%s", decision.Reason)
	case release.Recover:
		if err := record.MarkFailed(ctx, client.Kubernetes().CoreV1(), history[0], "Swell found it pending, left by an operation that is gone"); err != nil {
			return fmt.Errorf("recovering release %s on cluster %s: %w", v.entry.Key.Name, v.entry.ClusterName, kube.Classify(err))
		}
	}
	return v.change(ctx, client, cred, rel, decision.Action)
}

// change runs the verb, and records what became of it.
func (v verb) change(ctx context.Context, client *kube.Client, cred kube.Credential, rel release.Release, action release.Action) error {
	applyErr := v.apply(ctx, cred, rel, action)
	after, err := v.history(context.WithoutCancel(ctx), client)
	if err != nil {
		return errors.Join(applyErr, err)
	}
	if applyErr != nil {
		after = v.settle(ctx, client, after, applyErr)
	}
	if err := v.observe(ctx, rel, after); err != nil {
		return errors.Join(applyErr, err)
	}
	v.prune(context.WithoutCancel(ctx), client, after, rel.Healthy, v.target.Before.Revision)
	if applyErr != nil || action == release.Uninstall || rel.Drift == nil || rel.Drift.Objects == 0 {
		return applyErr
	}
	return v.putBack(ctx, client, rel, after)
}

// decide looks at the objects only where the record is as it should be: any other action writes them anyway.
func (v verb) decide(ctx context.Context, client *kube.Client, rel release.Release, history []record.Meta) (release.Decision, comparison, error) {
	seen, want := record.Seen(history), release.Want{Owner: rel.Owner, InputHash: v.entry.InputHash, Absent: v.entry.Absent, Rollback: v.entry.RollbackTo > 0}
	decision := release.Decide(seen, want, release.Policy{}, time.Now())
	if decision.Action != release.None || v.entry.Absent {
		return decision, comparison{}, nil
	}
	live, err := v.compare(ctx, client, history[0])
	seen.Drifted = drift.Summary(live.findings).Objects
	return release.Decide(seen, want, release.Policy{}, time.Now()), live, err
}

// history returns the release's records, newest first.
func (v verb) history(ctx context.Context, client *kube.Client) ([]record.Meta, error) {
	history, err := record.HistoryOf(ctx, client.Metadata(), record.KeyOf(v.entry.Key))
	if err != nil {
		return nil, fmt.Errorf("listing Helm's records on cluster %s: %w", v.entry.ClusterName, kube.Classify(err))
	}
	return history, nil
}

func (v verb) apply(ctx context.Context, cred kube.Credential, rel release.Release, action release.Action) error {
	op := helm.Op{
		Credential: cred, AllowedNetworks: v.clusters.Policy.String(), ReleaseName: v.entry.Key.Name, Namespace: v.entry.Key.Namespace, Action: action,
		Labels: map[string]string{
			release.LabelOwner: release.OwnerLabel(rel.Owner), release.LabelInput: v.entry.InputHash, release.LabelRun: v.run.ID,
		},
		Fence: v.lease.Fence, StopMutationsAt: v.lease.StopMutationsAt(), HookTimeout: v.lease.HookTimeout(time.Now()),
		Description: fmt.Sprintf("Swell: generation %d, run %s", v.entry.Generation, v.run.ID),
	}
	if v.entry.RollbackTo > 0 { // from what Recover leaves, too
		op.Action, op.RollbackTo = release.Rollback, v.entry.RollbackTo
	}
	if err := v.inputs(ctx, &op); err != nil {
		return err
	}
	result, err := helm.Apply(ctx, op) // what it stored is read back
	return errors.Join(err, v.warn(ctx, result.Warnings))
}

// inputs reads chart and values: none to uninstall; of a rollback, whose revision has both, the values that are kept out of what it says.
func (v verb) inputs(ctx context.Context, op *helm.Op) (err error) {
	if v.entry.Absent {
		return nil
	}
	if op.Action != release.Rollback {
		if op.Archive, err = v.objects.GetChart(ctx, v.entry.Key.Org, v.entry.ChartDigest); err != nil {
			return fmt.Errorf("reading chart %s: %w", v.entry.ChartName, err)
		}
	}
	if err := v.objects.GetValues(ctx, v.entry.Key.Org, v.entry.ValuesRef, &op.Values); err != nil {
		return fmt.Errorf("reading the values of release %s: %w", v.entry.Key.Name, err)
	}
	return nil
}

// settle marks a pending record that our own dead verb left, while we still hold the lease: nobody has to wait for it then.
func (v verb) settle(ctx context.Context, client *kube.Client, history []record.Meta, cause error) []record.Meta {
	ctx = context.WithoutCancel(ctx)
	if len(history) == 0 || !strings.HasPrefix(history[0].Status, "pending-") || history[0].Labels[release.LabelRun] != v.run.ID {
		return history
	}
	if err := record.MarkFailed(ctx, client.Kubernetes().CoreV1(), history[0], cause.Error()); err != nil {
		v.log.WarnContext(ctx, "marking a pending record as failed; the next run will", "release", v.entry.Key.Name, "error", err.Error())
		return history
	}
	history[0].Status = "failed"
	return history
}

// observe records what the cluster stored, not what Helm returned.
func (v verb) observe(ctx context.Context, rel release.Release, history []record.Meta) error {
	observed := record.Observed(history, time.Now().UTC())
	switch was := rel.Observed; {
	case observed.Absent:
	case record.Seen(history).IsOf(v.entry.InputHash):
		observed.ChartName, observed.ChartVersion, observed.ValuesDigest = v.entry.ChartName, v.entry.ChartVersion, v.entry.ValuesDigest
	case was != nil && was.Revision == observed.Revision:
		observed.ChartName, observed.ChartVersion, observed.ValuesDigest, observed.Differs = was.ChartName, was.ChartVersion, was.ValuesDigest, was.Differs
	}
	if _, err := v.store.SetObserved(context.WithoutCancel(ctx), v.entry.Key, observed, rel.Observed); err != nil {
		return fmt.Errorf("recording what cluster %s holds of release %s: %w", v.entry.ClusterName, v.entry.Key.Name, err)
	}
	return nil
}

// prune deletes old records, but for the last healthy one's and the one from before the run. Helm's own pruning would delete that after a few bad ones; and its statuses do
// not tell which one it is: what failed is called superseded once another is deployed.
func (v verb) prune(ctx context.Context, client *kube.Client, history []record.Meta, keep ...int) {
	if err := record.Prune(ctx, client.Kubernetes().CoreV1(), history, keepRevisions, keep...); err != nil {
		v.log.WarnContext(ctx, "pruning old records; the next run will", "release", v.entry.Key.Name, "error", err.Error())
	}
}
