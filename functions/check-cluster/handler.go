package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	ListReleasesOfCluster(ctx context.Context, org, clusterID string) ([]release.Release, error)
	MarkClusterChecked(ctx context.Context, org, id, version string, nodes int, at, next time.Time) error
	MarkClusterUnreachable(ctx context.Context, org, id, cause string, at, next time.Time) error
	SetObserved(ctx context.Context, key release.Key, observed release.Observed, previous *release.Observed) (wrote bool, err error)
	SetHealth(ctx context.Context, key release.Key, health release.Health, message string, at time.Time) error
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	ClearActiveRun(ctx context.Context, key release.Key, run string) error
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	PutStep(ctx context.Context, org, run string, step run.Step) error
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	AdmitRun(ctx context.Context, d deployment.Deployment, r run.Run, expectedVersion int64, deleting bool) (deployment.Deployment, run.Run, error)
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
}

type machines interface {
	Start(ctx context.Context, machine, name string, input any) error
}

type objects interface {
	GetValues(ctx context.Context, org, ref string, into any) error
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
	var out events.SQSEventResponse
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
		err = errors.Join(err, h.health(ctx, v, release.OwnedByDeployment(r.DeploymentID)))
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
	releases    []release.Release // with what was just observed
	metas       []record.Meta
	unreachable error
	faults      error // of single releases; the others were looked at
}

func (v visit) close() {
	if v.client != nil {
		v.client.Close()
	}
}

// visit lists Helm's records of the cluster once, metadata only, and reads the payload of those whose newest revision was not seen before.
func (h handler) visit(ctx context.Context, ref workflow.TargetRef) (visit, error) {
	var v visit
	var err error
	if v.cluster, err = h.store.FindCluster(ctx, ref.Org, ref.Cluster); err != nil {
		return v, fmt.Errorf("finding cluster %s: %w", ref.Cluster, err)
	}
	if v.releases, err = h.store.ListReleasesOfCluster(ctx, ref.Org, ref.Cluster); err != nil {
		return v, fmt.Errorf("listing the releases of cluster %s: %w", v.cluster.Name, err)
	}
	began := h.now() // what was stored since must not be overwritten by what this look saw before
	next := cluster.NextCheck(v.cluster.ID, began)
	if v.client, err = h.clusters.Open(ctx, v.cluster); err == nil {
		v.metas, err = record.List(ctx, v.client.Metadata(), "")
	}
	if err != nil {
		err = kube.Classify(err)
		v.unreachable = fmt.Errorf("looking at cluster %s: %w", v.cluster.Name, err)
		return v, h.store.MarkClusterUnreachable(ctx, ref.Org, ref.Cluster, err.Error(), began, next)
	}
	var errs []error
	for i, rel := range v.releases {
		if rel.ActiveRun != "" {
			held, err := h.held(ctx, rel)
			if held || err != nil {
				errs = append(errs, err)
				continue // a run has it: its own states record
			}
			v.releases[i].ActiveRun = ""
		}
		observed, err := h.observe(ctx, v, rel, began)
		if err == nil {
			_, err = h.store.SetObserved(ctx, rel.Key, observed, rel.Observed)
			v.releases[i].Observed = &observed
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("looking at release %s of cluster %s: %w", rel.Name, v.cluster.Name, err))
		}
	}
	v.faults = errors.Join(errs...)
	return v, h.store.MarkClusterChecked(ctx, ref.Org, ref.Cluster, v.cluster.Version, v.cluster.Nodes, began, next)
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

func (h handler) observe(ctx context.Context, v visit, rel release.Release, at time.Time) (release.Observed, error) {
	history := record.History(v.metas, record.Key{Namespace: rel.Namespace, Name: rel.Name})
	now := record.Observed(history, at)
	if was := rel.Observed; was != nil && now.SameRecord(*was) && was.ChartVersion != "" {
		now.ChartName, now.ChartVersion, now.ValuesDigest, now.Differs = was.ChartName, was.ChartVersion, was.ValuesDigest, was.Differs
		if release.InSync(rel.Desired, &now) {
			now.Differs = nil
		}
		return now, nil
	}
	if now.Absent {
		return now, nil
	}
	stored, err := record.Get(ctx, v.client.Kubernetes().CoreV1(), history[0].Namespace, history[0].SecretName)
	if err != nil {
		return now, err
	}
	now.ChartName, now.ChartVersion = stored.ChartName, stored.ChartVersion
	if release.InSync(rel.Desired, &now) {
		return now, nil
	}
	now.Differs, err = h.differs(ctx, rel, stored)
	return now, err
}

// differs names the values in which a record is not as desired, by path; never their contents.
func (h handler) differs(ctx context.Context, rel release.Release, stored record.Record) ([]string, error) {
	if rel.Desired == nil || rel.Desired.Absent {
		return nil, nil
	}
	entry, err := h.store.FindPlanEntry(ctx, rel.Org, rel.Desired.PlanHash, rel.ClusterID)
	if err != nil {
		return nil, err
	}
	var want map[string]any
	if err := h.objects.GetValues(ctx, rel.Org, entry.ValuesRef, &want); err != nil {
		return nil, err
	}
	return deployment.DifferingPaths(want, stored.Config), nil
}

// health looks whether the workloads of the owner's releases run.
func (h handler) health(ctx context.Context, v visit, owner release.Owner) error {
	var errs []error
	for _, rel := range v.releases {
		if rel.Owner != owner || rel.Observed == nil || rel.Observed.Absent {
			continue
		}
		history := record.History(v.metas, record.Key{Namespace: rel.Namespace, Name: rel.Name})
		if len(history) == 0 {
			continue
		}
		stored, err := record.Get(ctx, v.client.Kubernetes().CoreV1(), history[0].Namespace, history[0].SecretName)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		state, err := v.client.Readiness(ctx, []byte(stored.Manifest), rel.Namespace)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		health, message := release.Progressing, state.Message()
		switch {
		case state.Ready:
			health, message = release.Healthy, ""
		case state.Failed || rel.Observed.Status == "failed":
			health = release.Unhealthy
		}
		if health != rel.Health || message != rel.HealthMessage {
			errs = append(errs, h.store.SetHealth(ctx, rel.Key, health, message, h.now()))
		}
	}
	return errors.Join(errs...)
}

// correct starts a sync of the releases that are not as desired, where their deployment says so and no run is under way.
func (h handler) correct(ctx context.Context, v visit) error {
	var errs []error
	for _, rel := range v.releases {
		if rel.ActiveRun != "" || rel.Desired == nil || release.InSync(rel.Desired, rel.Observed) || rel.Owner.Kind != "deployment" {
			continue
		}
		if err := h.correctOne(ctx, rel); err != nil {
			errs = append(errs, fmt.Errorf("correcting release %s on cluster %s: %w", rel.Name, v.cluster.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (h handler) correctOne(ctx context.Context, rel release.Release) error {
	d, err := h.store.FindDeployment(ctx, rel.Org, rel.Owner.ID)
	if err != nil {
		return err
	}
	if d.Mode != deployment.Correct || d.Deleting || rel.Desired.Generation != d.Generation {
		return nil
	}
	if may, err := h.mayRun(ctx, rel, d); err != nil || !may {
		return err
	}
	sync := run.New(h.newID(), run.Sync, rel.Org, "reconcile", "reconcile", h.now()).About(d.ID, d.GroupID, d.ReleaseName, d.Generation)
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

// mayRun says whether reconcile may start a run for the release: not while one of its deployment is under way, not soon after one failed on
// this target, and not where a hook outlived its verb: its Job may still run, and a rerun would delete it.
func (h handler) mayRun(ctx context.Context, rel release.Release, d deployment.Deployment) (bool, error) {
	last, err := h.store.FindRun(ctx, rel.Org, d.LastRun)
	if err != nil || !last.Status.Done() {
		return false, err
	}
	t, err := h.store.FindTarget(ctx, rel.Org, rel.Desired.RunID, rel.ClusterID)
	if problem.Is(err, "target-not-found") {
		return true, nil
	}
	return t.MayRepeat(h.now()), err
}
