package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	intent "github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
)

const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"

// byHand says that a person wrote the fields.
const byHand = ", managedFields: [{manager: kubectl-edit, operation: Update, fieldsType: FieldsV1, fieldsV1: %s}]"

func configMap(metadata, data string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: demo%s}\ndata: %s\n", metadata, data)
}

func found(findings []drift.Finding) []string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", f.Op, f.Kind, f.Name, f.Path)))
	}
	return lines
}

// The price of a look at a clean release: discovery, and one GET for each object.
func TestDriftCalls(t *testing.T) {
	const many = 40
	server, client := newServer(t, kubetest.Options{})
	var manifest strings.Builder
	for i := range many {
		one := strings.ReplaceAll(settings, "settings", fmt.Sprintf("c%d", i))
		put(t, server, strings.Replace(one, "{name", "{namespace: demo, name", 1))
		manifest.WriteString("---\n" + one)
	}
	findings, err := client.Drift(t.Context(), []byte(manifest.String()), "demo", drift.Options{})
	if err != nil || len(findings) > 0 {
		t.Fatalf("%v, %v", found(findings), err)
	}
	if gets, all := server.Count("get", ""), len(server.Requests()); gets != many || all != many+2 || server.Writes() != 0 {
		t.Errorf("%d requests, of them %d GETs of objects and %d writes", all, gets, server.Writes())
	}
}

func TestDrift(t *testing.T) {
	refuse := func(status *metav1.Status) func(*http.Request) *metav1.Status {
		return func(r *http.Request) *metav1.Status {
			if r.Method == http.MethodPatch {
				return status
			}
			return nil
		}
	}
	cases := map[string]struct {
		live     string
		manifest string
		fail     func(*http.Request) *metav1.Status
		want     []string
		patches  int
	}{
		"as it should be":               {configMap("", "{a: b}"), settings, nil, nil, 0},
		"changed":                       {configMap("", "{a: c}"), settings, nil, []string{"changed ConfigMap settings data.a"}, 1},
		"added":                         {configMap(fmt.Sprintf(byHand, `{"f:data": {"f:x": {}}}`), "{a: b, x: y}"), settings, nil, []string{"added ConfigMap settings data.x"}, 1},
		"missing":                       {"", settings, nil, []string{"missing ConfigMap settings"}, 0},
		"being deleted":                 {configMap(", deletionTimestamp: 2026-01-02T03:04:05Z", "{a: b}"), settings, nil, []string{"missing ConfigMap settings"}, 0},
		"a Job that has had its time":   {"", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec: {ttlSecondsAfterFinished: 60}\n", nil, nil, 0},
		"of no known kind":              {"", strings.Replace(settings, "v1\nkind: ConfigMap", "example.com/v1\nkind: Widget", 1), nil, []string{"missing Widget settings"}, 0},
		"a hook":                        {"", strings.Replace(settings, "settings}", "settings, annotations: {helm.sh/hook: test}}", 1), nil, nil, 0},
		"written twice":                 {configMap("", "{a: b}"), strings.Replace(settings, "a: b", "a: c", 1) + "---\n" + settings, nil, nil, 0},
		"cannot be put right":           {configMap("", "{a: c}"), settings, refuse(&metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Message: "immutable"}), []string{"changed ConfigMap settings data.a"}, 1},
		"no dry runs, and nobody known": {configMap("", "{a: c}"), settings, refuse(&metav1.Status{Code: 400, Reason: metav1.StatusReasonBadRequest, Message: "does not support dry run"}), nil, 1},
		"no dry runs, and a hand": {configMap(fmt.Sprintf(byHand, `{"f:data": {"f:a": {}}}`), "{a: c}"), settings, refuse(&metav1.Status{Code: 400, Reason: metav1.StatusReasonBadRequest, Message: "does not support dry run"}),
			[]string{"changed ConfigMap settings data.a"}, 1},
		"a field that was there from the beginning": {configMap(fmt.Sprintf(byHand, `{"f:data": {"f:x": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}}`)+", labels: {l: m}", "{a: b, x: z}"), settings,
			func(r *http.Request) *metav1.Status {
				if r.Method == http.MethodPatch && r.ContentLength > int64(len(`{"metadata":{"labels":null}}`)) {
					causes := []metav1.StatusCause{{Field: "data[x]", Message: "immutable"}}
					return &metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Details: &metav1.StatusDetails{Causes: causes}}
				}
				return nil
			}, []string{"added ConfigMap settings metadata.labels"}, 2},
		"gone meanwhile": {configMap("", "{a: c}"), settings, refuse(&metav1.Status{Code: 404, Reason: metav1.StatusReasonNotFound}), []string{"missing ConfigMap settings"}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, client := newServer(t, kubetest.Options{})
			if c.live != "" {
				put(t, server, c.live)
			}
			server.Fail(c.fail)
			findings, err := client.Drift(t.Context(), []byte(c.manifest), "demo", drift.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, found(findings)); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
			if n := server.Count("patch", ""); n != c.patches {
				t.Errorf("%d dry runs, want %d", n, c.patches)
			}
			for _, r := range server.Requests() {
				if r.Method == http.MethodPatch && !strings.Contains(r.Query, "dryRun=All") {
					t.Errorf("it writes: %+v", r)
				}
			}
		})
	}
}

func TestDriftNeedsTheCluster(t *testing.T) {
	for want, answer := range map[string]*metav1.Status{
		"ClusterUnauthorized": {Code: 403, Reason: metav1.StatusReasonForbidden},
		"ClusterUnreachable":  {Code: 503, Reason: metav1.StatusReasonServiceUnavailable},
	} {
		server, client := newServer(t, kubetest.Options{})
		server.Fail(func(r *http.Request) *metav1.Status {
			if strings.HasSuffix(r.URL.Path, "/settings") {
				return answer
			}
			return nil
		})
		if findings, err := client.Drift(t.Context(), []byte(settings), "demo", drift.Options{}); name(err) != want || findings != nil {
			t.Errorf("%v, %v; want %s", found(findings), err, want)
		}
	}
}

func TestRepair(t *testing.T) {
	yes := func() error { return nil }
	server, client := newServer(t, kubetest.Options{})
	put(t, server, "apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n")
	look := func() []drift.Finding {
		t.Helper()
		findings, err := client.Drift(t.Context(), []byte(settings), "demo", drift.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return findings
	}
	repair := func(findings []drift.Finding, mayWrite func() error) error {
		return client.Repair(t.Context(), findings, []byte(settings), "web", "demo", mayWrite)
	}

	missing := look()
	for range 2 { // a second time changes nothing
		if err := repair(missing, yes); err != nil {
			t.Fatal(err)
		}
	}
	made := server.Get("configmaps", "demo", "settings")
	marks := map[string]any{"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "demo"}
	if d := cmp.Diff(marks, made["metadata"].(map[string]any)["annotations"]); d != "" || server.Count("create", "configmaps") != 1 {
		t.Errorf("what was created (-want +got):\n%s", d)
	}

	put(t, server, configMap(fmt.Sprintf(byHand, `{"f:data": {"f:a": {}, "f:x": {}}}`), "{a: c, x: why, ours: z}"))
	changed := look()
	refused := errors.New("the lease is about to end")
	if err := repair(changed, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a write that is not allowed: %v", err)
	}
	if err := repair(changed[:1], yes); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"a": "b", "x": "why", "ours": "z"}, server.Get("configmaps", "demo", "settings")["data"]); d != "" {
		t.Errorf("one of two findings was to be repaired (-want +got):\n%s", d)
	}
	if err := repair(changed, yes); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"a": "b", "ours": "z"}, server.Get("configmaps", "demo", "settings")["data"]); d != "" {
		t.Errorf("what nobody owns, and is not in the manifest, stays (-want +got):\n%s", d)
	}

	put(t, server, configMap("", "{a: d}"))
	before := len(server.Requests())
	if err := repair(changed, yes); !errors.Is(err, kube.ErrDriftMoved) {
		t.Errorf("another value than was found: %v", err)
	}
	if server.Get("configmaps", "demo", "settings")["data"].(map[string]any)["a"] != "d" || len(server.Requests()) != before+1 {
		t.Error("it was overwritten")
	}
	fresh := look()
	server.Fail(func(r *http.Request) *metav1.Status { // somebody else is always faster
		if r.Method == http.MethodPatch {
			return &metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict}
		}
		return nil
	})
	if err := repair(fresh, yes); !errors.Is(err, kube.ErrDriftMoved) {
		t.Errorf("a conflict at every try: %v", err)
	}
	server.Fail(nil)
	server.Remove("configmaps", "demo", "settings")
	if err := repair(fresh, yes); !errors.Is(err, kube.ErrDriftMoved) {
		t.Errorf("gone since: %v", err)
	}
	other := fresh[0]
	other.Name = "other"
	if err := repair([]drift.Finding{other}, yes); !errors.Is(err, kube.ErrDriftMoved) {
		t.Errorf("not in the manifest any more: %v", err)
	}
}

// What the server refuses of one object, such as a claim that has grown, does not keep the others from being repaired.
func TestRepairGoesOn(t *testing.T) {
	server, client := newServer(t, kubetest.Options{})
	manifest := settings + "---\n" + strings.Replace(settings, "settings", "last", 1)
	live := configMap(", labels: {mine: x, not: y}"+fmt.Sprintf(byHand, `{"f:metadata": {"f:labels": {".": {}, "f:mine": {}, "f:not": {}}}}`), "{a: b}")
	put(t, server, strings.Replace(configMap("", "{a: c}"), "settings", "last", 1))
	put(t, server, live)
	findings, err := client.Drift(t.Context(), []byte(manifest), "demo", drift.Options{Ignore: []intent.Ignore{{Path: "metadata.labels.mine"}}})
	if d := cmp.Diff([]string{"added ConfigMap settings metadata.labels.not", "changed ConfigMap last data.a"}, found(findings)); d != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	quoted := `core.PodTemplateSpec{Env:[]core.EnvVar{Value:"a: secret"}}`
	refuse := func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/settings") {
			return &metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Message: "spec: Invalid value: " + quoted + ": immutable",
				Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "spec", Message: "Invalid value: " + quoted + ": immutable"}}}}
		}
		return nil
	}
	server.Fail(refuse)
	repair := func() error {
		return client.Repair(t.Context(), findings, []byte(manifest), "web", "demo", func() error { return nil })
	}
	if err := repair(); err == nil || !strings.Contains(err.Error(), "repairing ConfigMap settings: spec: Invalid value: immutable") {
		t.Errorf("the refusal, without what it quotes: %v", err)
	}
	if server.Get("configmaps", "demo", "last")["data"].(map[string]any)["a"] != "b" {
		t.Error("the other was not repaired")
	}
	server.Fail(nil)
	if err := repair(); err != nil {
		t.Fatal(err)
	}
	labels := server.Get("configmaps", "demo", "settings")["metadata"].(map[string]any)["labels"]
	if d := cmp.Diff(map[string]any{"mine": "x"}, labels); d != "" {
		t.Errorf("what is ignored stays (-want +got):\n%s", d)
	}
}
