package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/workflow"
)

// memory is what the handler reads and writes beside the cluster.
type memory struct {
	run        run.Run
	target     run.Target
	entry      release.PlanEntry
	rendering  release.Rendering
	values     map[string]any
	credential kube.Credential
	kept       []byte
	unmarked   bool // the plan no longer calls the password secret
}

func (m *memory) FindRun(context.Context, string, string) (run.Run, error) { return m.run, nil }

func (m *memory) FindIntent(context.Context, string, run.Run) (deployment.Deployment, deployment.Generation, error) {
	g := deployment.Generation{Number: 2, Before: 1, SecretPaths: []string{"auth.password"}}
	if m.unmarked {
		g.SecretPaths = nil
	}
	return deployment.Deployment{ID: "d", ReleaseName: "web"}, g, nil
}

func (m *memory) FindGeneration(_ context.Context, _, _ string, n int) (deployment.Generation, error) {
	return deployment.Generation{Number: n, SecretPaths: []string{"auth.password"}}, nil
}

func (m *memory) FindCluster(context.Context, string, string) (cluster.Cluster, error) {
	return cluster.Cluster{ID: "c", Name: "one"}, nil
}

func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return m.target, nil
}

func (m *memory) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	m.target = t
	return nil
}

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return m.entry, nil
}

func (m *memory) GetValues(_ context.Context, _, _ string, into any) error {
	raw, err := json.Marshal(m.values)
	return errors.Join(err, json.Unmarshal(raw, into))
}

func (m *memory) GetManifest(context.Context, string, string) ([]byte, error) {
	return json.Marshal(m.rendering)
}

func (m *memory) PutManifest(_ context.Context, _ string, raw []byte) (string, error) {
	m.kept = raw
	return "ref", nil
}

func (m *memory) Get(context.Context, string) (secrets.Secret, error) {
	raw, err := m.credential.Marshal()
	return secrets.Of(raw), err
}

// keep makes a revision of the release "web" in namespace default on the server.
func keep(server *kubetest.Server, revision int, status, manifest string, labels map[string]string) {
	raw, _ := json.Marshal(map[string]any{ // of texts alone
		"name": "web", "namespace": "default", "version": revision, "manifest": manifest, "info": map[string]any{"status": status},
		"config": map[string]any{"auth": map[string]any{"password": "old-word"}},
	})
	all := map[string]any{"owner": "helm", "name": "web", "version": strconv.Itoa(revision), "status": status}
	for k, v := range labels {
		all[k] = v
	}
	packed := base64.StdEncoding.EncodeToString(raw)
	server.Put(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": map[string]any{"release": base64.StdEncoding.EncodeToString([]byte(packed))},
		"metadata": map[string]any{"namespace": "default", "name": fmt.Sprintf("sh.helm.release.v1.web.v%d", revision), "labels": all},
	})
}

// configMap is one in a manifest.
func configMap(name, text string) string {
	return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {text: " + text + "}\n"
}

// made is it as the release made it.
func made(name, text string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"text": text}, "metadata": map[string]any{
			"namespace": "default", "name": name, "labels": map[string]any{"app.kubernetes.io/managed-by": "Helm"},
			"annotations": map[string]any{"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "default"},
		},
	}
}

func TestDiffRelease(t *testing.T) {
	mine := map[string]string{release.LabelOwner: "deployment-d", release.LabelInput: "old", release.LabelRevision: "1"}
	labels := func(revision int, input string) map[string]string {
		all := maps.Clone(mine)
		all[release.LabelRevision], all[release.LabelInput] = strconv.Itoa(revision), input
		return all
	}
	rendering := release.Rendering{
		Manifest: configMap("changed", "new-word") + configMap("same", "x") + configMap("new", "x"), Reproducible: true,
		Hooks: []release.Hook{{Kind: "Job", Name: "migrate", Events: []string{"pre-install", "pre-upgrade"}}, {Kind: "Pod", Name: "test", Events: []string{"test"}}},
	}
	before := configMap("changed", "old-word") + configMap("same", "x") + configMap("gone", "x")
	cases := map[string]struct {
		scene  func(s *kubetest.Server)
		change func(m *memory)
		want   run.Diff
		told   []string
		code   string // of the error
	}{
		"a first install": {
			want: run.Diff{Created: 3, Reproducible: true},
			told: []string{"create ConfigMap changed added data <nil>→map[text:[masked]]", "create ConfigMap same added data <nil>→map[text:x]", "create ConfigMap new added data <nil>→map[text:x]", "hook Job migrate (pre-install)"},
		},
		"an upgrade": {
			scene: func(s *kubetest.Server) { keep(s, 1, "deployed", before, labels(1, "old")) },
			want:  run.Diff{Created: 1, Changed: 1, Deleted: 1, Unchanged: 1, Destructive: 1, Reproducible: true},
			told: []string{"update ConfigMap changed changed data.text [masked]→[masked]", "unchanged ConfigMap same", "create ConfigMap new added data <nil>→map[text:x]",
				"delete ConfigMap gone ! deleted", "hook Job migrate (pre-upgrade)"},
		},
		"an upgrade that no longer marks the secret": {
			scene:  func(s *kubetest.Server) { keep(s, 1, "deployed", before, labels(1, "old")) },
			change: func(m *memory) { m.unmarked = true },
			want:   run.Diff{Created: 1, Changed: 1, Deleted: 1, Unchanged: 1, Destructive: 1, Reproducible: true},
			told: []string{"update ConfigMap changed changed data.text [masked]→[masked]", "unchanged ConfigMap same", "create ConfigMap new added data <nil>→map[text:x]",
				"delete ConfigMap gone ! deleted", "hook Job migrate (pre-upgrade)"},
		},
		"an upgrade from the last that was deployed, over one that failed": {
			scene: func(s *kubetest.Server) {
				keep(s, 1, "deployed", before, labels(1, "old"))
				keep(s, 2, "failed", configMap("left", "x"), labels(2, "bad"))
				s.Put(made("left", "x"))
			},
			change: func(m *memory) { m.rendering.Reproducible = false },
			want:   run.Diff{Created: 1, Changed: 1, Deleted: 2, Unchanged: 1, Destructive: 2},
			told: []string{"update ConfigMap changed changed data.text [masked]→[masked]", "unchanged ConfigMap same", "create ConfigMap new added data <nil>→map[text:x]",
				"delete ConfigMap gone ! deleted", "delete ConfigMap left ! deleted", "hook Job migrate (pre-upgrade)"},
		},
		"nothing to do": {
			scene: func(s *kubetest.Server) { keep(s, 1, "deployed", before, labels(1, "hash")) },
			want:  run.Diff{Unchanged: 3, Reproducible: true},
			told:  []string{"unchanged ConfigMap changed", "unchanged ConfigMap same", "unchanged ConfigMap new"},
		},
		"a repair: the chart is not rendered anew": {
			scene: func(s *kubetest.Server) {
				keep(s, 1, "deployed", before, labels(1, "hash"))
				s.Put(made("changed", "by-hand"))
				s.Remove("configmaps", "default", "gone")
			},
			change: func(m *memory) { m.entry.Action = release.Repair },
			want:   run.Diff{Created: 1, Changed: 1, Unchanged: 1, Reproducible: true},
			told:   []string{"update ConfigMap changed changed data.text by-hand→[masked]", "unchanged ConfigMap same", "create ConfigMap gone"},
		},
		"an uninstall": {
			scene:  func(s *kubetest.Server) { keep(s, 1, "deployed", before, labels(1, "old")) },
			change: func(m *memory) { m.entry.Absent = true },
			want:   run.Diff{Deleted: 3, Destructive: 3, Reproducible: true},
			told:   []string{"delete ConfigMap changed ! deleted", "delete ConfigMap same ! deleted", "delete ConfigMap gone ! deleted"},
		},
		"somebody else's release": {
			scene: func(s *kubetest.Server) { keep(s, 1, "deployed", before, nil) }, code: "release-foreign",
		},
		"a cluster that does not answer": {scene: func(s *kubetest.Server) { s.Close() }, code: "cluster-unreachable"},
		"a run that was canceled":        {change: func(m *memory) { m.run.CancelRequested = true }, code: "canceled"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := kubetest.New(t, kubetest.Options{})
			server.Put(made("changed", "old-word"))
			server.Put(made("same", "x"))
			server.Put(made("gone", "x"))
			if name == "a first install" {
				for _, object := range []string{"changed", "same", "gone"} {
					server.Remove("configmaps", "default", object)
				}
			}
			if c.scene != nil {
				c.scene(server)
			}
			m := &memory{
				run: run.Run{ID: "r", Type: run.Plan, Status: run.Running}, target: run.Target{ClusterID: "c", ClusterName: "one", Status: run.TargetWaiting},
				entry:     release.PlanEntry{Key: release.Key{Org: "o", ClusterID: "c", Namespace: "default", Name: "web"}, InputHash: "hash"},
				rendering: rendering, values: map[string]any{"auth": map[string]any{"password": "new-word"}}, credential: server.Credential(),
			}
			if c.change != nil {
				c.change(m)
			}
			h := handler{store: m, objects: m, clusters: kube.Opener{Credentials: m, Policy: netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}
			note, err := h.handle(t.Context(), workflow.TargetRef{Org: "o", Run: "r", Plan: "p", Cluster: "c"})
			if note.ClusterName != "one" {
				t.Errorf("the step is of %q", note.ClusterName)
			}
			if c.code != "" {
				if taskerr.CodeOf(err) != c.code || m.target.Status != run.TargetWaiting || m.kept != nil {
					t.Errorf("got %v, target %+v", err, m.target)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Ref = "ref"
			if d := cmp.Diff(run.Target{ClusterID: "c", ClusterName: "one", Status: run.TargetSucceeded, Diff: &c.want}, m.target, ignoreTimes); d != "" {
				t.Errorf("target (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.told, told(t, m.kept)); d != "" {
				t.Errorf("diff (-want +got):\n%s", d)
			}
			for _, word := range []string{"old-word", "new-word"} {
				if strings.Contains(string(m.kept), word) {
					t.Errorf("a secret was kept: %s", m.kept)
				}
			}
		})
	}
}

var ignoreTimes = cmp.Transformer("time", func(time.Time) time.Time { return time.Time{} })

// told is what was kept, in lines.
func told(t *testing.T, kept []byte) []string {
	t.Helper()
	var objects []diff.Object
	if err := json.Unmarshal(kept, &objects); err != nil {
		t.Fatal(err)
	}
	lines := make([]string, 0, len(objects))
	for _, o := range objects {
		line := fmt.Sprintf("%s %s %s", o.Action, o.Kind, o.Name)
		for _, c := range o.Changes {
			line += fmt.Sprintf(" %s %s %v→%v", c.Op, c.Path, c.Before, c.After)
		}
		for _, why := range o.Destructive {
			line += " ! " + why
		}
		if o.Note != "" {
			line += " (" + o.Note + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestDiffReleaseTwice(t *testing.T) {
	m := &memory{target: run.Target{ClusterID: "c", Status: run.TargetSucceeded}}
	if _, err := (handler{store: m, objects: m}).handle(t.Context(), workflow.TargetRef{}); err != nil || m.kept != nil {
		t.Errorf("a target that has its diff was compared again: %v", err)
	}
}
