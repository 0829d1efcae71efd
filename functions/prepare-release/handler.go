package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	IsMember(ctx context.Context, c cluster.Cluster, groupID string) (bool, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	FindDeploymentByName(ctx context.Context, org, groupID, releaseName string) (deployment.Deployment, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
	ClaimRelease(ctx context.Context, key release.Key, owner release.Owner) error
	SetActiveRun(ctx context.Context, key release.Key, run string) error
	MarkClusterChecked(ctx context.Context, org, id, version string, nodes int, at, next time.Time) error
}

type objects interface {
	GetManifest(ctx context.Context, org, ref string) ([]byte, error)
}

type handler struct {
	store    store
	objects  objects
	clusters kube.Opener
}

// handle makes sure of the namespace and of the CRDs that the chart brings. CRDs that are there are left alone, as Helm does.
func (h handler) handle(ctx context.Context, ref workflow.TargetRef) (task.Note, error) {
	var note task.Note
	t, err := h.store.FindTarget(ctx, ref.Org, ref.Run, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding target %s of run %s: %w", ref.Cluster, ref.Run, err)
	}
	note.ClusterName = t.ClusterName
	if ref.Recheck {
		return note, h.again(ctx, ref)
	}
	entry, err := h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding the plan entry of target %s: %w", t.ClusterName, err)
	}
	d, err := h.permitted(ctx, ref, entry.TakesBack)
	if err != nil {
		return note, err
	}
	if t.StartedAt.IsZero() {
		t.Status, t.StartedAt = run.TargetPreparing, time.Now().UTC()
		if err := h.store.UpdateTarget(ctx, ref.Org, ref.Run, t); err != nil {
			return note, fmt.Errorf("marking target %s as preparing: %w", t.ClusterName, err)
		}
	}
	if !entry.Absent { // a run that removed the release may have freed its name since it was planned
		if err := h.store.ClaimRelease(ctx, entry.Key, release.OwnedByDeployment(d.ID)); err != nil {
			return note, fmt.Errorf("claiming release %s on cluster %s: %w", entry.Key.Name, t.ClusterName, err)
		}
	}
	err = h.store.SetActiveRun(ctx, entry.Key, ref.Run)
	if problem.Is(err, "release-not-found") && entry.Absent {
		return note, nil // forgotten already
	}
	if err != nil {
		return note, fmt.Errorf("keeping reconcile away from release %s: %w", entry.Key.Name, err)
	}
	if entry.Absent {
		return note, nil
	}
	if err = h.mayBegin(ctx, d, entry); err == nil {
		err = h.prepare(ctx, d, entry)
	}
	if taskerr.NameOf(err) == taskerr.NotReady {
		err = h.waiting(ctx, ref.Run, entry, t, err)
	}
	return note, err
}

// permitted finds the run's deployment, and refuses a run that was canceled or superseded, and one that was turned around unless it takes back.
func (h handler) permitted(ctx context.Context, ref workflow.TargetRef, back bool) (deployment.Deployment, error) {
	r, err := h.store.FindRun(ctx, ref.Org, ref.Run)
	if err != nil {
		return deployment.Deployment{}, fmt.Errorf("finding run %s: %w", ref.Run, err)
	}
	d, err := h.store.FindDeployment(ctx, ref.Org, r.DeploymentID)
	if err != nil {
		return d, fmt.Errorf("finding the deployment of run %s: %w", ref.Run, err)
	}
	return d, task.Stopped(r, d, back)
}

// again leads to CheckRelease: the release is only looked at.
func (h handler) again(ctx context.Context, ref workflow.TargetRef) error {
	entry, err := h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster)
	if err != nil {
		return fmt.Errorf("finding the plan entry of cluster %s: %w", ref.Cluster, err)
	}
	if err := h.store.SetActiveRun(ctx, entry.Key, ref.Run); err != nil {
		return fmt.Errorf("keeping reconcile away from release %s: %w", entry.Key.Name, err)
	}
	return taskerr.New(taskerr.AlreadyDeployed, "already-deployed", errors.New("the release is only looked at again"))
}

func (h handler) prepare(ctx context.Context, d deployment.Deployment, entry release.PlanEntry) error {
	c, err := h.store.FindCluster(ctx, entry.Key.Org, entry.ClusterID)
	if err != nil {
		return fmt.Errorf("finding cluster %s: %w", entry.ClusterName, err)
	}
	member, err := h.store.IsMember(ctx, c, d.GroupID)
	if err != nil {
		return fmt.Errorf("finding the group of cluster %s: %w", c.Name, err)
	}
	if !member {
		return taskerr.Failed("not-a-member", "cluster %s has left the group since the run was planned", c.Name)
	}
	client, err := h.clusters.Open(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.EnsureNamespace(ctx, entry.Key.Namespace); err != nil {
		return lost(c, fmt.Errorf("ensuring namespace %s on cluster %s: %w", entry.Key.Namespace, c.Name, err))
	}
	if c.Status == cluster.Unknown { // it was lost, and has just answered
		now := time.Now().UTC()
		if err := h.store.MarkClusterChecked(ctx, c.Org, c.ID, c.Version, c.Nodes, now, c.NextCheck(0, true, now)); err != nil {
			return fmt.Errorf("recording that cluster %s answers: %w", c.Name, err)
		}
	}
	if entry.CRDsRef == "" {
		return nil
	}
	crds, err := h.objects.GetManifest(ctx, entry.Key.Org, entry.CRDsRef)
	if err != nil {
		return fmt.Errorf("reading the CRDs of release %s: %w", entry.Key.Name, err)
	}
	names, err := client.ApplyCRDs(ctx, crds)
	if err != nil {
		return fmt.Errorf("installing the CRDs of release %s on cluster %s: %w", entry.Key.Name, c.Name, err)
	}
	waiting, err := client.CRDsEstablished(ctx, names)
	if err != nil {
		return fmt.Errorf("looking at the CRDs of release %s on cluster %s: %w", entry.Key.Name, c.Name, err)
	}
	if len(waiting) > 0 {
		return taskerr.New(taskerr.NotReady, "crds-not-served", fmt.Errorf("cluster %s does not serve %s yet", c.Name, strings.Join(waiting, ", ")))
	}
	return nil
}

// lost makes no answer from a cluster final that was known to give none: the run goes on, and the cluster catches up.
func lost(c cluster.Cluster, err error) error {
	if c.Status == cluster.Unknown && taskerr.NameOf(err) == taskerr.ClusterUnreachable {
		return taskerr.New(taskerr.TargetFailed, taskerr.CodeOf(err), err)
	}
	return err
}
