package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/workflow"
)

const objectsOfRelease = 6

var (
	noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	key  = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}
	ref  = workflow.TargetRef{Org: key.Org, Cluster: key.ClusterID}
)

// memory is the store, the bucket, the machines and the keeper of credentials of one cluster with one release.
type memory struct {
	store
	server     *kubetest.Server
	deployment deployment.Deployment
	release    release.Release
	target     run.Target
	last       run.Run // of the deployment; zero: one that succeeded
	findings   []drift.Finding
	writes     []string
	started    []run.Run
	schedule   group.Reconcile
	checked    bool
}

func (m *memory) FindCluster(context.Context, string, string) (cluster.Cluster, error) {
	return cluster.Cluster{Org: key.Org, ID: key.ClusterID, Name: "demo"}, nil
}

func (m *memory) ListReleasesOfCluster(context.Context, string, string) ([]release.Release, error) {
	return []release.Release{m.release}, nil
}

func (m *memory) MarkClusterChecked(ctx context.Context, _, _, _ string, _ int, _, _ time.Time) error {
	m.checked = ctx.Err() == nil
	return ctx.Err()
}

func (m *memory) SetObserved(_ context.Context, _ release.Key, o release.Observed, previous *release.Observed) (bool, error) {
	if previous != nil {
		o.At = previous.At
	}
	if previous != nil && cmp.Equal(o, *previous) {
		return false, nil
	}
	m.writes, m.release.Observed = append(m.writes, "observed"), &o
	return true, nil
}

func (m *memory) SetDrift(_ context.Context, _ release.Key, d release.Drift, previous *release.Drift) (bool, error) {
	d, news := d.After(previous)
	if news {
		m.writes, m.release.Drift = append(m.writes, "drift"), &d
	}
	return news, nil
}

func (m *memory) SetCheckError(ctx context.Context, _ release.Key, e, previous *release.CheckError) (bool, error) {
	e, news := e.After(previous)
	if news && ctx.Err() == nil {
		m.writes, m.release.CheckError = append(m.writes, "check error"), e
	}
	return news, ctx.Err()
}

func (m *memory) ClearCatchUp(context.Context, release.Key, string) error {
	m.release.CatchUp = nil
	return nil
}

func (m *memory) FindDeployment(context.Context, string, string) (deployment.Deployment, error) {
	return m.deployment, nil
}

func (m *memory) FindRun(_ context.Context, org, id string) (run.Run, error) {
	if m.last.Status != "" {
		return m.last, nil
	}
	return run.Run{Org: org, ID: id, Status: run.Succeeded}, nil
}

func (m *memory) FindSchedule(context.Context, string, string) (group.Reconcile, error) {
	return m.schedule, nil
}

func (m *memory) FindTarget(context.Context, string, string, string) (run.Target, error) {
	if m.target.ClusterID == "" {
		return m.target, problem.NotFound("target-not-found", "there is none")
	}
	return m.target, nil
}

func (m *memory) AdmitRun(_ context.Context, d deployment.Deployment, r run.Run, _ int64, _ bool) (deployment.Deployment, run.Run, error) {
	m.started = append(m.started, r)
	return d, r, nil
}

func (m *memory) FindPlanEntry(context.Context, string, string, string) (release.PlanEntry, error) {
	return release.PlanEntry{}, nil
}

func (m *memory) Start(context.Context, string, string, any) error { return nil }

func (m *memory) GetValues(context.Context, string, string, any) error { return nil }

func (m *memory) PutFindings(_ context.Context, org string, findings []drift.Finding, known string) (string, error) {
	ref := org + "/drift/" + release.Digest(findings)
	if ref != known {
		m.writes, m.findings = append(m.writes, "findings"), findings
	}
	return ref, nil
}

func (m *memory) Get(context.Context, string) (secrets.Secret, error) {
	raw, err := m.server.Credential().Marshal()
	return secrets.Of(raw), err
}

func manifest() string {
	var b strings.Builder
	for i := range objectsOfRelease {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web-%d\ndata:\n  text: hello\n", i)
	}
	return b.String()
}

// keep puts a revision's record on the cluster, as Helm would; labels inherited from revision labelled.
func (m *memory) keep(revision, labelled int, description string) {
	raw, err := json.Marshal(map[string]any{
		"name": key.Name, "namespace": key.Namespace, "version": revision, "manifest": manifest(), "info": map[string]any{"status": "deployed", "description": description},
		"chart": map[string]any{"metadata": map[string]any{"name": "demo", "version": "1.0.0"}},
	})
	if err != nil {
		panic(err)
	}
	packed := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(raw)))
	m.server.Put(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": map[string]any{"release": packed},
		"metadata": map[string]any{"name": record.SecretName(key.Name, revision), "namespace": key.Namespace, "labels": map[string]any{
			"owner": "helm", "name": key.Name, "status": "deployed", "version": fmt.Sprint(revision),
			release.LabelOwner: "deployment-d", release.LabelInput: "h", release.LabelRevision: fmt.Sprint(labelled),
		}},
	})
}

func (m *memory) put(i int, text string) {
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": fmt.Sprintf("web-%d", i), "namespace": key.Namespace, "labels": map[string]any{"app.kubernetes.io/managed-by": "Helm"},
		"annotations": map[string]any{"meta.helm.sh/release-name": key.Name, "meta.helm.sh/release-namespace": key.Namespace},
	}, "data": map[string]any{"text": text}})
}

// newCluster has a release in sync at revision 1, never looked at.
func newCluster(t *testing.T, mode deployment.Mode) (*memory, handler) {
	t.Helper()
	m := &memory{server: kubetest.New(t, kubetest.Options{}), deployment: deployment.Deployment{Org: key.Org, ID: "d", Generation: 1, Mode: mode}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	m.release = release.Release{Key: key, Owner: release.OwnedByDeployment("d"), Desired: &release.Desired{Generation: 1, InputHash: "h", ChartVersion: "1.0.0"}}
	for i := range objectsOfRelease {
		m.put(i, "hello")
	}
	m.keep(1, 1, "Install complete")
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return m, handler{store: m, machines: m, objects: m, clusters: kube.Opener{Credentials: m, Policy: loopback}, log: slog.New(slog.DiscardHandler),
		now: func() time.Time { return noon }, newID: func() string { return "r" }}
}

func (m *memory) look(t *testing.T, h handler) {
	t.Helper()
	m.writes, m.started = nil, nil
	if err := h.checkDue(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
}

// A release that is as it should be costs a read for each object, three more after the list, and no write.
func TestACleanLookWritesNothing(t *testing.T) {
	m, h := newCluster(t, deployment.Correct)
	m.look(t, h)
	if want := []string{"observed"}; !cmp.Equal(m.writes, want) {
		t.Errorf("the first look wrote %v, want %v", m.writes, want)
	}
	m.server.ResetRequests()
	m.look(t, h)
	if len(m.writes) > 0 || len(m.started) > 0 {
		t.Errorf("the second wrote %v and started %v", m.writes, m.started)
	}
	if calls, most := len(m.server.Requests()), 1+objectsOfRelease+3; calls > most {
		t.Errorf("%d calls, at most %d: %+v", calls, most, m.server.Requests())
	}
}

// What a cluster serves is read beside the list of records, and only where a release will be compared.
func TestDiscoveryDoesNotWaitForTheList(t *testing.T) {
	m, h := newCluster(t, deployment.Correct)
	m.look(t, h)
	discovers := make(chan struct{}, 10)
	m.server.Fail(func(r *http.Request) *metav1.Status {
		if strings.Count(r.URL.Path, "/") == 1 { // /api and /apis
			discovers <- struct{}{}
		}
		if strings.HasSuffix(r.URL.Path, "/secrets") {
			select {
			case <-discovers:
			case <-time.After(5 * time.Second):
				t.Error("the list was alone")
			}
		}
		return nil
	})
	m.look(t, h)
	m.server.Fail(nil)
	m.server.ResetRequests()
	m.release.Desired = nil
	m.look(t, h)
	if n := m.server.Count("discovery", ""); n > 0 {
		t.Errorf("%d discoveries for nothing", n)
	}
}

// A cluster that answers too slowly leaves the function time to say so.
func TestASlowClusterIsRecorded(t *testing.T) {
	m, h := newCluster(t, deployment.Correct)
	m.server.Fail(func(r *http.Request) *metav1.Status {
		if strings.Contains(r.URL.Path, "/configmaps/") {
			<-r.Context().Done()
		}
		return nil
	})
	m.checked = false
	ctx, cancel := context.WithTimeout(t.Context(), reserve+500*time.Millisecond)
	defer cancel()
	err := h.checkDue(ctx, workflow.TargetRef{Org: key.Org, Cluster: key.ClusterID})
	if err != nil || ctx.Err() != nil || !m.checked || m.release.CheckError == nil {
		t.Errorf("error %v, recorded: %t, %+v", err, m.checked, m.release.CheckError)
	}
}

func TestDriftIsRecordedOnce(t *testing.T) {
	m, h := newCluster(t, deployment.Detect)
	m.look(t, h)
	m.put(2, "by hand")
	m.server.Remove("configmaps", key.Namespace, "web-4")
	m.look(t, h)
	if want := []string{"findings", "drift"}; !cmp.Equal(m.writes, want) || m.release.DriftedObjects() != 2 || m.release.Drift.Fields != 1 || len(m.started) > 0 {
		t.Errorf("wrote %v, started %v: %+v", m.writes, m.started, m.release.Drift)
	}
	var found []string
	for _, f := range m.findings {
		found = append(found, fmt.Sprintf("%s %s %s %v %v", f.Op, f.Name, f.Path, f.Want, f.Live))
	}
	if diff := cmp.Diff([]string{"changed web-2 data.text hello by hand", "missing web-4  <nil> <nil>"}, found); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	m.look(t, h)
	if len(m.writes) > 0 {
		t.Errorf("the same drift was written again: %v", m.writes)
	}
	m.deployment.Ignore = []deployment.Ignore{{Path: "data.text"}}
	m.put(4, "hello")
	m.look(t, h)
	if want := []string{"drift"}; !cmp.Equal(m.writes, want) || m.release.DriftedObjects() != 0 {
		t.Errorf("wrote %v: %+v", m.writes, m.release.Drift)
	}
}

func TestReconcile(t *testing.T) {
	cases := map[string]struct {
		mode    deployment.Mode
		given   func(m *memory)
		started bool
		status  release.Status
	}{
		"in sync":                  {deployment.Correct, func(*memory) {}, false, release.StatusDeployed},
		"drifted, detect":          {deployment.Detect, func(m *memory) { m.put(1, "by hand") }, false, release.StatusDrifted},
		"drifted, correct":         {deployment.Correct, func(m *memory) { m.put(1, "by hand") }, true, release.StatusDrifted},
		"drifted, window closed":   {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.schedule.Windows = []group.Window{{Deny: true}} }, false, release.StatusDrifted},
		"drifted again at once":    {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.target = repaired() }, false, release.StatusDrifted},
		"a run has just failed":    {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.last = failed("reconcile", key.ClusterID) }, false, release.StatusDrifted},
		"one failed elsewhere":     {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.last = failed("reconcile", "c2") }, true, release.StatusDrifted},
		"a person's run failed":    {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.last = failed("api", key.ClusterID) }, true, release.StatusDrifted},
		"upgraded by hand, detect": {deployment.Detect, func(m *memory) { m.keep(2, 1, "Upgrade complete") }, false, release.StatusStale},
		"upgraded by hand":         {deployment.Correct, func(m *memory) { m.keep(2, 1, "Upgrade complete") }, true, release.StatusStale},
		"rolled back by hand":      {deployment.Correct, func(m *memory) { m.keep(3, 1, "Rollback to 1") }, false, release.StatusStale},
		"it missed a run":          {deployment.Detect, func(m *memory) { m.keep(2, 1, "Upgrade complete"); m.miss(1) }, true, release.StatusStale},
		"it missed an older one":   {deployment.Detect, func(m *memory) { m.keep(2, 1, "Upgrade complete"); m.miss(0) }, false, release.StatusStale},
		"it missed one that was canceled": {deployment.Detect, func(m *memory) {
			m.keep(2, 1, "Upgrade complete")
			m.miss(1)
			m.last = run.Run{Status: run.Canceled, CancelRequested: true}
		}, false, release.StatusStale},
		"it is being removed":      {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.deployment.Deleting = true }, false, release.StatusDrifted},
		"a newer generation waits": {deployment.Correct, func(m *memory) { m.put(1, "by hand"); m.deployment.Generation = 2 }, false, release.StatusStale},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, h := newCluster(t, c.mode)
			m.look(t, h)
			c.given(m)
			m.look(t, h)
			m.look(t, h) // what was seen before decides the same
			if len(m.started) > 0 != c.started {
				t.Errorf("started %+v", m.started)
			}
			if status, _ := release.StatusOf(m.release, true, m.deployment.Generation); status != c.status {
				t.Errorf("the release is %s, want %s: %+v", status, c.status, m.release.Observed)
			}
			if name == "rolled back by hand" && m.release.Observed.RolledBackTo != 1 {
				t.Errorf("nobody knows that it was rolled back: %+v", m.release.Observed)
			}
		})
	}
}

// failed is a run that ended before it touched the release, so that the release knows nothing of it.
func failed(trigger, clusterID string) run.Run {
	return run.Run{ID: "before", Trigger: trigger, Only: []string{clusterID}, Status: run.Failed, EndedAt: noon}
}

func repaired() run.Target {
	return run.Target{ClusterID: key.ClusterID, Status: run.TargetSucceeded, Action: string(release.Repair), EndedAt: noon}
}

// miss says that the cluster did not answer the run that has brought what it has now, or should have.
func (m *memory) miss(generation int) {
	m.release.CatchUp = &release.CatchUp{RunID: m.release.Desired.RunID, Generation: generation}
}

func TestWhatIsCaughtUpIsForgotten(t *testing.T) {
	m, h := newCluster(t, deployment.Detect)
	m.look(t, h)
	m.miss(1)
	m.look(t, h)
	if m.release.CatchUp != nil || len(m.started) > 0 {
		t.Errorf("%+v, started %+v", m.release.CatchUp, m.started)
	}
}
