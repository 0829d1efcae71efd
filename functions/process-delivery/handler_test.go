package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// memory is the table and Secrets Manager.
type memory struct {
	mu         sync.Mutex
	source     source.Source
	deliveries map[string]source.Record
	states     map[string]source.State
}

func (m *memory) FindSource(context.Context, string, string) (source.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.source.Name == "" {
		return m.source, problem.NotFound("source-not-found", "there is no source")
	}
	return m.source, nil
}

func (m *memory) ListSourcesOfRegistry(_ context.Context, registry string) ([]source.Source, error) {
	if "https://"+registry == m.source.URL {
		return []source.Source{m.source}, nil
	}
	return nil, nil
}

func (m *memory) ClaimDelivery(_ context.Context, r source.Record) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.deliveries[r.Event.Delivery]
	if !there {
		m.deliveries[r.Event.Delivery] = r
	}
	return !there, nil
}

func (m *memory) FindDelivery(_ context.Context, _, _, id string) (source.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.deliveries[id]
	if !ok {
		return r, problem.NotFound("delivery-not-found", "there is no delivery")
	}
	return r, nil
}

func (m *memory) PutDelivery(_ context.Context, r source.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deliveries[r.Event.Delivery] = r
	return nil
}

func (m *memory) FindRuleState(_ context.Context, _, _, rule string) (source.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[rule], nil
}

func (m *memory) PutRuleState(_ context.Context, _, _, rule string, s source.State) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was, there := m.states[rule]; there && was.Step != s.Step-1 {
		return false, nil
	}
	m.states[rule] = s
	return true, nil
}

func (m *memory) OfSource(context.Context, source.Source) (source.Secret, error) {
	return source.Secret{Key: "the source's key"}, nil
}

// api is Swell's own, as far as a source calls it: one deployment, its version, idempotency keys.
type api struct {
	mu      sync.Mutex
	version int
	keys    map[string]string // to the fingerprint and the run
	updates []openapi.DeploymentRequest
	answer  func(w http.ResponseWriter) bool // true: it answered already
	before  func()                           // runs once, before an update is looked at
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer the source's key" || r.URL.Path != "/api/v1/orgs/default/clustergroups/eu/deployments/shop" || r.URL.Query().Get("field") != "name" {
		openapi.WriteProblem(w, r, problem.NotFound("deployment-not-found", "there is no deployment %s", r.URL))
		return
	}
	a.mu.Lock()
	before := a.before
	if r.Method == http.MethodPut {
		a.before = nil
	}
	a.mu.Unlock()
	if before != nil && r.Method == http.MethodPut {
		before()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answer != nil && a.answer(w) {
		return
	}
	tag := fmt.Sprintf(`"%d-x"`, a.version)
	if r.Method == http.MethodGet {
		w.Header().Set("ETag", tag)
		openapi.Write(w, http.StatusOK, openapi.Deployment{})
		return
	}
	var body openapi.DeploymentRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		openapi.WriteProblem(w, r, err)
		return
	}
	raw, _ := json.Marshal(body)
	key, print := r.Header.Get("Idempotency-Key"), r.Header.Get("If-Match")+string(raw)
	kept, run, known := strings.Cut(a.keys[key], "\x00")
	switch {
	case known && kept != print:
		openapi.WriteProblem(w, r, problem.Invalid("idempotency-key-reused", "the key was used"))
		return
	case known:
	case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != tag:
		openapi.WriteProblem(w, r, problem.With(http.StatusPreconditionFailed, "precondition-failed", "it is another version"))
		return
	default:
		run = fmt.Sprintf("r-%d", len(a.updates)+1)
		a.keys[key] = print + "\x00" + run
		a.updates = append(a.updates, body)
		if !body.DryRun {
			a.version++
		}
	}
	openapi.Write(w, http.StatusAccepted, openapi.DeploymentAccepted{Run: run})
}

// scene is a handler between a real Git host and an API.
type scene struct {
	*memory
	*api
	handler
	t   *testing.T
	dir string
}

func newScene(t *testing.T, rules ...source.Rule) *scene {
	t.Helper()
	core, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("this test needs git: %v", err)
	}
	s := &scene{t: t, dir: t.TempDir(), api: &api{version: 1, keys: map[string]string{}}}
	host := httptest.NewServer(&cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}})
	t.Cleanup(host.Close)
	swell := httptest.NewServer(s.api)
	t.Cleanup(swell.Close)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rules {
		rules[i].Group, rules[i].ReleaseName = cmp.Or(rules[i].Group, "eu"), "shop"
	}
	s.memory = &memory{deliveries: map[string]source.Record{}, states: map[string]source.State{}, source: source.Source{
		Org: "default", Name: "shop", Kind: source.GitHub, URL: host.URL + "/acme/shop.git", Rules: rules,
	}}
	s.handler = handler{store: s.memory, secrets: s.memory, hosts: hosts{networks: policy}, api: swell.URL, client: swell.Client(), log: slog.New(slog.DiscardHandler), now: time.Now}
	s.git("init", "-q", "-b", "main", ".")
	return s
}

func (s *scene) git(args ...string) string {
	s.t.Helper()
	dir := filepath.Join(s.dir, "acme", "shop.git")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.CommandContext(s.t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=ann", "-c", "user.email=ann@acme.example"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *scene) commit(files map[string]string) string {
	s.t.Helper()
	for name, text := range files {
		path := filepath.Join(s.dir, "acme", "shop.git", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.git("add", "-A")
	s.git("commit", "-q", "--allow-empty", "-m", "x")
	return s.git("rev-parse", "HEAD")
}

var pushed = source.Event{Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Commit: "of long ago"}

// deliver lets the queue hand the delivery over, and returns what became of it; failed says that it comes again.
func (s *scene) deliver(id string, e source.Event) (record source.Record, failed bool) {
	s.t.Helper()
	e.Delivery = id
	if _, err := s.ClaimDelivery(s.t.Context(), source.Record{Org: "default", Source: "shop", Event: e, Outcome: source.Received, ReceivedAt: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
	body, _ := json.Marshal(source.Message{Org: "default", Source: "shop", Delivery: id})
	out, err := s.handle(s.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: id, Body: string(body)}}})
	if err != nil {
		s.t.Fatal(err)
	}
	record, err = s.FindDelivery(s.t.Context(), "", "", id)
	if err != nil {
		s.t.Fatal(err)
	}
	return record, len(out.BatchItemFailures) > 0
}

func (s *scene) want(id string, e source.Event, outcome source.Outcome, why string) source.Record {
	s.t.Helper()
	record, failed := s.deliver(id, e)
	if failed || record.Outcome != outcome || !strings.Contains(record.Why, why) || record.EndedAt.IsZero() {
		s.t.Errorf("delivery %s: %+v, comes again: %t; want %s %q", id, record, failed, outcome, why)
	}
	return record
}

func TestAPushChangesTheDeployment(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "deploy/values.yaml", Overrides: "deploy/clusters"})
	commit := s.commit(map[string]string{"deploy/values.yaml": "replicas: 2\nimage: {tag: 1.10}\n", "deploy/clusters/a.yaml": "replicas: 3\n", "deploy/clusters/README.md": "x"})
	record := s.want("1", pushed, source.Accepted, "")
	if len(record.Rules) != 1 || record.Rules[0].Run != "r-1" || record.Rules[0].Commit != commit {
		t.Errorf("the delivery's rules are %+v", record.Rules)
	}
	want := []openapi.DeploymentRequest{{
		Values: openapi.Values{"replicas": 2.0, "image": map[string]any{"tag": 1.1}}, ValueOverrides: openapi.ValueOverrides{"a": {"replicas": 3.0}},
		Origin: openapi.RequestOrigin{Repository: "acme/shop", Ref: "refs/heads/main", Commit: commit, URL: strings.TrimSuffix(s.source.URL, ".git") + "/commit/" + commit},
	}}
	if diff := gocmp.Diff(want, s.updates); diff != "" {
		t.Error(diff)
	}
	s.want("1", pushed, source.Ignored, "is deployed") // the queue hands it over twice
	s.want("2", pushed, source.Ignored, commit+" is deployed")
	s.commit(map[string]string{"README.md": "of no concern"})
	s.want("3", pushed, source.Ignored, "is as it was deployed")
	s.want("4", source.Event{Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/dev"}, source.Ignored, "no rule is about refs/heads/dev")
	s.git("reset", "-q", "--hard", commit)
	s.want("5", pushed, source.Ignored, "is as it was deployed")
	if len(s.updates) != 1 {
		t.Errorf("%d updates, want 1", len(s.updates))
	}
}

// Whoever looked first and comes last looks again: in the end the newest commit stands.
func TestTwoPushesAtOnceEndInTheNewest(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.commit(map[string]string{"values.yaml": "n: 1\n"})
	var newest string
	s.before = func() { // the first delivery has read commit 1, and is about to send it
		newest = s.commit(map[string]string{"values.yaml": "n: 2\n"})
		s.want("2", pushed, source.Accepted, "")
	}
	s.want("1", pushed, source.Ignored, "is deployed")
	last := s.updates[len(s.updates)-1]
	if len(s.updates) != 1 || last.Origin.Commit != newest {
		t.Errorf("%d updates, the last of commit %s; want one of %s", len(s.updates), last.Origin.Commit, newest)
	}
}

func TestManyDeliveriesAtOnceChangeOnce(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.commit(map[string]string{"values.yaml": "n: 1\n"})
	var wait sync.WaitGroup
	for n := range 10 {
		wait.Go(func() {
			if record, failed := s.deliver(fmt.Sprint(n), pushed); failed || record.Outcome == source.Failed {
				t.Errorf("delivery %d: %+v", n, record)
			}
		})
	}
	wait.Wait()
	if len(s.updates) != 1 {
		t.Errorf("%d updates, want 1", len(s.updates))
	}
}

// The API took the change, and the function died before it could write that down: the same request is sent again.
func TestADeathAfterTheChange(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.commit(map[string]string{"values.yaml": "n: 1\n"})
	s.want("1", pushed, source.Accepted, "")
	for key, state := range s.states { // as it was between the two writes
		state.Step, state.Commit, state.Inputs, state.Rule = 1, "", "", ""
		state.Intent = source.Intent{Commit: s.git("rev-parse", "HEAD"), IfMatch: `"1-x"`}
		inputs := s.states[key].Inputs
		state.Intent.Inputs = inputs
		s.states[key] = state
	}
	if record := s.want("1", pushed, source.Accepted, ""); record.Rules[0].Run != "r-1" || len(s.updates) != 1 {
		t.Errorf("%d updates, %+v; want the first run again", len(s.updates), record.Rules)
	}
}

func TestWhatGoesWrong(t *testing.T) {
	files := map[string]string{"values.yaml": "n: 1\n", "list.yaml": "- a\n", "twice.yaml": "a: 1\na: hunter2\n", "chart/values.yaml": "x"}
	tests := map[string]struct {
		rule source.Rule
		why  string
	}{
		"no branch":     {source.Rule{Branch: "main", Path: "none.yaml"}, "source-path-missing"},
		"no map":        {source.Rule{Branch: "main", Path: "list.yaml"}, "source-values-invalid"},
		"a key twice":   {source.Rule{Branch: "main", Path: "twice.yaml"}, "source-values-invalid"},
		"no overrides":  {source.Rule{Branch: "main", Path: "values.yaml", Overrides: "none"}, "source-path-missing"},
		"no chart":      {source.Rule{Branch: "main", ChartPath: "chart"}, "source-path-missing"},
		"no deployment": {source.Rule{Group: "us", Branch: "main", Path: "values.yaml"}, "deployment-not-found"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, tc.rule)
			s.commit(maps.Clone(files))
			record := s.want("1", pushed, source.Failed, tc.why)
			if strings.Contains(record.Why, "hunter2") {
				t.Errorf("a value is told: %s", record.Why)
			}
		})
	}
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.want("1", pushed, source.Failed, "source-ref-missing") // the repository is empty
	s.commit(maps.Clone(files))
	s.answer = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
	if record, failed := s.deliver("2", pushed); !failed || record.Outcome != source.Failed || !strings.Contains(record.Why, "it is tried again") {
		t.Errorf("while the API is down: %+v, comes again: %t", record, failed)
	}
	s.answer = nil
	s.want("2", pushed, source.Accepted, "")
	s.source.Name = ""
	s.want("3", pushed, source.Ignored, "the source was deleted")
}

func TestAPullRequestIsPlanned(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.commit(map[string]string{"values.yaml": "n: 1\n"})
	s.want("1", pushed, source.Accepted, "")
	s.git("checkout", "-q", "-b", "sale")
	head := s.commit(map[string]string{"values.yaml": "n: 2\n"})
	e := source.Event{Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Base: "main", PullRequest: 7}
	s.want("2", e, source.Accepted, "")
	s.want("3", e, source.Accepted, "") // the same head: the same plan
	if len(s.updates) != 2 || !s.updates[1].DryRun || s.updates[1].Origin.Commit != head || s.updates[1].Origin.PullRequest != 7 {
		t.Errorf("updates are %+v", s.updates)
	}
	e.Fork = true
	s.want("4", e, source.Ignored, "whose files are a stranger's")
}

func TestTheHighestTagCounts(t *testing.T) {
	s := newScene(t, source.Rule{Tag: "v*", ChartPath: "chart"})
	s.answer = func(http.ResponseWriter) bool { return false }
	s.commit(map[string]string{"chart/Chart.yaml": "name: shop\nversion: 1.0.0\n"})
	s.git("tag", "v1.9.0")
	highest := s.commit(map[string]string{"chart/Chart.yaml": "name: shop\nversion: 1.1.0\n"})
	s.git("tag", "-a", "v1.10.0", "-m", "x")
	w := work{handler: s.handler, source: s.source}
	if _, err := s.hosts.client(source.Secret{}); err != nil {
		t.Fatal(err)
	}
	ref, at, err := w.look(t.Context(), s.source.Rules[0])
	if err != nil || ref != "refs/tags/v1.10.0" || at != highest {
		t.Errorf("%s at %s, %v; want v1.10.0 at %s", ref, at, err, highest)
	}
	one, err := w.read(t.Context(), s.source.Rules[0], ref, "")
	if err != nil || !one.change.ReuseValues {
		t.Fatalf("%v: the values of a rule that has none do not stay", err)
	}
	again, err := w.read(t.Context(), s.source.Rules[0], ref, "")
	if err != nil || one.inputs != again.inputs || string(one.change.archive) != string(again.change.archive) {
		t.Errorf("the same files pack to other bytes: %v", err)
	}
}

func TestAnImageOfECR(t *testing.T) {
	s := newScene(t)
	s.source.Kind, s.source.URL = source.ECR, "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	s.source.Rules = []source.Rule{{Group: "eu", ReleaseName: "shop", Image: "acme/shop", Range: "^1", ValuesPath: "image.tag"}}
	s.hosts.ecr = func(_ context.Context, registry, repository string) ([]string, error) {
		if registry != s.source.URL || repository != "acme/shop" {
			t.Errorf("asked %s for %s", registry, repository)
		}
		return []string{"1.2.3", "1.10.0", "2.0.0"}, nil
	}
	raw, err := os.ReadFile("../../shared/source/testdata/ecr-push.json")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := s.handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: string(raw)}}})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatalf("%v, %v", out, err)
		}
	}
	want := []openapi.DeploymentRequest{{ReuseValues: true, Values: openapi.Values{"image": map[string]any{"tag": "1.10.0"}}, Origin: openapi.RequestOrigin{Repository: "acme/shop", Ref: "1.10.0"}}}
	if diff := gocmp.Diff(want, s.updates); diff != "" {
		t.Error(diff)
	}
	for url, ok := range map[string]bool{s.source.URL: true, "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/": true, "https://ghcr.io": false} {
		if _, _, err := registryOf(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}
