package helm_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	helmdriver "helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/release"
)

// byHand is Helm's own storage, as its CLI uses it.
func byHand(t *testing.T, cred kube.Credential, namespace string) *storage.Storage {
	t.Helper()
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	config, err := kube.NewConfig(cred, policy)
	if err != nil {
		t.Fatal(err)
	}
	config.ContentType = runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return storage.Init(helmdriver.NewSecrets(client.CoreV1().Secrets(namespace)))
}

func history(t *testing.T, cred kube.Credential, namespace string) []*helmrelease.Release {
	t.Helper()
	all, err := byHand(t, cred, namespace).History(name)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func statuses(all []*helmrelease.Release) map[int]string {
	got := map[int]string{}
	for _, rel := range all {
		got[rel.Version] = rel.Info.Status.String()
	}
	return got
}

func TestInstallUpgradeUninstall(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.Workload()

	got := apply(t, newOp(t, server, release.Install, chart, map[string]any{"replicas": 2}))
	want := helm.Result{
		Revision: 1, Status: "deployed", Description: "Install complete", ManifestObjects: 2,
		Labels: map[string]string{
			"name": name, "owner": "helm", "status": "deployed", "version": "1", release.LabelOwner: "deployment-d1",
			release.LabelInput: "input-1", release.LabelRun: "run-1", release.LabelFence: "1", release.LabelRevision: "1",
		},
	}
	if diff := cmp.Diff(want, settled(got)); diff != "" {
		t.Errorf("install (-want +got):\n%s", diff)
	}
	if n, _ := server.Get("deployments", namespace, name)["spec"].(map[string]any)["replicas"].(int64); n != 2 {
		t.Errorf("%d replicas, want 2", n)
	}

	op := newOp(t, server, release.Upgrade, chart, map[string]any{"image": "registry.example/web:2"})
	op.Labels, op.Fence, op.Description = labels("input-2"), 2, "by a test"
	got = apply(t, op)
	want.Revision, want.Description = 2, "by a test"
	want.Labels["version"], want.Labels[release.LabelRevision] = "2", "2"
	want.Labels[release.LabelFence], want.Labels[release.LabelInput] = "2", "input-2"
	if diff := cmp.Diff(want, settled(got)); diff != "" {
		t.Errorf("upgrade (-want +got):\n%s", diff)
	}
	if n, _ := server.Get("deployments", namespace, name)["spec"].(map[string]any)["replicas"].(int64); n != 1 {
		t.Errorf("%d replicas after an upgrade whose values do not say, want the chart's 1", n)
	}
	all := history(t, server.Credential(), namespace)
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, statuses(all)); diff != "" {
		t.Errorf("history in Helm's eyes (-want +got):\n%s", diff)
	}

	op = newOp(t, server, release.Uninstall, nil, nil)
	op.Fence = 3
	got = apply(t, op)
	if got.Status != "uninstalled" || got.Revision != 2 || server.Len("deployments")+server.Len("services")+server.Len("secrets") != 0 {
		t.Errorf("uninstall: %s of revision %d, left %d secrets", got.Status, got.Revision, server.Len("secrets"))
	}
	if got = apply(t, op); got.Status != "uninstalled" || got.Revision != 0 {
		t.Errorf("uninstalling what is not there: %+v", got)
	}
}

// settled drops what differs from run to run.
func settled(r helm.Result) helm.Result {
	r.Requests, r.ResourceVersion = 0, ""
	delete(r.Labels, "createdAt")
	delete(r.Labels, "modifiedAt")
	return r
}

func TestFailedFirstInstallIsRepairedByUpgrade(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	server.Fail(failOn(http.MethodPost, "/configmaps", http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, `ConfigMap "x" is invalid: no`))
	chart := helmtest.ConfigMaps(1).With("templates/a.yaml", helmtest.Workload()["templates/service.yaml"])

	got, e := refused(t.Context(), t, newOp(t, server, release.Install, chart, nil), helm.CodeInvalidObject)
	if got.Status != "failed" || got.Revision != 1 {
		t.Errorf("after the failure: %+v", got)
	}
	if !strings.Contains(e.Cause, "is invalid") {
		t.Errorf("cause %q", e.Cause)
	}
	server.Fail(nil)
	server.ResetRequests()
	if got := apply(t, newOp(t, server, release.Upgrade, chart, nil)); got.Status != "deployed" || got.Revision != 2 {
		t.Errorf("after the repair: %+v", got)
	}
	if n := server.Count("delete", ""); n != 0 {
		t.Errorf("the repair deleted %d objects", n)
	}
}

func TestUninstallingIsABase(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(2)
	apply(t, newOp(t, server, release.Install, chart, nil))
	server.Fail(failOn(http.MethodDelete, "/configmaps/web-01", http.StatusForbidden, metav1.StatusReasonForbidden, `configmaps "web-01" is forbidden: no`))
	got, e := refused(t.Context(), t, newOp(t, server, release.Uninstall, nil, nil), helm.CodeForbidden)
	if got.Status != "uninstalling" || !strings.Contains(e.Cause, "web-01") {
		t.Errorf("after the failure: %+v, %v", got, e)
	}
	server.Fail(nil)
	if got := apply(t, newOp(t, server, release.Recover, chart, nil)); got.Status != "deployed" || got.Revision != 2 || server.Len("configmaps") != 2 {
		t.Errorf("after the repair: %+v", got)
	}
}

func TestInstallAfterUninstallWithHistoryKept(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, helmtest.ConfigMaps(1), nil))
	setStatus(t, byHand(t, server.Credential(), namespace), 1, helmrelease.StatusUninstalled)
	server.Remove("configmaps", namespace, "web-00")
	if got := apply(t, newOp(t, server, release.Install, helmtest.ConfigMaps(1), nil)); got.Revision != 2 || got.Status != "deployed" {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "deployed"}, statuses(history(t, server.Credential(), namespace))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// setStatus writes a record with Helm's own driver, as a person's helm would.
func setStatus(t *testing.T, store *storage.Storage, revision int, status helmrelease.Status) {
	t.Helper()
	rel, err := store.Get(name, revision)
	if err != nil {
		t.Fatal(err)
	}
	rel.Info.Status = status
	if err := store.Update(rel); err != nil {
		t.Fatal(err)
	}
}

func TestPendingAndConflicts(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1)
	refused(t.Context(), t, newOp(t, server, release.Upgrade, chart, nil), helm.CodeReleaseConflict)
	apply(t, newOp(t, server, release.Install, chart, nil))
	refused(t.Context(), t, newOp(t, server, release.Install, chart, nil), helm.CodeReleaseConflict)
	setStatus(t, byHand(t, server.Credential(), namespace), 1, helmrelease.StatusPendingUpgrade)
	server.ResetRequests()
	refused(t.Context(), t, newOp(t, server, release.Upgrade, chart, nil), helm.CodeReleasePending)
	if server.Writes() != 0 {
		t.Error("a refused verb wrote")
	}
}

func TestLabelsByHand(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(1)
	apply(t, newOp(t, server, release.Install, chart, nil))

	// `helm upgrade --labels team=blue`, which inherits ours.
	store := byHand(t, server.Credential(), namespace)
	last, err := store.Last(name)
	if err != nil {
		t.Fatal(err)
	}
	last.Version++
	last.Labels["team"] = "blue"
	if err := store.Create(last); err != nil {
		t.Fatal(err)
	}

	op := newOp(t, server, release.Upgrade, chart, nil)
	op.Labels = map[string]string{release.LabelOwner: "deployment-d1", release.LabelInput: "input-2"}
	got := apply(t, op)
	if got.Labels["team"] != "blue" {
		t.Error("the person's label is lost")
	}
	if got.Labels[release.LabelRevision] != "3" || got.Labels[release.LabelRun] != "" {
		t.Errorf("labels of ours were inherited: %v", got.Labels)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		chart  helmtest.Chart
		values map[string]any
		scene  func(*kubetest.Server)
		change func(*helm.Op)
		code   string
		object string
		says   string
		hides  string
		wrote  bool
	}{
		"a kind that the cluster has not": {
			chart: helmtest.Chart{"templates/w.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"}, code: helm.CodeAPIMissing, says: "Widget",
		},
		"an object of somebody else": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeObjectExists, object: "ConfigMap/web-00", says: "invalid ownership metadata",
			scene: func(s *kubetest.Server) {
				s.Put(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "web-00", "namespace": namespace}})
			},
		},
		"rights that are missing": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeForbidden, says: "configmaps is forbidden", wrote: true,
			scene: func(s *kubetest.Server) {
				s.Fail(failOn(http.MethodPost, "/configmaps", http.StatusForbidden, metav1.StatusReasonForbidden, "configmaps is forbidden: User cannot create"))
			},
		},
		"no right to the records": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeForbidden, says: "listing the records",
			scene: func(s *kubetest.Server) {
				s.Fail(failOn(http.MethodGet, "/secrets", http.StatusForbidden, metav1.StatusReasonForbidden, "secrets is forbidden: User cannot list"))
			},
		},
		"a wrong token": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeUnauthorized,
			change: func(op *helm.Op) { op.Credential.Token = "stale" },
		},
		"nobody there": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeUnreachable,
			change: func(op *helm.Op) { op.Credential.Server = "https://127.0.0.1:1" },
		},
		"an address that is not allowed": {
			chart: helmtest.ConfigMaps(1), code: "url-refused",
			change: func(op *helm.Op) { op.AllowedNetworks = "192.0.2.0/24" },
		},
		"a namespace that is missing": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeFailed, says: "not found", wrote: true,
			change: func(op *helm.Op) { op.Namespace = "nowhere" },
		},
		"an object that is refused, quoting a value": {
			chart: helmtest.ConfigMaps(1), values: map[string]any{"text": "hunter22"}, code: helm.CodeInvalidObject, hides: "hunter22", says: "[redacted]", wrote: true,
			scene: func(s *kubetest.Server) {
				s.Fail(failOn(http.MethodPost, "/configmaps", http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, `ConfigMap "web-00" is invalid: data: Invalid value: "hunter22"`))
			},
		},
		"a template that fails only here": {
			chart: helmtest.Chart{"templates/a.yaml": `{{ fail (printf "no %s" .Values.word) }}`}, values: map[string]any{"word": "hunter22"},
			code: helm.CodeRenderFailed, hides: "hunter22",
		},
		"a record that does not fit": {
			chart: helmtest.ConfigMaps(1).With("templates/_noise.tpl", noise(1_300_000)), code: helm.CodeRecordTooLarge, says: "a Secret holds",
		},
		"a lease that is over": {
			chart: helmtest.ConfigMaps(1), code: helm.CodeMutationRefused,
			change: func(op *helm.Op) { op.StopMutationsAt = time.Now().Add(-time.Second) },
		},
		"an archive that is none": {
			change: func(op *helm.Op) { op.Archive = []byte("no") }, code: "chart-archive-invalid",
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, kubetest.Options{})
			if test.scene != nil {
				test.scene(server)
			}
			op := newOp(t, server, release.Install, test.chart, test.values)
			if test.change != nil {
				test.change(&op)
			}
			_, e := refused(t.Context(), t, op, test.code)
			if !strings.Contains(e.Error(), test.says) || (test.hides != "" && strings.Contains(e.Error(), test.hides)) {
				t.Errorf("it says %q", e)
			}
			if e.Object != test.object {
				t.Errorf("object %q, want %q", e.Object, test.object)
			}
			if !test.wrote && server.Writes() != 0 {
				t.Errorf("%d writes, want none", server.Writes())
			}
		})
	}
}

// failOn answers requests of that method whose path ends so.
func failOn(method, suffix string, code int32, reason metav1.StatusReason, message string) func(*http.Request) *metav1.Status {
	return func(r *http.Request) *metav1.Status {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, suffix) {
			return nil
		}
		return &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
	}
}

// noise is text that does not compress below half its size.
func noise(n int) string {
	var b strings.Builder
	seed := uint64(1)
	for b.Len() < n {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		b.WriteString(strconv.FormatUint(seed, 36))
	}
	return "{{/* " + b.String() + " */}}"
}

func TestRequests(t *testing.T) {
	t.Parallel()
	const n = 40
	server := newServer(t, kubetest.Options{})
	chart := helmtest.ConfigMaps(n)

	got := apply(t, newOp(t, server, release.Install, chart, nil))
	if limit := 2*n + 10; got.Requests > limit || len(server.Requests()) != got.Requests {
		t.Errorf("install: %d requests, %d seen by the server, want at most %d", got.Requests, len(server.Requests()), limit)
	}
	for range 3 { // a longer history must not cost more
		server.ResetRequests()
		got = apply(t, newOp(t, server, release.Upgrade, chart, map[string]any{"text": server.URL() + strconv.Itoa(got.Revision)}))
		if limit := 3*n + 8; got.Requests > limit || len(server.Requests()) != got.Requests {
			t.Errorf("upgrade: %d requests, %d seen by the server, want at most %d", got.Requests, len(server.Requests()), limit)
		}
		if d := server.Count("discovery", ""); d > 2 {
			t.Errorf("upgrade: %d requests for discovery", d)
		}
	}
	server.ResetRequests()
	got = apply(t, newOp(t, server, release.Uninstall, nil, nil))
	t.Logf("uninstall: %d requests", got.Requests)
}

// What only a failed upgrade made goes with the next upgrade, which has it neither; what is somebody else's by now stays.
func TestFailedUpgradeLeavesNothing(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, helmtest.ConfigMaps(2), nil))
	server.Fail(failOn(http.MethodPost, "/services", http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, `Service "web" is invalid: no`))
	more := helmtest.ConfigMaps(5).With("templates/service.yaml", helmtest.Workload()["templates/service.yaml"])
	for range 2 { // the second fails as well, and has the first's
		refused(t.Context(), t, newOp(t, server, release.Upgrade, more, nil), helm.CodeInvalidObject)
	}
	if server.Len("configmaps") != 5 {
		t.Fatalf("the failed upgrades left %d maps, want all 5", server.Len("configmaps"))
	}
	server.Fail(nil)
	taken := server.Get("configmaps", namespace, "web-03")
	taken["metadata"].(map[string]any)["annotations"].(map[string]any)["meta.helm.sh/release-name"] = "another"
	server.Put(taken)

	got := apply(t, newOp(t, server, release.Upgrade, helmtest.ConfigMaps(2), nil))
	if got.Status != "deployed" || got.Revision != 4 || len(got.Warnings) != 0 {
		t.Errorf("got %+v", got)
	}
	var left []string
	for i := range 5 {
		if m := fmt.Sprintf("web-%02d", i); server.Get("configmaps", namespace, m) != nil {
			left = append(left, m)
		}
	}
	if diff := cmp.Diff([]string{"web-00", "web-01", "web-03"}, left); diff != "" {
		t.Errorf("ConfigMaps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[int]string{1: "superseded", 2: "failed", 3: "failed", 4: "deployed"}, statuses(history(t, server.Credential(), namespace))); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestUpgradeAddsAndRemoves(t *testing.T) {
	t.Parallel()
	server := newServer(t, kubetest.Options{})
	apply(t, newOp(t, server, release.Install, helmtest.ConfigMaps(3), nil))
	chart := helmtest.Workload().With("templates/map-01.yaml", helmtest.ConfigMaps(2)["templates/map-01.yaml"])
	server.Fail(failOn(http.MethodDelete, "/configmaps/web-02", http.StatusForbidden, metav1.StatusReasonForbidden, "configmaps is forbidden: no"))
	got := apply(t, newOp(t, server, release.Upgrade, chart, nil))
	if server.Len("deployments") != 1 || server.Get("configmaps", namespace, "web-00") != nil || server.Get("configmaps", namespace, "web-01") == nil {
		t.Error("objects are not those of the new chart")
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "web-02") {
		t.Errorf("warnings %q, want the object that could not be deleted", got.Warnings)
	}
}
