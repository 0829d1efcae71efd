package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// memory has one deployment that others depend on, and its release on one cluster; what is not asked here is not there.
type memory struct {
	store
	generation deployment.Generation
	needed     *deployment.Deployment
	release    *release.Release
	target     run.Target
	run        run.Run
	entry      release.PlanEntry
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindDeployment(context.Context, string, string) (deployment.Deployment, error) {
	return deployment.Deployment{Generation: m.run.Generation}, nil
}

func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return m.target, nil
}

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}

func (m *memory) FindGeneration(context.Context, string, string, int) (deployment.Generation, error) {
	return m.generation, nil
}

func (m *memory) FindDeploymentByName(_ context.Context, _, _, name string) (deployment.Deployment, error) {
	if m.needed == nil {
		return deployment.Deployment{}, problem.NotFound("deployment-not-found", "there is no deployment %s", name)
	}
	return *m.needed, nil
}

func (m *memory) FindRelease(_ context.Context, key release.Key) (release.Release, error) {
	if m.release == nil || key != (release.Key{Org: "o", ClusterID: "c", Namespace: "data", Name: "db"}) {
		return release.Release{}, problem.NotFound("release-not-found", "there is no release %s", key.Name)
	}
	return *m.release, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.target = t
	return nil
}

func TestDependencies(t *testing.T) {
	well := release.Release{
		Desired: &release.Desired{InputHash: "h"}, Health: release.Healthy,
		Observed: &release.Observed{InputHash: "h", Revision: 2, LabelRevision: 2, Status: "deployed"},
	}
	with := func(change func(*release.Release)) *release.Release {
		r := well
		change(&r)
		return &r
	}
	db := &deployment.Deployment{ReleaseName: "db", Namespace: "data"}
	cases := map[string]struct {
		needed  *deployment.Deployment
		release *release.Release
		started time.Duration // ago
		name    string
		cause   string
	}{
		"well":              {needed: db, release: &well},
		"not there yet":     {needed: db, name: taskerr.NotReady, cause: "db, which it depends on, is not there yet"},
		"being changed":     {needed: db, release: with(func(r *release.Release) { r.ActiveRun = "r2" }), name: taskerr.NotReady, cause: "is being changed by run r2"},
		"not in sync":       {needed: db, release: with(func(r *release.Release) { r.Desired = &release.Desired{InputHash: "newer"} }), name: taskerr.NotReady, cause: "is not in sync"},
		"to be removed":     {needed: db, release: with(func(r *release.Release) { r.Desired = &release.Desired{Absent: true} }), name: taskerr.NotReady, cause: "is not in sync"},
		"not healthy":       {needed: db, release: with(func(r *release.Release) { r.Health, r.HealthMessage = release.Unhealthy, "no disk" }), name: taskerr.NotReady, cause: "is UNHEALTHY: no disk"},
		"removed":           {name: taskerr.TargetFailed, cause: "was removed"},
		"the time was over": {needed: db, started: time.Hour, name: taskerr.TargetFailed, cause: "after 60 s db, which it depends on, is not there yet"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{needed: c.needed, release: c.release}
			h := handler{store: m}
			entry := release.PlanEntry{ClusterID: "c", DependsOn: []string{"db"}, Timeout: 60, Key: release.Key{Org: "o", Name: "web"}}
			err := h.mayBegin(t.Context(), deployment.Deployment{Org: "o", GroupID: "g"}, entry)
			if err != nil && taskerr.NameOf(err) == taskerr.NotReady {
				err = h.waiting(t.Context(), "r", entry, run.Target{StartedAt: time.Now().Add(-c.started)}, err)
			}
			if c.name == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || taskerr.NameOf(err) != c.name || taskerr.CodeOf(err) != "dependency-not-ready" || !strings.Contains(err.Error(), c.cause) {
				t.Errorf("got %v, want %s: %s", err, c.name, c.cause)
			}
			if c.name == taskerr.NotReady && !strings.Contains(m.target.Cause, c.cause) {
				t.Errorf("the target says %q", m.target.Cause)
			}
		})
	}
}

// A run that was turned around prepares nothing but what takes a target back. What it does not come to, it does not mark either.
func TestARunThatTurnsAroundPreparesNothing(t *testing.T) {
	m := &memory{run: run.Run{Type: run.Deploy, Phase: run.Reverting}, target: run.Target{ClusterName: "pke", Status: run.TargetWaiting}}
	_, err := handler{store: m}.handle(t.Context(), workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "c"})
	if taskerr.CodeOf(err) != "reverted" || m.target.Status != run.TargetWaiting {
		t.Errorf("got %v, %+v", err, m.target)
	}
	if _, err := (handler{store: m}).permitted(t.Context(), workflow.TargetRef{}, true); err != nil {
		t.Error(err)
	}
}

// An expression that is not CEL fails the target with its field, before anything is written.
func TestHealthChecksAreCompiledFirst(t *testing.T) {
	m := &memory{generation: deployment.Generation{HealthChecks: []deployment.HealthCheck{{APIVersion: "v1", Kind: "Service", Current: "status.x ="}}}}
	err := handler{store: m}.mayBegin(t.Context(), deployment.Deployment{}, release.PlanEntry{HealthChecks: true})
	if taskerr.CodeOf(err) != "health-check-invalid" || taskerr.NameOf(err) != taskerr.TargetFailed || !strings.Contains(err.Error(), "healthChecks[0].current") {
		t.Errorf("got %v", err)
	}
	m.generation.HealthChecks[0].Current = "status.x == 1"
	if err := (handler{store: m}).mayBegin(t.Context(), deployment.Deployment{}, release.PlanEntry{HealthChecks: true}); err != nil {
		t.Error(err)
	}
}
