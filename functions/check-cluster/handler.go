package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	releases
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	MarkClusterChecked(ctx context.Context, org, id, version string, nodes int, at, next time.Time) error
	MarkClusterUnreachable(ctx context.Context, org, id, cause string, at, next time.Time) error
	FindSchedule(ctx context.Context, org, groupID string) (group.Reconcile, error)
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	PutStep(ctx context.Context, org, run string, step run.Step) error
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	AdmitRun(ctx context.Context, d deployment.Deployment, r run.Run, expectedVersion int64, deleting bool) (deployment.Deployment, run.Run, error)
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
}

// releases is what is kept of them.
type releases interface {
	ListReleasesOfCluster(ctx context.Context, org, clusterID string) ([]release.Release, error)
	SetObserved(ctx context.Context, key release.Key, observed release.Observed, previous *release.Observed) (wrote bool, err error)
	SetDrift(ctx context.Context, key release.Key, found release.Drift, previous *release.Drift) (wrote bool, err error)
	SetCheckError(ctx context.Context, key release.Key, found, previous *release.CheckError) (wrote bool, err error)
	SetHealth(ctx context.Context, key release.Key, health release.Health, message string, at time.Time) error
	ClearActiveRun(ctx context.Context, key release.Key, run string) error
	ClearCatchUp(ctx context.Context, key release.Key, runID string) error
}

type machines interface {
	Start(ctx context.Context, machine, name string, input any) error
}

type objects interface {
	GetValues(ctx context.Context, org, ref string, into any) error
	PutFindings(ctx context.Context, org string, findings []drift.Finding, known string) (ref string, err error)
}

type handler struct {
	store    store
	machines machines
	objects  objects
	clusters kube.Opener
	log      *slog.Logger
	now      func() time.Time
	newID    func() string
}

// handleQueue checks the clusters that the tick found due. A check that fails is tried again, and then lies in the dead-letter queue.
func (h handler) handleQueue(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // null is not taken for none everywhere
	for _, m := range in.Records {
		var ref workflow.TargetRef
		err := json.Unmarshal([]byte(m.Body), &ref)
		if err == nil {
			err = h.checkDue(ctx, ref)
		}
		if err != nil {
			h.log.ErrorContext(ctx, "checking a due cluster", "message", m.MessageId, "cluster", ref.Cluster, "error", err.Error())
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// checkDue looks at a cluster, and starts runs for what is not as desired where the deployment says so.
func (h handler) checkDue(ctx context.Context, ref workflow.TargetRef) error {
	v, err := h.visit(ctx, ref)
	if err != nil {
		return err
	}
	defer v.close()
	if v.unreachable != nil {
		return nil // recorded on the cluster: UNKNOWN, with the cause and since when
	}
	return errors.Join(v.faults, h.correct(ctx, v))
}

// handleTask looks at one target of a check run, workloads included.
func (h handler) handleTask(ctx context.Context, ref workflow.TargetRef) (struct{}, error) {
	var none struct{}
	began := h.now()
	t, err := h.store.FindTarget(ctx, ref.Org, ref.Run, ref.Cluster)
	if err != nil {
		return none, fmt.Errorf("finding target %s of run %s: %w", ref.Cluster, ref.Run, err)
	}
	r, err := h.store.FindRun(ctx, ref.Org, ref.Run)
	if err != nil {
		return none, fmt.Errorf("finding run %s: %w", ref.Run, err)
	}
	v, err := h.visit(ctx, ref)
	if err != nil {
		return none, err
	}
	defer v.close()
	t.Status, t.StartedAt, t.EndedAt = run.TargetSucceeded, began, h.now()
	err = errors.Join(v.unreachable, v.faults)
	if v.unreachable == nil {
		owner := release.OwnedByDeployment(r.DeploymentID)
		err = errors.Join(err, v.blind(owner), v.health(ctx, owner))
	}
	step := run.Step{ClusterID: t.ClusterID, ClusterName: t.ClusterName, State: "CheckCluster", Attempt: ref.Attempt, Status: "Succeeded", StartedAt: began, EndedAt: h.now()}
	if err != nil {
		t.Status, t.Code, t.Cause = run.TargetFailed, taskerr.CodeOf(err), taskerr.CauseOf(err)
		step.Status, step.Code, step.Cause = "Failed", t.Code, t.Cause
	}
	if err := h.store.PutStep(ctx, ref.Org, ref.Run, step); err != nil {
		return none, fmt.Errorf("recording the look at cluster %s: %w", t.ClusterName, err)
	}
	if err := h.store.UpdateTarget(ctx, ref.Org, ref.Run, t); err != nil {
		return none, fmt.Errorf("recording the look at cluster %s: %w", t.ClusterName, err)
	}
	return none, nil
}

// visit is one look at one cluster.
type visit struct {
	cluster     cluster.Cluster
	client      *kube.Client
	looks       []*look
	unreachable error
	faults      error // of Swell itself at single releases; the others were looked at
}

// reserve is what a cluster leaves of the function's time, to record that it was too slow.
const reserve = 10 * time.Second

// atOnce is how many releases are looked at side by side; each reads its objects side by side too.
const atOnce = 4

func (v visit) close() {
	if v.client != nil {
		v.client.Close()
	}
}

// visit lists Helm's records of the cluster once, metadata only, and then looks at each release.
func (h handler) visit(ctx context.Context, ref workflow.TargetRef) (visit, error) {
	var v visit
	var err error
	if v.cluster, err = h.store.FindCluster(ctx, ref.Org, ref.Cluster); err != nil {
		return v, fmt.Errorf("finding cluster %s: %w", ref.Cluster, err)
	}
	releases, err := h.store.ListReleasesOfCluster(ctx, ref.Org, ref.Cluster)
	if err != nil {
		return v, fmt.Errorf("listing the releases of cluster %s: %w", v.cluster.Name, err)
	}
	began := h.now() // what was stored since must not be overwritten by what this look saw before
	every := time.Duration(ref.EverySeconds) * time.Second
	lookCtx, cancel := task.Reserve(ctx, reserve)
	defer cancel()
	var metas []record.Meta
	if v.client, err = h.clusters.Open(lookCtx, v.cluster); err == nil {
		defer discover(lookCtx, v.client, releases)()
		metas, err = record.List(lookCtx, v.client.Metadata(), "")
	}
	if err != nil {
		err = kube.Classify(err)
		v.unreachable = fmt.Errorf("looking at cluster %s: %w", v.cluster.Name, err)
		return v, h.store.MarkClusterUnreachable(ctx, ref.Org, ref.Cluster, err.Error(), began, v.cluster.NextCheck(every, false, began))
	}
	errs := make([]error, len(releases))
	var tasks errgroup.Group
	tasks.SetLimit(atOnce)
	for i, rel := range releases {
		l := &look{handler: h, client: v.client, release: rel, history: record.History(metas, record.KeyOf(rel.Key)), at: began}
		v.looks = append(v.looks, l)
		tasks.Go(func() error {
			if err := l.do(ctx, lookCtx); err != nil {
				errs[i] = fmt.Errorf("looking at release %s of cluster %s: %w", rel.Name, v.cluster.Name, err)
			}
			return nil
		})
	}
	_ = tasks.Wait() // each look has its own error
	v.faults = errors.Join(errs...)
	return v, h.store.MarkClusterChecked(ctx, ref.Org, ref.Cluster, v.cluster.Version, v.cluster.Nodes, began, v.cluster.NextCheck(every, true, began))
}

// discover reads what the cluster serves beside the list of records, where a release is likely to be compared: then nobody waits for it. It must
// be ended, so that nothing goes on behind the function's back.
func discover(ctx context.Context, client *kube.Client, releases []release.Release) (end func()) {
	compared := func(rel release.Release) bool {
		return rel.ActiveRun == "" && release.InSync(rel.Desired, rel.Observed) && !rel.Observed.Absent
	}
	if !slices.ContainsFunc(releases, compared) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var tasks errgroup.Group
	tasks.Go(func() error { return client.Discover(ctx) })
	return func() {
		cancel()
		_ = tasks.Wait() // who needs what it would have read asks again, and has the error
	}
}

// held says whether the run that took the release is under way. One that died left its name there and holds nothing.
func (h handler) held(ctx context.Context, rel release.Release) (bool, error) {
	r, err := h.store.FindRun(ctx, rel.Org, rel.ActiveRun)
	if err != nil && !problem.Is(err, "run-not-found") {
		return true, fmt.Errorf("finding the run that has release %s: %w", rel.Name, err)
	}
	if err == nil && !r.Status.Done() {
		return true, nil
	}
	return false, h.store.ClearActiveRun(ctx, rel.Key, rel.ActiveRun)
}

// correct starts a run for the releases that reconcile may do something about, while no other run is under way.
func (h handler) correct(ctx context.Context, v visit) error {
	var errs []error
	for _, l := range v.looks {
		if l.release.CheckError != nil || l.release.ActiveRun != "" || l.release.Desired == nil || l.release.Observed == nil || l.release.Owner.Kind != "deployment" {
			continue
		}
		if err := h.correctOne(ctx, l); err != nil {
			errs = append(errs, fmt.Errorf("correcting release %s on cluster %s: %w", l.release.Name, v.cluster.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (h handler) correctOne(ctx context.Context, l *look) error {
	rel := l.release
	if !l.action(true).Writes() {
		return h.caughtUp(ctx, rel) // whatever its deployment says
	}
	d, err := l.owner(ctx)
	if err != nil {
		return err
	}
	missed, err := h.missed(ctx, rel, d)
	if err != nil {
		return err
	}
	actor := "catch-up"
	if !missed {
		actor, rel.CatchUp = "reconcile", nil
	}
	action := l.action(d.Corrects(rel))
	if !action.Writes() {
		return nil
	}
	if may, err := h.mayRun(ctx, rel, d, action); err != nil || !may {
		return err
	}
	sync := run.New(h.newID(), run.Sync, rel.Org, "reconcile", actor, h.now()).About(d.ID, d.GroupID, d.ReleaseName, d.Generation)
	sync.Only = []string{rel.ClusterID}
	_, sync, err = h.store.AdmitRun(ctx, d, sync, d.Version, false)
	if problem.Is(err, "deployment-changed") || problem.Is(err, "deployment-deleting") {
		return nil // somebody was first; the next look decides again
	}
	if err != nil {
		return err
	}
	return h.machines.Start(ctx, sync.Type.Machine(), sync.ID, sync.Ref())
}

// mayRun says whether reconcile may start a run for the release: not while a window of its group is closed or a run of its deployment under way,
// nor before the target may have the same again.
func (h handler) mayRun(ctx context.Context, rel release.Release, d deployment.Deployment, action release.Action) (bool, error) {
	schedule, err := h.store.FindSchedule(ctx, d.Org, d.GroupID)
	if err != nil {
		return false, err
	}
	if !schedule.Open(h.now()) {
		h.log.InfoContext(ctx, "held back by a window", "group", d.GroupID, "deployment", d.ReleaseName, "cluster", rel.ClusterID, "action", action)
		return false, nil
	}
	last, err := h.store.FindRun(ctx, rel.Org, d.LastRun)
	if err != nil || !last.Status.Done() {
		return false, err
	}
	if last.HoldsReconcile(h.now()) && slices.Contains(last.Only, rel.ClusterID) {
		return false, nil // it may have failed before the release's desired state named it
	}
	t, err := h.store.FindTarget(ctx, rel.Org, rel.Desired.RunID, rel.ClusterID)
	if problem.Is(err, "target-not-found") {
		return true, nil
	}
	return t.MayRepeat(action, h.now()), err
}
