package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

// ApplyPlan carries out a plan as it stands, or says what moved since it was made.
func (h handler) ApplyPlan(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, hash openapi.PlanHashPath) {
	p, err := h.findPlan(r.Context(), org, hash)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	d, applying, err := h.apply(r.Context(), p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.start(r.Context(), applying)
	g, err := h.store.FindGroup(r.Context(), org, d.GroupID)
	if err != nil {
		h.fail(w, r, fmt.Errorf("finding the group of deployment %s: %w", d.ReleaseName, err))
		return
	}
	h.accepted(w, r, g, d, applying)
}

// apply accepts the plan's generation and the run that carries the plan out. Who comes second is told by the deployment's version.
func (h handler) apply(ctx context.Context, p shown) (deployment.Deployment, run.Run, error) {
	if err := h.refuse(ctx, p); err != nil {
		return deployment.Deployment{}, run.Run{}, err
	}
	d, g, actor := p.Draft.Deployment, p.Draft.Generation, openapi.PrincipalOf(ctx).Name
	g.PlanHash, g.CreatedAt, g.CreatedBy = p.Hash, h.now().UTC(), actor
	if p.Draft.ExpectedVersion == 0 {
		d.CreatedBy = actor
	}
	applying := run.New(id.New(), run.Deploy, d.Org, "api", actor, h.now().UTC()).About(d.ID, d.GroupID, d.ReleaseName, g.Number)
	applying.Apply = p.Hash
	d, applying, err := h.store.AdmitDeployment(ctx, dynamo.Admission{Deployment: d, Generation: g, Run: applying, ExpectedVersion: p.Draft.ExpectedVersion})
	if c, ok := problem.From(err); ok && c.Status == http.StatusConflict { // it moved between the look and the write
		if refused := h.refuse(ctx, p); refused != nil {
			err = refused
		}
	}
	return d, applying, err
}

// refuse says why a plan cannot be applied now; nil if, for all that is on record, it can.
func (h handler) refuse(ctx context.Context, p shown) error {
	if err := p.usable(h.now()); err != nil {
		return err
	}
	world, err := h.world(ctx, p)
	if err != nil {
		return fmt.Errorf("comparing plan %s with the world: %w", p.Hash, err)
	}
	if world.appliedBy != "" {
		return problem.Conflict("plan-applied", "run %s applied the plan", world.appliedBy).Try("watch that run; to deploy again, plan again")
	}
	if moved := world.moved(p); len(moved) > 0 {
		return problem.Conflict("plan-stale", "since the plan was made, %s", strings.Join(moved, "; ")).Try("plan again, and apply that plan")
	}
	return nil
}

// usable says whether the plan is whole and young enough.
func (s shown) usable(now time.Time) error {
	if !now.Before(s.ExpiresAt) {
		return problem.Conflict("plan-expired", "the plan was made on %s and expired on %s", s.CreatedAt.Format(time.RFC3339), s.ExpiresAt.Format(time.RFC3339)).
			Try("plan again, and apply that plan")
	}
	if !s.run.Status.Done() {
		return problem.Conflict("plan-incomplete", "run %s is still planning", s.run.ID).Try("wait for the run")
	}
	var missing []string
	for _, t := range s.targets {
		if t.Status != run.TargetSucceeded {
			missing = append(missing, strings.TrimSuffix(t.ClusterName+" ("+t.Code+")", " ()"))
		}
	}
	if len(missing) > 0 {
		return problem.Conflict("plan-incomplete", "%d of %d targets could not be planned: %s", len(missing), len(s.targets), strings.Join(missing, ", ")).
			Try("see the plan's targets for the causes, and plan again; or deploy without a plan")
	}
	return nil
}

// world is what is on record now of all that a plan saw.
type world struct {
	deployment *deployment.Deployment // nil: there is none
	appliedBy  string                 // the run that applied the plan; empty: none did
	group      *group.Group           // nil: it is gone
	clusters   map[string]cluster.Cluster
	releases   map[release.Key]release.Release
}

func (h handler) world(ctx context.Context, p shown) (world, error) {
	var w world
	head := p.Draft.Deployment
	d, err := h.store.FindDeploymentByName(ctx, head.Org, head.GroupID, head.ReleaseName)
	switch {
	case err == nil:
		w.deployment = &d
		g, err := h.store.FindGeneration(ctx, d.Org, d.ID, p.Draft.Generation.Number)
		if err == nil && g.PlanHash == p.Hash {
			w.appliedBy = g.RunID
		}
		if err != nil && !problem.Is(err, "generation-not-found") {
			return w, err
		}
	case !problem.Is(err, "deployment-not-found"):
		return w, err
	}
	g, err := h.store.FindGroup(ctx, head.Org, head.GroupID)
	switch {
	case err == nil:
		w.group = &g
	case !problem.Is(err, "group-not-found"):
		return w, err
	}
	ids, keys := make([]string, 0, len(p.entries)), make([]release.Key, 0, len(p.entries))
	for _, e := range p.entries {
		ids, keys = append(ids, e.ClusterID), append(keys, e.Key)
	}
	if w.clusters, err = h.store.FindClusters(ctx, head.Org, ids); err != nil {
		return w, err
	}
	w.releases, err = h.store.FindReleases(ctx, keys)
	return w, err
}

// moved lists what is not as the plan saw it. What only a cluster knows, the run finds.
func (w world) moved(p shown) []string {
	moved := w.headMoved(p.Draft)
	if w.group == nil {
		return append(moved, "the group was deleted")
	}
	planned := map[string]bool{}
	for _, e := range p.entries {
		planned[e.ClusterID] = true
		c, known := w.clusters[e.ClusterID]
		switch {
		case !known:
			moved = append(moved, "cluster "+e.ClusterName+" was removed")
			continue
		case !slices.Contains(w.group.Members, e.ClusterID):
			moved = append(moved, "cluster "+e.ClusterName+" left the group")
		case c.Name != e.ClusterName:
			moved = append(moved, "cluster "+e.ClusterName+" was renamed to "+c.Name)
		}
		if what := w.releaseMoved(p, e); what != "" {
			moved = append(moved, "cluster "+e.ClusterName+": "+what)
		}
	}
	joined := slices.DeleteFunc(slices.Clone(w.group.Members), func(id string) bool { return planned[id] })
	if len(joined) > 0 {
		moved = append(moved, "these clusters joined the group: "+strings.Join(joined, ", "))
	}
	return moved
}

func (w world) headMoved(draft deployment.Draft) []string {
	d := w.deployment
	switch {
	case d == nil && draft.ExpectedVersion == 0:
		return nil
	case d == nil:
		return []string{"the deployment was removed"}
	case draft.ExpectedVersion == 0:
		return []string{fmt.Sprintf("a deployment named %s was made", d.ReleaseName)}
	case d.ID != draft.Deployment.ID:
		return []string{"the deployment was removed and another of its name was made"}
	case d.Deleting:
		return []string{"the deployment is being removed"}
	case d.Version != draft.ExpectedVersion:
		return []string{fmt.Sprintf("the deployment changed: it is at generation %d and version %d, and was planned on version %d", d.Generation, d.Version, draft.ExpectedVersion)}
	}
	return nil
}

// releaseMoved compares what is recorded of a release. What was observed before the plan was made is older than what the plan saw.
func (w world) releaseMoved(p shown, e release.PlanEntry) string {
	rel, ok := w.releases[e.Key]
	if !ok {
		return ""
	}
	if rel.Owner != release.OwnedByDeployment(p.Draft.Deployment.ID) {
		return "another deployment has release " + e.Key.Name
	}
	o := rel.Observed
	if o == nil || o.At.Before(p.CreatedAt) {
		return ""
	}
	revision := o.Revision
	if o.Absent {
		revision = 0
	}
	return e.Moved(release.Sight{Action: e.Action, Revision: revision, Capabilities: e.Capabilities})
}
