package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/task"
	"github.com/swell-sh/swell/shared/workflow"
)

// reserve is what the cluster leaves of the function's time, to record that it was too slow.
const reserve = 10 * time.Second

type store interface {
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	FindGeneration(ctx context.Context, org, deploymentID string, n int) (deployment.Generation, error)
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	FindTarget(ctx context.Context, org, run, cluster string) (run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	FindPlanEntry(ctx context.Context, org, planHash, cluster string) (release.PlanEntry, error)
}

type objects interface {
	GetValues(ctx context.Context, org, ref string, into any) error
	GetManifest(ctx context.Context, org, ref string) ([]byte, error)
	PutManifest(ctx context.Context, org string, manifest []byte) (ref string, err error)
}

type handler struct {
	store    store
	objects  objects
	clusters kube.Opener
}

// plan is what is planned for one target.
type plan struct {
	entry     release.PlanEntry
	cluster   cluster.Cluster
	owner     release.Owner
	rendering release.Rendering
	values    map[string]any
	secret    mask.Paths
	ignore    []deployment.Ignore
}

// handle finds what the target's plan entry would change on its cluster, and keeps the diff with the target. Secrets are masked before
// anything is kept.
func (h handler) handle(ctx context.Context, ref workflow.TargetRef) (task.Note, error) {
	var note task.Note
	t, err := h.store.FindTarget(ctx, ref.Org, ref.Run, ref.Cluster)
	if err != nil {
		return note, fmt.Errorf("finding target %s of run %s: %w", ref.Cluster, ref.Run, err)
	}
	note.ClusterName = t.ClusterName
	if t.Status.Done() {
		return note, nil
	}
	t.StartedAt = time.Now().UTC()
	p, err := h.load(ctx, ref)
	if err != nil {
		return note, fmt.Errorf("loading the plan of target %s: %w", t.ClusterName, err)
	}
	found, err := h.look(ctx, p)
	if err != nil {
		return note, fmt.Errorf("comparing release %s on cluster %s: %w", p.entry.Key.Name, t.ClusterName, err)
	}
	raw, err := json.Marshal(found)
	if err != nil {
		return note, errors.New("encoding a diff: it is no JSON") // err could quote it
	}
	summary := summarize(found)
	summary.Reproducible = p.entry.Absent || p.entry.Action == release.Repair || p.rendering.Reproducible
	if summary.Ref, err = h.objects.PutManifest(ctx, ref.Org, raw); err != nil {
		return note, fmt.Errorf("keeping the diff of target %s: %w", t.ClusterName, err)
	}
	t.Status, t.Diff, t.EndedAt = run.TargetSucceeded, &summary, time.Now().UTC()
	if err := h.store.UpdateTarget(ctx, ref.Org, ref.Run, t); err != nil {
		return note, fmt.Errorf("recording the diff of target %s: %w", t.ClusterName, err)
	}
	return note, nil
}

func (h handler) load(ctx context.Context, ref workflow.TargetRef) (plan, error) {
	var p plan
	r, err := h.store.FindRun(ctx, ref.Org, ref.Run)
	if err != nil {
		return p, err
	}
	d, g, err := h.store.FindIntent(ctx, ref.Org, r)
	if err != nil {
		return p, err
	}
	if err := task.Stopped(r, d, false); err != nil {
		return p, err
	}
	p.ignore = d.Ignore
	p.owner = release.OwnedByDeployment(d.ID)
	if p.secret, err = h.secret(ctx, g); err != nil {
		return p, err
	}
	if p.entry, err = h.store.FindPlanEntry(ctx, ref.Org, ref.Plan, ref.Cluster); err != nil {
		return p, err
	}
	if p.cluster, err = h.store.FindCluster(ctx, ref.Org, ref.Cluster); err != nil || p.entry.Absent {
		return p, err
	}
	if err := h.objects.GetValues(ctx, ref.Org, p.entry.ValuesRef, &p.values); err != nil {
		return p, err
	}
	raw, err := h.objects.GetManifest(ctx, ref.Org, p.entry.ManifestRef)
	if err != nil {
		return p, err
	}
	if json.Unmarshal(raw, &p.rendering) != nil {
		return p, fmt.Errorf("reading rendering %s: it is not as it was kept", p.entry.ManifestRef) // the error could quote it
	}
	return p, nil
}

// secret are the paths that the plan masks, and those of the generation before it: a diff shows the values of both.
func (h handler) secret(ctx context.Context, g deployment.Generation) (mask.Paths, error) {
	paths := g.SecretPaths
	if g.Before > 0 {
		before, err := h.store.FindGeneration(ctx, g.Org, g.DeploymentID, g.Before)
		if err != nil {
			return nil, err
		}
		paths = slices.Concat(paths, before.SecretPaths)
	}
	return mask.Parse(paths)
}

func summarize(objects []diff.Object) run.Diff {
	var d run.Diff
	for _, o := range objects {
		switch o.Action {
		case diff.Create:
			d.Created++
		case diff.Update:
			d.Changed++
		case diff.Delete:
			d.Deleted++
		case diff.Unchanged, diff.Keep:
			d.Unchanged++
		}
		if len(o.Destructive) > 0 {
			d.Destructive++
		}
	}
	return d
}
