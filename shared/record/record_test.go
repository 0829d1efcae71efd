package record_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/record"
	"github.com/swell-sh/swell/shared/release"
)

var loopback = netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func newClient(tb testing.TB, server *kubetest.Server) *kube.Client {
	tb.Helper()
	client, err := kube.New(server.Credential(), loopback)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// packed is a payload as Helm writes it.
func packed(tb testing.TB, payload []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	writer := gzip.NewWriter(&buf)
	if _, err := writer.Write(payload); err != nil {
		tb.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		tb.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(buf.Bytes()))
}

func unpacked(tb testing.TB, data []byte) string {
	tb.Helper()
	raw, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		tb.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		tb.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(reader); err != nil {
		tb.Fatal(err)
	}
	return buf.String()
}

func payload(name string, revision int, status string) []byte {
	return fmt.Appendf(nil, `{"name":%q,"info":{"first_deployed":"2026-01-02T03:04:05Z","last_deployed":"2026-02-03T04:05:06.7Z","deleted":"",`+
		`"description":"Install complete","status":%q,"notes":"a <b> & c"},"chart":{"metadata":{"name":"podinfo","version":"6.7.0"},"templates":[{"name":"x"}]},`+
		`"config":{"replicaCount":2,"tls":{"key":"s3cret"}},"manifest":"---\nkind: Deployment\n","hooks":[{"a":1}],"version":%d,"namespace":"demo","fromTheFuture":{"z":1.50}}`,
		name, status, revision)
}

func secret(tb testing.TB, name string, revision int, status string, more map[string]string) *corev1.Secret {
	tb.Helper()
	labels := map[string]string{"owner": "helm", "name": name, "status": status, "version": fmt.Sprint(revision), "createdAt": "1767323045"}
	maps.Copy(labels, more)
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: record.SecretName(name, revision), Namespace: "demo", Labels: labels},
		Type:       "helm.sh/release.v1",
		Data:       map[string][]byte{"release": packed(tb, payload(name, revision, status))},
	}
}

func put(tb testing.TB, server *kubetest.Server, s *corev1.Secret) {
	tb.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	obj := map[string]any{}
	if err := json.Unmarshal(raw, &obj); err != nil {
		tb.Fatal(err)
	}
	server.Put(obj)
}

func list(tb testing.TB, client *kube.Client, namespace string) []record.Meta {
	tb.Helper()
	metas, err := record.List(tb.Context(), client.Metadata(), namespace)
	if err != nil {
		tb.Fatal(err)
	}
	return metas
}

func TestList(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	put(t, server, secret(t, "web", 1, "superseded", map[string]string{"modifiedAt": "1767323100"}))
	put(t, server, secret(t, "web", 2, "deployed", map[string]string{"swell.sh/input": "abc"}))
	put(t, server, secret(t, "web", 10, "pending-upgrade", nil))
	put(t, server, secret(t, "a.v2.b", 3, "deployed", nil)) // a release's name may hold dots
	elsewhere := secret(t, "web", 4, "deployed", nil)
	elsewhere.Namespace = "other"
	put(t, server, elsewhere)
	foreign := secret(t, "web", 5, "deployed", nil)
	foreign.Labels["owner"] = "someone"
	put(t, server, foreign)
	for i, wrong := range []string{"sh.helm.release.v1.web.v+11", "sh.helm.release.v1.web.v012", "sh.helm.release.v1.web", "web.v13", "sh.helm.release.v1..v1"} {
		odd := secret(t, "web", 11+i, "deployed", nil)
		odd.Name = wrong
		put(t, server, odd)
	}
	server.ResetRequests()

	metas := list(t, client, "demo")
	if len(metas) != 4 {
		t.Fatalf("demo has %d records, want 4: %+v", len(metas), metas)
	}
	if all := list(t, client, ""); len(all) != 5 {
		t.Errorf("all namespaces have %d records, want 5", len(all))
	}
	for _, r := range server.Requests() {
		if r.Verb != "list" || !strings.Contains(r.Accept, "PartialObjectMetadata") || !strings.Contains(r.Query, "owner%3Dhelm") {
			t.Errorf("%s %s?%s is no metadata-only list of Helm's records", r.Verb, r.Path, r.Query)
		}
	}
	key := record.Key{Namespace: "demo", Name: "web"}
	latest := record.Latest(metas)
	if got := latest[key]; got.Revision != 10 || !got.Pending() || got.ResourceVersion == "" || len(latest) != 2 {
		t.Errorf("Latest: %+v", latest)
	}
	history, err := record.HistoryOf(t.Context(), client.Metadata(), record.KeyOf(release.Key{Org: "o", ClusterID: "c", Namespace: "demo", Name: "web"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record.History(metas, key), history); diff != "" {
		t.Error(diff)
	}
	var revisions []int
	for _, m := range history {
		revisions = append(revisions, m.Revision)
		if m.Revision == 1 && m.ModifiedAt.Unix() != 1767323100 {
			t.Errorf("revision 1 was modified at %v", m.ModifiedAt)
		}
		if m.Revision == 2 && (m.Labels["swell.sh/input"] != "abc" || !m.ModifiedAt.Equal(m.CreatedAt) || m.CreatedAt.IsZero()) {
			t.Errorf("revision 2: %+v", m)
		}
	}
	if diff := cmp.Diff([]int{10, 2, 1}, revisions); diff != "" {
		t.Error(diff)
	}
}

func TestListPages(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	for i := range 1001 {
		put(t, server, secret(t, "web", i+1, "superseded", nil))
	}
	server.ResetRequests()
	if n := len(list(t, client, "")); n != 1001 {
		t.Errorf("%d records, want 1001", n)
	}
	if n := server.Count("", ""); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestGet(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	put(t, server, secret(t, "web", 2, "deployed", map[string]string{"swell.sh/input": "abc"}))
	got, err := record.Get(t.Context(), client.Kubernetes().CoreV1(), "demo", record.SecretName("web", 2))
	if err != nil {
		t.Fatal(err)
	}
	want := record.Record{
		Name: "web", Namespace: "demo", Version: 2, Status: "deployed", Description: "Install complete",
		FirstDeployed: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), LastDeployed: time.Date(2026, 2, 3, 4, 5, 6, 7e8, time.UTC),
		ChartName: "podinfo", ChartVersion: "6.7.0", Manifest: "---\nkind: Deployment\n",
		Config: map[string]any{"replicaCount": 2.0, "tls": map[string]any{"key": "s3cret"}},
		Labels: map[string]string{"swell.sh/input": "abc"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{fmt.Sprint(got), fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got)} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("a record prints as %s", text)
		}
	}
	_, err = record.Get(t.Context(), client.Kubernetes().CoreV1(), "demo", record.SecretName("web", 3))
	if !problem.Is(err, "record-not-found") {
		t.Errorf("a missing record: %v", err)
	}
}

func TestRolledBackTo(t *testing.T) {
	for description, want := range map[string]int{
		"Rollback to 2": 2, "Rollback to 17": 17, "Upgrade complete": 0, "Rollback to 0": 0, "Rollback to 2, by me": 0, "": 0, `Rollback "web" failed: x`: 0,
	} {
		if got := (record.Record{Description: description}).RolledBackTo(); got != want {
			t.Errorf("%q says %d, want %d", description, got, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*corev1.Secret)
		code   string
	}{
		"NoData":    {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data = nil }},
		"NotBase64": {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = []byte("%%%") }},
		"NotGzip": {code: "record-unreadable", change: func(s *corev1.Secret) {
			s.Data["release"] = []byte(base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08x")))
		}},
		"CutOff":       {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = s.Data["release"][:len(s.Data["release"])/8*4] }},
		"NotJSON":      {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = packed(t, []byte("x")) }},
		"Null":         {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = packed(t, []byte("null")) }},
		"OtherVersion": {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = packed(t, payload("web", 3, "deployed")) }},
		"OtherName":    {code: "record-unreadable", change: func(s *corev1.Secret) { s.Data["release"] = packed(t, payload("other", 2, "deployed")) }},
		"OtherSpace":   {code: "record-unreadable", change: func(s *corev1.Secret) { s.Namespace = "elsewhere" }},
		"OtherType":    {code: "record-unreadable", change: func(s *corev1.Secret) { s.Type = "Opaque" }},
		"NoRecord":     {code: "record-unreadable", change: func(s *corev1.Secret) { s.Name = "web" }},
		"Bomb":         {code: "record-too-large", change: func(s *corev1.Secret) { s.Data["release"] = packed(t, make([]byte, 17<<20)) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := secret(t, "web", 2, "deployed", nil)
			tc.change(s)
			if _, err := record.Decode(s); !problem.Is(err, tc.code) {
				t.Errorf("Decode: %v, want %s", err, tc.code)
			}
		})
	}
	plain := secret(t, "web", 2, "deployed", nil)
	plain.Data["release"] = []byte(base64.StdEncoding.EncodeToString(payload("web", 2, "deployed")))
	if _, err := record.Decode(plain); err != nil {
		t.Errorf("a record that is not compressed: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("x"), true)
	f.Add(payload("web", 2, "deployed"), true)
	f.Add(payload("web", 2, "deployed"), false)
	f.Add([]byte(`{"name":"web","version":2,"info":null,"chart":null,"config":[]}`), true)
	f.Add([]byte(`{"name":"web","version":2,"info":{"first_deployed":5}}`), true)
	f.Fuzz(func(t *testing.T, raw []byte, zip bool) {
		s := secret(t, "web", 2, "deployed", nil)
		s.Data["release"] = raw
		if zip {
			s.Data["release"] = packed(t, raw)
		}
		r, err := record.Decode(s)
		if _, isProblem := problem.From(err); err != nil && !isProblem {
			t.Errorf("%T is no problem", err)
		}
		if err == nil && (r.Name != "web" || r.Version != 2) {
			t.Errorf("decoded %v", r)
		}
	})
}

func TestMarkFailed(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	core := client.Kubernetes().CoreV1()
	put(t, server, secret(t, "web", 2, "pending-upgrade", map[string]string{"swell.sh/fence": "7"}))
	meta := list(t, client, "demo")[0]
	before := unpacked(t, mustGet(t, client, meta).Data["release"])

	stale := meta
	stale.ResourceVersion = "1"
	if err := record.MarkFailed(t.Context(), core, stale, "x"); !problem.Is(err, "record-changed") {
		t.Errorf("with an old resourceVersion: %v", err)
	}
	cause := `pod "web-0" <never> ready & gone`
	if err := record.MarkFailed(t.Context(), core, meta, cause); err != nil {
		t.Fatal(err)
	}
	after := mustGet(t, client, meta)
	if after.Labels["status"] != "failed" || after.Labels["swell.sh/fence"] != "7" || after.Labels["modifiedAt"] == "" || after.Type != "helm.sh/release.v1" {
		t.Errorf("labels %v, type %s", after.Labels, after.Type)
	}
	got, err := record.Decode(after)
	if err != nil || got.Status != "failed" || got.Description != cause {
		t.Errorf("%v: %s, %q, %v", got, got.Status, got.Description, err)
	}
	var was, is map[string]any
	_ = json.Unmarshal([]byte(before), &was)
	_ = json.Unmarshal([]byte(unpacked(t, after.Data["release"])), &is)
	was["info"].(map[string]any)["status"], was["info"].(map[string]any)["description"] = "failed", cause
	if diff := cmp.Diff(was, is); diff != "" {
		t.Error(diff)
	}
	for _, kept := range []string{`"fromTheFuture":{"z":1.50}`, `"notes":"a <b> & c"`, `"hooks":[{"a":1}]`} {
		if !strings.Contains(unpacked(t, after.Data["release"]), kept) {
			t.Errorf("the payload does not hold %s as it was", kept)
		}
	}
	server.ResetRequests()
	if err := record.MarkFailed(t.Context(), core, meta, "again"); err != nil || server.Writes() != 0 {
		t.Errorf("again: %v, %d writes", err, server.Writes())
	}
}

func TestMarkFailedRace(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	put(t, server, secret(t, "web", 2, "deployed", nil))
	meta := list(t, client, "demo")[0]
	put(t, server, secret(t, "web", 2, "superseded", nil))
	if err := record.MarkFailed(t.Context(), client.Kubernetes().CoreV1(), meta, "x"); !problem.Is(err, "record-changed") {
		t.Errorf("changed meanwhile: %v", err)
	}
	if err := record.MarkFailed(t.Context(), client.Kubernetes().CoreV1(), list(t, client, "demo")[0], "x"); !problem.Is(err, "record-changed") {
		t.Errorf("superseded: %v", err)
	}
	server.Remove("secrets", "demo", meta.SecretName)
	if err := record.MarkFailed(t.Context(), client.Kubernetes().CoreV1(), meta, "x"); !problem.Is(err, "record-not-found") {
		t.Errorf("deleted meanwhile: %v", err)
	}
}

func mustGet(t *testing.T, client *kube.Client, m record.Meta) *corev1.Secret {
	t.Helper()
	s, err := client.Kubernetes().CoreV1().Secrets(m.Namespace).Get(context.WithoutCancel(t.Context()), m.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPrune(t *testing.T) {
	cases := map[string]struct {
		statuses []string // of revisions 1, 2, 3, …
		keep     int
		also     []int
		want     []int
	}{
		"Few":             {statuses: []string{"superseded", "deployed"}, keep: 5, want: []int{2, 1}},
		"Old":             {statuses: []string{"superseded", "superseded", "superseded", "deployed"}, keep: 2, want: []int{4, 3}},
		"NewestAlways":    {statuses: []string{"superseded", "failed"}, keep: 0, want: []int{2}},
		"LastHealthy":     {statuses: []string{"superseded", "failed", "failed", "failed"}, keep: 2, also: []int{1}, want: []int{4, 3, 1}},
		"Deployed":        {statuses: []string{"superseded", "deployed", "failed", "failed"}, keep: 1, want: []int{4, 2}},
		"AlsoNotExisting": {statuses: []string{"superseded", "deployed"}, keep: 1, also: []int{9}, want: []int{2}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := kubetest.New(t, kubetest.Options{})
			client := newClient(t, server)
			for i, status := range tc.statuses {
				put(t, server, secret(t, "web", i+1, status, nil))
			}
			if err := record.Prune(t.Context(), client.Kubernetes().CoreV1(), list(t, client, "demo"), tc.keep, tc.also...); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, m := range record.History(list(t, client, "demo"), record.Key{Namespace: "demo", Name: "web"}) {
				got = append(got, m.Revision)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPruneLeavesWhatChanged(t *testing.T) {
	server := kubetest.New(t, kubetest.Options{})
	client := newClient(t, server)
	put(t, server, secret(t, "web", 1, "superseded", nil))
	put(t, server, secret(t, "web", 2, "deployed", nil))
	metas := list(t, client, "demo")
	put(t, server, secret(t, "web", 1, "pending-rollback", nil))
	if err := record.Prune(t.Context(), client.Kubernetes().CoreV1(), metas, 1); err != nil {
		t.Fatal(err)
	}
	if n := len(list(t, client, "demo")); n != 2 {
		t.Errorf("%d records are left, want 2", n)
	}
	put(t, server, secret(t, "other", 1, "deployed", nil))
	if err := record.Prune(t.Context(), client.Kubernetes().CoreV1(), list(t, client, "demo"), 1); err == nil {
		t.Error("pruning the records of two releases at once was accepted")
	}
}
