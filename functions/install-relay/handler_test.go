package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/webhook"
	"github.com/swell-sh/swell/shared/workflow"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

// memory is the table, Secrets Manager and the queue of one cluster.
type memory struct {
	cluster cluster.Cluster
	forgot  bool
	leased  bool // by somebody else
	secrets map[string]string
	later   []workflow.RelayOrder
}

func (m *memory) FindCluster(context.Context, string, string) (cluster.Cluster, error) {
	if m.forgot {
		return cluster.Cluster{}, problem.NotFound("cluster-not-found", "there is none")
	}
	return m.cluster, nil
}

func (m *memory) SetRelaySetup(_ context.Context, _, _ string, r cluster.RelaySetup) error {
	if r.Wanted == m.cluster.RelaySetup.Wanted { // else something else was ordered meanwhile
		m.cluster.RelaySetup = r
	}
	return nil
}

func (m *memory) LeaseRelay(context.Context, string, string, string, time.Time, time.Time) (bool, error) {
	return !m.leased, nil
}

func (*memory) FreeRelay(context.Context, string, string, string) error { return nil }

func (m *memory) SendLater(_ context.Context, body any, _ time.Duration) error {
	m.later = append(m.later, body.(workflow.RelayOrder))
	return nil
}

func (m *memory) Get(ctx context.Context, name string) (secrets.Secret, error) {
	return m.GetNow(ctx, name)
}

func (m *memory) GetNow(_ context.Context, name string) (secrets.Secret, error) {
	value, ok := m.secrets[name]
	if !ok {
		return secrets.Secret{}, fmt.Errorf("reading secret %s: %w", name, secrets.ErrNotFound)
	}
	return secrets.Of([]byte(value)), nil
}

func (m *memory) Put(_ context.Context, name string, value []byte) error {
	m.secrets[name] = string(value)
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	delete(m.secrets, name)
	return nil
}

// newInstallation is a cluster whose relay is wanted, on an API server in memory.
func newInstallation(t *testing.T) (*memory, *kubetest.Server, handler) {
	t.Helper()
	server := kubetest.New(t, kubetest.Options{})
	raw, err := server.Credential().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{secrets: map[string]string{"cred": string(raw)}, cluster: cluster.Cluster{
		Org: "o", ID: "c", Name: "edge", Access: cluster.Access{CredentialRef: "cred"}, RelaySetup: cluster.RelaySetup{Wanted: true, Status: cluster.RelayInstalling},
	}}
	loopback := netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return m, server, handler{
		store: m, secrets: m, orders: m, chart: charts.Relay, clusters: kube.Opener{Credentials: m, Policy: loopback},
		endpoint: "https://swell.example.com", image: "registry.example.com:5000/relay:2", log: slog.New(slog.DiscardHandler), now: time.Now,
	}
}

// order sends one and returns whether it is to be tried again.
func order(t *testing.T, h handler, do workflow.RelayVerb) (again bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	body, err := json.Marshal(workflow.RelayOrder{Org: "o", Cluster: "c", Do: do})
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body)}}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.BatchItemFailures) > 0
}

func (m *memory) keys(t *testing.T) []webhook.Key {
	t.Helper()
	keys, err := relay.ParseKeys([]byte(m.secrets[relay.KeysName("o", "c")]))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What is wanted belongs to who orders: of an order that comes while another is carried out nothing is lost, and it does what it says when its turn comes.
func TestAnOrderWhileAnotherIsCarriedOut(t *testing.T) {
	ordered := func(m *memory, wanted bool, status cluster.RelayStatus) func(*http.Request) *metav1.Status {
		return func(r *http.Request) *metav1.Status {
			if strings.Contains(r.URL.Path, "/namespaces") && m.cluster.RelaySetup.Status != status {
				m.cluster.RelaySetup.Wanted, m.cluster.RelaySetup.Status = wanted, status
			}
			return nil
		}
	}
	m, server, h := newInstallation(t)
	server.Fail(ordered(m, false, cluster.RelayRemoving))
	if order(t, h, workflow.RelayInstall) || m.cluster.RelaySetup.Wanted || m.cluster.RelaySetup.Status != cluster.RelayRemoving {
		t.Fatalf("a removal that was ordered while the relay was installed: %+v", m.cluster.RelaySetup)
	}
	server.Fail(ordered(m, true, cluster.RelayInstalling))
	if order(t, h, workflow.RelayRemove) || !m.cluster.RelaySetup.Wanted || m.cluster.RelaySetup.Status != cluster.RelayInstalling {
		t.Fatalf("an install that was ordered while the relay was removed: %+v", m.cluster.RelaySetup)
	}
	if order(t, h, workflow.RelayInstall) || m.cluster.RelaySetup.Status != cluster.RelayInstalled || len(m.keys(t)) != 1 {
		t.Errorf("then installed: %+v", m.cluster.RelaySetup)
	}
}

// A relay is installed, gets another key without a gap, and is removed; each order may come twice.
func TestLifeOfARelay(t *testing.T) {
	m, server, h := newInstallation(t)
	for range 2 {
		if order(t, h, workflow.RelayInstall) || m.cluster.RelaySetup.Status != cluster.RelayInstalled {
			t.Fatalf("installed: %+v", m.cluster.RelaySetup)
		}
	}
	first := m.keys(t)
	if len(first) != 1 || m.cluster.RelaySetup.KeyRotatedAt.IsZero() || len(m.later) != 0 {
		t.Errorf("%d keys, %+v, later %v", len(first), m.cluster.RelaySetup, m.later)
	}
	if n := server.Count("create", "deployments"); n != 1 {
		t.Errorf("%d Deployments were created", n)
	}
	for range 2 {
		if order(t, h, workflow.RelayRotate) || !m.cluster.RelaySetup.Rotating {
			t.Fatalf("rotated: %+v", m.cluster.RelaySetup)
		}
	}
	second := m.keys(t)
	if len(second) != 2 || second[1].Name() != first[0].Name() {
		t.Fatalf("%d keys after a rotation that was ordered twice", len(second))
	}
	if order(t, h, workflow.RelaySettle) || len(m.keys(t)) != 2 || m.later[len(m.later)-1].Attempt != 1 {
		t.Errorf("the old key went before the new one was heard; later %v", m.later)
	}
	m.cluster.Relay.Key = second[0].Name()
	if order(t, h, workflow.RelaySettle) || len(m.keys(t)) != 1 || m.keys(t)[0].Name() != second[0].Name() || m.cluster.RelaySetup.Rotating {
		t.Errorf("the rotation did not end: %+v", m.cluster.RelaySetup)
	}
	m.cluster.RelaySetup.Wanted = false
	for range 2 {
		if order(t, h, workflow.RelayRemove) || m.cluster.RelaySetup != (cluster.RelaySetup{ChangedAt: m.cluster.RelaySetup.ChangedAt}) {
			t.Errorf("removed: %+v", m.cluster.RelaySetup)
		}
	}
	if _, left := m.secrets[relay.KeysName("o", "c")]; left || server.Count("delete", "deployments") == 0 {
		t.Error("its key or its Deployment is left")
	}
}

func TestOrdersThatFail(t *testing.T) {
	// answers is what the API server says to whoever creates such objects
	answers := func(code int32, reason metav1.StatusReason, plural, message string) func(*memory, *kubetest.Server) {
		return func(_ *memory, s *kubetest.Server) {
			s.Fail(func(r *http.Request) *metav1.Status {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/"+plural) {
					return &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
				}
				return nil
			})
		}
	}
	cases := map[string]struct {
		prepare func(*memory, *kubetest.Server)
		do      workflow.RelayVerb
		again   bool
		status  cluster.RelayStatus
		cause   string
		later   int
	}{
		"the credential may not": {answers(http.StatusForbidden, metav1.StatusReasonForbidden, "namespaces", "namespaces is forbidden"), workflow.RelayInstall, false, cluster.RelayFailed, "namespaces is forbidden", 0},
		"nor may Helm":           {answers(http.StatusForbidden, metav1.StatusReasonForbidden, "clusterroles", "clusterroles is forbidden"), workflow.RelayInstall, false, cluster.RelayFailed, "clusterroles is forbidden", 0},
		"an object is refused":   {answers(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "deployments", "runAsUser is invalid"), workflow.RelayInstall, false, cluster.RelayFailed, "runAsUser is invalid", 0},
		"somebody else writes":   {answers(http.StatusConflict, metav1.StatusReasonConflict, "deployments", "please apply your changes"), workflow.RelayInstall, true, cluster.RelayFailed, "please apply your changes", 0},
		"the cluster is away":    {func(_ *memory, s *kubetest.Server) { s.Close() }, workflow.RelayInstall, true, cluster.RelayFailed, "cluster unreachable", 0},
		"somebody is at it":      {func(m *memory, _ *kubetest.Server) { m.leased = true }, workflow.RelayInstall, false, cluster.RelayInstalling, "", 1},
		"it was removed since":   {func(m *memory, _ *kubetest.Server) { m.cluster.RelaySetup = cluster.RelaySetup{} }, workflow.RelayInstall, false, "", "", 0},
		"the cluster is gone":    {func(m *memory, _ *kubetest.Server) { m.forgot = true }, workflow.RelayInstall, false, cluster.RelayInstalling, "", 0},
		"nobody knows the verb":  {func(*memory, *kubetest.Server) {}, "paint", true, cluster.RelayInstalling, "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, server, h := newInstallation(t)
			c.prepare(m, server)
			again := order(t, h, c.do)
			if s := m.cluster.RelaySetup; again != c.again || s.Status != c.status || !strings.Contains(s.Error, c.cause) || len(m.later) != c.later {
				t.Errorf("again %v, later %v, setup %+v", again, m.later, s)
			}
		})
	}
}

func TestImage(t *testing.T) {
	cases := map[string]map[string]any{
		"":                            nil,
		"ghcr.io/x/relay:1":           {"repository": "ghcr.io/x/relay", "tag": "1"},
		"localhost:5000/relay":        {"repository": "localhost:5000/relay"},
		"ghcr.io/x/relay@sha256:abcd": {"repository": "ghcr.io/x/relay", "digest": "sha256:abcd"},
	}
	for image, want := range cases {
		v := visit{handler: handler{image: image, logs: want != nil, endpoint: "https://swell.example.com/"}, cluster: cluster.Cluster{Org: "o", ID: "c"}}
		values := v.values(webhook.KeyOf(make([]byte, 32)))
		got, _ := values["image"].(map[string]any)
		if fmt.Sprint(got) != fmt.Sprint(want) || values["tellLogs"] != (want != nil) || values["reportsURL"] != "https://swell.example.com/hooks/v1/orgs/o/clusters/c/reports" {
			t.Errorf("%s: %v", image, values)
		}
	}
}
