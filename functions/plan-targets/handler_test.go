package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

// memory is the store, the bucket and the keeper of credentials of one run over the clusters a and b.
type memory struct {
	mu       sync.Mutex
	servers  map[string]*kubetest.Server
	archive  []byte
	run      run.Run
	draft    deployment.Draft
	targets  map[string]run.Target
	releases map[release.Key]release.Owner
	plans    map[string][]release.PlanEntry
	shown    *deployment.Plan
	objects  map[string][]byte
	names    map[string]string // of clusters

	withdrawn int    // the generation that was given up
	denied    string // the cluster whose credential may not be read
}

func (m *memory) Withdraw(_ context.Context, g deployment.Generation, runID string) error {
	if runID == m.run.ID {
		m.withdrawn = g.Number
	}
	return nil
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindIntent(context.Context, string, run.Run) (deployment.Deployment, deployment.Generation, error) {
	return m.draft.Deployment, m.draft.Generation, nil
}

func (m *memory) FindDraft(context.Context, string, string) (deployment.Draft, error) {
	return m.draft, nil
}

func (m *memory) FindDeployment(context.Context, string, string) (deployment.Deployment, error) {
	return m.draft.Deployment, nil
}

func (m *memory) FindGroup(context.Context, string, string) (group.Group, error) {
	return group.Group{ID: "g", Members: []string{"a", "b"}}, nil
}

func (m *memory) FindCluster(_ context.Context, org, id string) (cluster.Cluster, error) {
	return cluster.Cluster{Org: org, ID: id, Name: m.names[id], Access: cluster.Access{CredentialRef: id}}, nil
}

func (m *memory) FindRelease(_ context.Context, key release.Key) (release.Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	owner, ok := m.releases[key]
	if !ok {
		return release.Release{}, problem.NotFound("release-not-found", "there is none")
	}
	return release.Release{Key: key, Owner: owner}, nil
}

func (m *memory) ListReleasesOfOwner(context.Context, string, release.Owner) ([]release.Release, error) {
	return nil, nil
}

func (m *memory) ListTargets(context.Context, string, string) ([]run.Target, error) {
	return []run.Target{m.targets["a"], m.targets["b"]}, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.targets[t.ClusterID] = t
	return nil
}

func (m *memory) ClaimRelease(_ context.Context, key release.Key, owner release.Owner) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if has, ok := m.releases[key]; ok && has != owner {
		return problem.Conflict("release-claimed", "another deployment has it")
	}
	m.releases[key] = owner
	return nil
}

func (m *memory) DeleteRelease(context.Context, release.Key, release.Owner, string) error { return nil }

func (m *memory) PutPlan(_ context.Context, _, hash string, entries []release.PlanEntry) error {
	m.plans[hash] = entries
	return nil
}

func (m *memory) PutShownPlan(_ context.Context, p deployment.Plan, entries []release.PlanEntry) error {
	m.shown, m.plans[p.Hash] = &p, entries
	return nil
}

func (m *memory) ListPlan(_ context.Context, _, hash string) ([]release.PlanEntry, error) {
	return m.plans[hash], nil
}

func (m *memory) SetPlanHash(_ context.Context, _, _, hash string) error {
	m.run.PlanHash = hash
	return nil
}

func (m *memory) GetChart(context.Context, string, string) ([]byte, error) { return m.archive, nil }

func (m *memory) GetValues(_ context.Context, _, _ string, into any) error {
	return json.Unmarshal([]byte(`{"values": {"password": "hunter22"}, "valueOverrides": {}}`), into)
}

func (m *memory) PutValues(_ context.Context, _ string, v any) (ref, digest string, err error) {
	return "values", release.Digest(v), nil
}

func (m *memory) PutManifest(_ context.Context, _ string, manifest []byte) (ref string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ref = release.Digest(string(manifest))
	m.objects[ref] = manifest
	return ref, nil
}

func (m *memory) Get(_ context.Context, name string) (secrets.Secret, error) {
	if name == m.denied {
		return secrets.Secret{}, errors.New("AccessDeniedException: not authorized to perform secretsmanager:GetSecretValue")
	}
	raw, err := m.servers[name].Credential().Marshal()
	return secrets.Of(raw), err
}

// record puts Helm's record of a revision on a cluster, as the deployment d made it.
func (m *memory) record(cluster string, revision, status string) {
	m.servers[cluster].Put(map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": map[string]any{
		"name": "sh.helm.release.v1.web.v" + revision, "namespace": "shop",
		"labels": map[string]any{"owner": "helm", "name": "web", "version": revision, "status": status,
			release.LabelOwner: "deployment-d", release.LabelInput: "before", release.LabelRevision: revision},
	}})
}

func newMemory(t *testing.T, chart helmtest.Chart) (*memory, handler) {
	t.Helper()
	m := &memory{
		servers: map[string]*kubetest.Server{}, archive: chart.Archive(t), targets: map[string]run.Target{}, releases: map[release.Key]release.Owner{},
		plans: map[string][]release.PlanEntry{}, objects: map[string][]byte{}, names: map[string]string{"a": "one", "b": "two"},
	}
	for id, name := range m.names {
		m.servers[id] = kubetest.New(t, kubetest.Options{})
		m.targets[id] = run.Target{ClusterID: id, ClusterName: name, Status: run.TargetWaiting}
		m.record(id, "3", "deployed")
	}
	m.draft = deployment.Draft{ExpectedVersion: 7,
		Deployment: deployment.Deployment{Org: "o", ID: "d", GroupID: "g", ReleaseName: "web", Namespace: "shop", Generation: 2, Version: 7},
		Generation: deployment.Generation{Org: "o", DeploymentID: "d", Number: 2, Chart: deployment.Chart{Name: "web", Digest: "sha256:1"}}}
	m.run = run.New("r", run.Plan, "o", "api", "ann", time.Time{}).About("d", "g", "web", 2)
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return m, handler{store: m, objects: m, clusters: kube.Opener{Credentials: m, Policy: loopback}, log: slog.New(slog.DiscardHandler)}
}

var ref = workflow.RunRef{Org: "o", Run: "r"}

const secretConfig = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: {{ .Values.password }}, upgrade: {{ .Release.IsUpgrade | quote }}}\n"

func TestAPlanIsShownAndClaimsNothing(t *testing.T) {
	m, h := newMemory(t, helmtest.Chart{"templates/a.yaml": secretConfig})
	if _, err := h.handle(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if len(m.releases) > 0 || m.servers["a"].Writes() > 0 {
		t.Errorf("it claimed %v and wrote %d times", m.releases, m.servers["a"].Writes())
	}
	entries := m.plans[m.run.PlanHash]
	if m.shown == nil || m.shown.Hash != m.run.PlanHash || m.shown.RunID != "r" || len(entries) != 2 || !m.shown.ExpiresAt.After(m.shown.CreatedAt) {
		t.Fatalf("plan %+v with %d entries", m.shown, len(entries))
	}
	for _, e := range entries {
		if e.Action != release.Upgrade || e.SeenRevision != 3 || e.Capabilities == "" || e.ManifestRef != entries[0].ManifestRef {
			t.Errorf("entry %+v", e)
		}
	}
	if len(m.objects) != 1 {
		t.Errorf("two clusters alike keep %d objects", len(m.objects))
	}
	var kept release.Rendering
	if err := json.Unmarshal(m.objects[entries[0].ManifestRef], &kept); err != nil || !strings.Contains(kept.Manifest, `upgrade: "true"`) || !kept.Reproducible {
		t.Errorf("kept %s, error %v", m.objects[entries[0].ManifestRef], err)
	}

	first := m.run.PlanHash
	m.run.ID, m.run.PlanHash, m.draft.Generation.CreatedAt = "r2", "", time.Now()
	if _, err := h.handle(t.Context(), ref); err != nil || m.run.PlanHash != first {
		t.Errorf("planned again, the hash is %s, was %s (%v)", m.run.PlanHash, first, err)
	}
	m.record("b", "4", "deployed")
	if _, err := h.handle(t.Context(), ref); err != nil || m.run.PlanHash == first {
		t.Errorf("the world moved and the hash stayed (%v)", err)
	}
}

func TestATargetThatCannotBeShown(t *testing.T) {
	cases := map[string]struct {
		given func(m *memory)
		code  string
	}{
		"it does not answer":       {func(m *memory) { m.servers["b"].Close() }, "cluster-unreachable"},
		"its credential is denied": {func(m *memory) { m.denied = "b" }, "credential-unreadable"},
		"another deployment has it": {func(m *memory) {
			m.releases[release.Key{Org: "o", ClusterID: "b", Namespace: "shop", Name: "web"}] = release.Owner{ID: "e"}
		}, "release-claimed"},
		"a release that Swell did not make": {func(m *memory) {
			m.servers["b"].Put(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{
				"name": "sh.helm.release.v1.web.v4", "namespace": "shop", "labels": map[string]any{"owner": "helm", "name": "web", "version": "4", "status": "deployed"}}})
		}, "release-foreign"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, h := newMemory(t, helmtest.ConfigMaps(1))
			c.given(m)
			if _, err := h.handle(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			if got := m.targets["b"]; got.Status != run.TargetFailed || got.Code != c.code {
				t.Errorf("target %+v, want %s", got, c.code)
			}
			if entries := m.plans[m.run.PlanHash]; len(entries) != 1 || entries[0].ClusterID != "a" {
				t.Errorf("entries %+v", entries)
			}
		})
	}
}

// A run that applies a plan takes its entries as they are, or touches nothing.
func TestARunThatAppliesAPlan(t *testing.T) {
	const asks = `{{ if .Capabilities.APIVersions.Has "example.com/v1" }}{{ end }}`
	cases := map[string]struct {
		given func(m *memory)
		moved map[string]string // by cluster id
		says  string
	}{
		"an API was added, that no template asks for": {func(m *memory) { m.servers["b"].Put(widgets) }, nil, ""},
		"nothing moved":       {func(*memory) {}, nil, ""},
		"a newer revision":    {func(m *memory) { m.record("b", "4", "deployed") }, map[string]string{"b": "revision 4, planned on revision 3"}, "two: revision 4, planned on revision 3"},
		"it failed meanwhile": {func(m *memory) { m.record("b", "3", "pending-upgrade") }, map[string]string{"b": "revision 3 is another now: it would be recover, planned was upgrade"}, "recover"},
		"it is gone":          {func(m *memory) { m.servers["a"].Remove("secrets", "shop", "sh.helm.release.v1.web.v3") }, map[string]string{"a": "no release, planned on revision 3"}, "one: no release"},
		"no answer any more":  {func(m *memory) { m.servers["b"].Close() }, map[string]string{"b": "it answered when the plan was made, and now: cluster-unreachable"}, "two: it answered"},
		"renamed":             {func(m *memory) { t := m.targets["b"]; t.ClusterName = "three"; m.targets["b"] = t }, map[string]string{"b": "it was named two when the plan was made"}, "three"},
		"an API was added":    {func(m *memory) { m.servers["b"].Put(widgets) }, map[string]string{"b": "the cluster's version or its APIs changed"}, "two: the cluster's version"},
		"one that joined":     {func(m *memory) { m.plans[m.run.Apply] = m.plans[m.run.Apply][:1] }, map[string]string{"b": "it was no target when the plan was made"}, "two"},
		"one that left": {func(m *memory) {
			m.plans[m.run.Apply] = append(m.plans[m.run.Apply], release.PlanEntry{ClusterID: "c", ClusterName: "four"})
		}, map[string]string{}, "four: it is no target any more"},
		"somebody took a name": {func(m *memory) {
			m.releases[release.Key{Org: "o", ClusterID: "b", Namespace: "shop", Name: "web"}] = release.Owner{ID: "e"}
		}, map[string]string{}, "two: another deployment has it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			chart := helmtest.ConfigMaps(1)
			if name == "an API was added" {
				chart = chart.With("templates/asks.yaml", asks)
			}
			m, h := newMemory(t, chart)
			if _, err := h.handle(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			m.run = run.New("r3", run.Deploy, "o", "api", "ann", time.Time{}).About("d", "g", "web", 2)
			m.run.Apply = m.shown.Hash
			m.archive = nil // it is not rendered again
			planned := append([]release.PlanEntry{}, m.plans[m.run.Apply]...)
			c.given(m)
			_, err := h.handle(t.Context(), ref)
			if c.says == "" {
				if err != nil || m.withdrawn != 0 || m.run.PlanHash != m.run.Apply || len(m.releases) != 2 || m.targets["a"].Action != "upgrade" {
					t.Errorf("error %v, plan %s, claimed %v, target %+v", err, m.run.PlanHash, m.releases, m.targets["a"])
				}
				if d := cmp.Diff(planned, m.plans[m.run.Apply]); d != "" {
					t.Errorf("the entries changed:\n%s", d)
				}
				return
			}
			if taskerr.CodeOf(err) != "plan-stale" || taskerr.NameOf(err) != taskerr.TargetFailed || !strings.Contains(err.Error(), c.says) || m.run.PlanHash != "" {
				t.Errorf("error %v, want %q; plan %q", err, c.says, m.run.PlanHash)
			}
			if m.withdrawn != m.draft.Generation.Number {
				t.Errorf("generation %d was withdrawn, want %d", m.withdrawn, m.draft.Generation.Number)
			}
			for _, id := range []string{"a", "b"} {
				want, moved := c.moved[id]
				if got := m.targets[id]; moved != (got.Code == "plan-stale") || !strings.HasPrefix(got.Cause, want) || m.servers[id].Writes() > 0 {
					t.Errorf("target %+v, want %q", got, want)
				}
			}
		})
	}
}

var widgets = map[string]any{
	"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "widgets.example.com"},
	"spec": map[string]any{"group": "example.com", "scope": "Namespaced", "names": map[string]any{"kind": "Widget", "plural": "widgets"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true}}},
}
