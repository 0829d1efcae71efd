package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	atOnce    = 16               // targets planned at the same time
	probeTime = 15 * time.Second // for one cluster to say what it has; a slower one is planned without
)

type store interface {
	plans
	FindRun(ctx context.Context, org, id string) (run.Run, error)
	FindIntent(ctx context.Context, org string, r run.Run) (deployment.Deployment, deployment.Generation, error)
	FindDeployment(ctx context.Context, org, id string) (deployment.Deployment, error)
	FindRelease(ctx context.Context, key release.Key) (release.Release, error)
	FindGroup(ctx context.Context, org, id string) (group.Group, error)
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
	UpdateTarget(ctx context.Context, org, run string, target run.Target) error
	ClaimRelease(ctx context.Context, key release.Key, owner release.Owner) error
	DeleteRelease(ctx context.Context, key release.Key, owner release.Owner, runID string) error
	ListReleasesOfOwner(ctx context.Context, org string, owner release.Owner) ([]release.Release, error)
}

type plans interface {
	FindDraft(ctx context.Context, org, run string) (deployment.Draft, error)
	PutPlan(ctx context.Context, org, planHash string, entries []release.PlanEntry) error
	PutShownPlan(ctx context.Context, p deployment.Plan, entries []release.PlanEntry) error
	ListPlan(ctx context.Context, org, planHash string) ([]release.PlanEntry, error)
	SetPlanHash(ctx context.Context, org, run, planHash string) error
	Withdraw(ctx context.Context, g deployment.Generation, runID string) error
}

type objects interface {
	GetChart(ctx context.Context, org, digest string) ([]byte, error)
	GetValues(ctx context.Context, org, ref string, into any) error
	PutValues(ctx context.Context, org string, v any) (ref, digest string, err error)
	PutManifest(ctx context.Context, org string, manifest []byte) (ref string, err error)
}

type handler struct {
	store    store
	objects  objects
	clusters kube.Opener
	log      *slog.Logger
}

// plan is one run being planned.
type plan struct {
	handler
	run        run.Run
	deployment deployment.Deployment
	generation deployment.Generation
	values     deployment.Values
	members    map[string]bool
	renders    *renders
}

// handle decides for every target what it should have, claims its release's name, and renders what would be applied, so that a chart that
// cannot be rendered touches no cluster. A target that cannot be planned has its outcome here, and the others go on.
func (h handler) handle(ctx context.Context, ref workflow.RunRef) (workflow.RunRef, error) {
	p, err := h.load(ctx, ref)
	if err != nil {
		return ref, fmt.Errorf("planning run %s: %w", ref.Run, err)
	}
	targets, err := h.store.ListTargets(ctx, ref.Org, ref.Run)
	if err != nil {
		return ref, fmt.Errorf("listing the targets of run %s: %w", ref.Run, err)
	}
	if err := p.guard(ctx, targets); err != nil {
		return ref, fmt.Errorf("planning run %s: %w", ref.Run, err)
	}
	if p.run.Apply != "" {
		return ref, p.bind(ctx, targets)
	}
	entries, err := p.entries(ctx, targets)
	if err != nil {
		return ref, fmt.Errorf("planning run %s: %w", ref.Run, err)
	}
	hash, err := p.keep(ctx, entries)
	if err != nil {
		return ref, fmt.Errorf("writing the plan of run %s: %w", ref.Run, err)
	}
	if err := h.store.SetPlanHash(ctx, ref.Org, ref.Run, hash); err != nil {
		return ref, fmt.Errorf("naming the plan of run %s: %w", ref.Run, err)
	}
	return ref, nil
}

// entries plans the targets that have no outcome yet.
func (p plan) entries(ctx context.Context, targets []run.Target) ([]release.PlanEntry, error) {
	planned := make([]*release.PlanEntry, len(targets))
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	for i, t := range targets {
		if t.Status.Done() {
			continue
		}
		tasks.Go(func() (err error) {
			planned[i], err = p.target(taskCtx, t)
			return err
		})
	}
	if err := tasks.Wait(); err != nil {
		return nil, err
	}
	entries := make([]release.PlanEntry, 0, len(planned))
	for _, entry := range planned {
		if entry != nil {
			entries = append(entries, *entry)
		}
	}
	return entries, nil
}

// keep writes the plan down and returns its hash.
func (p plan) keep(ctx context.Context, entries []release.PlanEntry) (string, error) {
	if p.run.Type == run.Plan {
		return p.keepShown(ctx, entries)
	}
	hash := release.PlanHash(p.run.ID, entries)
	return hash, p.store.PutPlan(ctx, p.run.Org, hash, entries)
}

func (h handler) load(ctx context.Context, ref workflow.RunRef) (plan, error) {
	p := plan{handler: h, members: map[string]bool{}}
	var err error
	if p.run, err = h.store.FindRun(ctx, ref.Org, ref.Run); err != nil {
		return p, err
	}
	if p.deployment, p.generation, err = h.store.FindIntent(ctx, ref.Org, p.run); err != nil {
		return p, err
	}
	if err := h.objects.GetValues(ctx, ref.Org, p.generation.ValuesRef, &p.values); err != nil {
		return p, err
	}
	g, err := h.store.FindGroup(ctx, ref.Org, p.deployment.GroupID)
	if err != nil {
		return p, err
	}
	for _, id := range g.Members {
		p.members[id] = true
	}
	archive, err := h.objects.GetChart(ctx, ref.Org, p.generation.Chart.Digest)
	if err != nil {
		return p, err
	}
	p.renders = newRenders(h.objects, ref.Org, archive)
	return p, nil
}

// target plans one target. No entry: it has its outcome already.
func (p plan) target(ctx context.Context, t run.Target) (*release.PlanEntry, error) {
	entry, err := p.entry(ctx, t)
	if err != nil {
		code := taskerr.CodeOf(err)
		if code == "internal" {
			return nil, fmt.Errorf("planning target %s: %w", t.ClusterName, err)
		}
		t.Status, t.Code, t.Cause, t.EndedAt = run.TargetFailed, code, taskerr.CauseOf(err), time.Now().UTC()
		if code == "superseded" {
			t.Status = run.TargetSuperseded
		}
		return nil, p.store.UpdateTarget(ctx, p.run.Org, p.run.ID, t)
	}
	t.Action = string(entry.Action)
	return &entry, p.store.UpdateTarget(ctx, p.run.Org, p.run.ID, t)
}

func (p plan) entry(ctx context.Context, t run.Target) (release.PlanEntry, error) {
	key := release.Key{Org: p.run.Org, ClusterID: t.ClusterID, Namespace: p.deployment.Namespace, Name: p.deployment.ReleaseName}
	if !p.members[t.ClusterID] {
		return release.AbsentEntry(key, t.ClusterName, p.run.Generation), nil
	}
	if err := p.mayHave(ctx, key); err != nil {
		return release.PlanEntry{}, err
	}
	values := p.values.For(t.ClusterName)
	ref, digest, err := p.objects.PutValues(ctx, p.run.Org, values)
	if err != nil {
		return release.PlanEntry{}, err
	}
	chart := p.generation.Chart
	entry := release.PlanEntry{
		ClusterID: t.ClusterID, ClusterName: t.ClusterName, Key: key, Generation: p.generation.Number, Timeout: p.timeout(t),
		ChartName: chart.Name, ChartVersion: chart.Version, ChartDigest: chart.Digest, ValuesRef: ref, ValuesDigest: digest,
		InputHash: release.Input{ChartDigest: chart.Digest, ValuesDigest: digest, Name: key.Name, Namespace: key.Namespace}.Hash(),
	}
	entry.HealthChecks, entry.DependsOn = len(p.generation.HealthChecks) > 0, p.deployment.DependsOn
	if p.generation.Tests.Enabled {
		entry.Tests = p.generation.Tests.TimeoutSeconds
	}
	sees, err := p.look(ctx, t)
	switch {
	case err != nil && p.run.Type == run.Plan:
		return release.PlanEntry{}, err
	case err != nil: // PrepareRelease tries again, and says what is wrong
		p.log.WarnContext(ctx, "planning a target without its cluster", "cluster", t.ClusterName, "error", err.Error())
	}
	decision := p.decide(sees, entry.InputHash)
	entry.Action, entry.SeenRevision = decision.Action, sees.newest.Revision
	if decision.Action == release.Refuse && p.run.Type == run.Plan {
		return release.PlanEntry{}, taskerr.Failed(decision.Code, "%s", decision.Reason)
	}
	rendered, err := p.renders.of(ctx, entry, values, sees, p.run.Type == run.Plan)
	entry.CRDsRef, entry.ManifestRef, entry.Capabilities = rendered.crdsRef, rendered.manifestRef, sees.capabilities(rendered.asksAPIs)
	return entry, err
}

// timeout is how long the target may take: its wave may say.
func (p plan) timeout(t run.Target) int {
	if !p.run.RollsOut() && p.run.Type != run.Plan {
		return p.generation.TimeoutSeconds
	}
	return p.generation.Rollout.Deadline(t.Wave, p.generation.TimeoutSeconds)
}

func (p plan) decide(sees sight, inputHash string) release.Decision {
	want := release.Want{Owner: release.OwnedByDeployment(p.deployment.ID), InputHash: inputHash}
	return release.Decide(sees.newest, want, release.Policy{}, time.Now())
}

// mayHave makes sure that the release's name is the deployment's: a plan that is shown looks, any other claims it.
func (p plan) mayHave(ctx context.Context, key release.Key) error {
	owner := release.OwnedByDeployment(p.deployment.ID)
	if p.run.Type != run.Plan {
		return p.claim(ctx, key, owner)
	}
	rel, err := p.store.FindRelease(ctx, key)
	if err == nil && rel.Owner != owner {
		return problem.Conflict("release-claimed", "another deployment has release %s in namespace %s", key.Name, key.Namespace)
	}
	if problem.Is(err, "release-not-found") {
		return nil
	}
	return err
}

// claim claims the release's name. The deployment may have begun to be removed meanwhile: a claim that the removal did not see is undone.
func (p plan) claim(ctx context.Context, key release.Key, owner release.Owner) error {
	if err := p.store.ClaimRelease(ctx, key, owner); err != nil {
		return err
	}
	d, err := p.store.FindDeployment(ctx, key.Org, p.deployment.ID)
	if problem.Is(err, "deployment-not-found") || err == nil && d.Deleting {
		if err := p.store.DeleteRelease(ctx, key, owner, p.run.ID); err != nil {
			return fmt.Errorf("undoing the claim of release %s: %w", key.Name, err)
		}
		return taskerr.Failed("superseded", "the deployment is being removed")
	}
	return err
}

// sight is what a cluster showed for a plan; the zero value, where it did not answer.
type sight struct {
	kubeVersion string
	apiVersions []string
	newest      release.Seen
}

func (p plan) look(ctx context.Context, t run.Target) (sight, error) {
	nothing := sight{newest: release.Seen{Absent: true}}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	c, err := p.store.FindCluster(ctx, p.run.Org, t.ClusterID)
	if err != nil {
		return nothing, err
	}
	nothing.kubeVersion = c.Version // Helm's own default is of years ago, and a chart may refuse it
	client, err := p.clusters.Open(ctx, c)
	if err != nil {
		return nothing, err
	}
	defer client.Close()
	probe, err := client.Probe(ctx)
	if err != nil {
		return nothing, err
	}
	history, err := record.HistoryOf(ctx, client.Metadata(), record.Key{Namespace: p.deployment.Namespace, Name: p.deployment.ReleaseName})
	if err != nil {
		return nothing, kube.Classify(err)
	}
	newest := record.Seen(history)
	if newest.Drifted, err = p.drifted(ctx, t, newest.Revision); err != nil {
		return nothing, err
	}
	return sight{kubeVersion: probe.Version, apiVersions: probe.APIVersions, newest: newest}, nil
}

// drifted is how many objects of that revision differed when the cluster was last looked at. DeployRelease looks itself.
func (p plan) drifted(ctx context.Context, t run.Target, revision int) (int, error) {
	rel, err := p.store.FindRelease(ctx, release.Key{Org: p.run.Org, ClusterID: t.ClusterID, Namespace: p.deployment.Namespace, Name: p.deployment.ReleaseName})
	if problem.Is(err, "release-not-found") || err == nil && (rel.Drift == nil || rel.Drift.Revision != revision) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("finding release %s on cluster %s: %w", p.deployment.ReleaseName, t.ClusterName, err)
	}
	return rel.Drift.Objects, nil
}

// versionOnly begins the capabilities of a release whose chart does not ask which APIs there are: one that comes or goes moves no plan of it.
const versionOnly = "version-"

// capabilities tells clusters apart whose renders may differ; empty: it did not answer.
func (s sight) capabilities(apis bool) string {
	switch {
	case len(s.apiVersions) == 0:
		return ""
	case !apis:
		return versionOnly + release.Digest(s.kubeVersion)
	}
	return release.Digest(append([]string{s.kubeVersion}, slices.Sorted(slices.Values(s.apiVersions))...))
}
