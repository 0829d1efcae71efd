package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/source"
)

func TestAPushChangesTheDeployment(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "deploy/values.yaml", Overrides: "deploy/clusters"})
	commit := s.Commit(map[string]string{"deploy/values.yaml": "replicas: 2\nimage: {tag: 1.10}\n", "deploy/clusters/a.yaml": "replicas: 3\n", "deploy/clusters/README.md": "x"})
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
	s.Commit(map[string]string{"README.md": "of no concern"})
	s.want("3", pushed, source.Ignored, "is as it was deployed")
	s.want("4", source.Event{Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/dev"}, source.Ignored, "no rule is about refs/heads/dev")
	s.Git("reset", "-q", "--hard", commit)
	s.want("5", pushed, source.Ignored, "is as it was deployed")
	if len(s.updates) != 1 {
		t.Errorf("%d updates, want 1", len(s.updates))
	}
}

// Whoever looked first and comes last looks again: in the end the newest commit stands.
func TestTwoPushesAtOnceEndInTheNewest(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
	var newest string
	s.before = func() { // the first delivery has read commit 1, and is about to send it
		newest = s.Commit(map[string]string{"values.yaml": "replicas: 2\n"})
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
	s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
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
	s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
	s.dying = true
	if record, failed := s.deliver("1", pushed); !failed || len(s.updates) != 1 {
		t.Fatalf("it did not die over the change: %+v, %d updates", record, len(s.updates))
	}
	if record := s.want("1", pushed, source.Accepted, ""); record.Rules[0].Run != "r-1" || len(s.updates) != 1 {
		t.Errorf("%d updates, %+v; want the first run again", len(s.updates), record.Rules)
	}
}

// What is deployed is not known while a change is on its way: a commit that takes it back is deployed, though it is what was deployed last.
func TestARevertOfAChangeOnItsWay(t *testing.T) {
	died := func(s *scene) {
		s.dying = true
		if record, failed := s.deliver("2", pushed); !failed || len(s.updates) != 2 {
			t.Fatalf("it did not die over the change: %+v, %d updates", record, len(s.updates))
		}
	}
	cases := map[string]struct {
		meanwhile func(s *scene)
		reverted  func(s *scene, first string)
	}{
		"by a new commit":          {meanwhile: died, reverted: func(s *scene, _ string) { s.Commit(map[string]string{"values.yaml": "replicas: 1\n"}) }},
		"by a push of the old one": {meanwhile: died, reverted: func(s *scene, first string) { s.Git("reset", "-q", "--hard", first) }},
		"while the API is slow": { // the change arrives when the revert is on its way, too
			meanwhile: func(s *scene) {
				s.before = func() {
					s.answer = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
				}
				if record, failed := s.deliver("2", pushed); !failed {
					t.Fatalf("it did not fail: %+v", record)
				}
				s.answer = nil
			},
			reverted: func(s *scene, _ string) {
				s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
				s.before = func() { s.version[inEU]++ }
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
			first := s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
			s.want("1", pushed, source.Accepted, "")
			s.Git("checkout", "-q", "-b", "sale") // a pull request with what was deployed last
			s.Git("checkout", "-q", "main")
			s.Commit(map[string]string{"values.yaml": "replicas: 2\n"})
			c.meanwhile(s)
			s.want("pull", source.Event{Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Base: "main", PullRequest: 7}, source.Accepted, "")
			c.reverted(s, first)
			s.want("3", pushed, source.Accepted, "")
			if last := s.updates[len(s.updates)-1]; last.DryRun || last.Values["replicas"] != 1.0 {
				t.Errorf("the last update is %+v, want the revert", last)
			}
			s.want("4", pushed, source.Ignored, "is deployed")
		})
	}
}

// Many rules of one delivery ask the host once.
func TestRulesOfOneRefAskOnce(t *testing.T) {
	one, both := source.Rule{Branch: "main", Path: "values.yaml"}, []source.Rule{{Branch: "main", Path: "values.yaml"}, {Group: "asia", Branch: "main", Path: "values.yaml"}}
	var asked [2]int32
	for i, rules := range [][]source.Rule{{one}, both} {
		s := newScene(t, rules...)
		s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
		if record := s.want("1", pushed, source.Accepted, ""); len(record.Rules) != len(rules) || len(s.updates) != len(rules) {
			t.Errorf("%d updates, %+v", len(s.updates), record.Rules)
		}
		asked[i] = s.asked.Load()
	}
	if asked[0] == 0 || asked[0] != asked[1] {
		t.Errorf("one rule asks %d times, two ask %d times", asked[0], asked[1])
	}
}

// While a delivery is at its first rule, a newer one does both: what the host told the first is too old for its second rule.
func TestANewerDeliveryDoesTheOtherRules(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"}, source.Rule{Group: "asia", Branch: "main", Path: "values.yaml"})
	s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
	s.after = func() {
		s.Commit(map[string]string{"values.yaml": "replicas: 2\n"})
		s.want("2", pushed, source.Accepted, "")
	}
	s.want("1", pushed, source.Accepted, "")
	var got []any
	for _, u := range s.updates {
		got = append(got, u.Values["replicas"])
	}
	if diff := gocmp.Diff([]any{1.0, 2.0, 2.0}, got); diff != "" {
		t.Error(diff)
	}
}

// A host that takes the question and says nothing is given up while there is time to record it.
func TestAHostThatHangs(t *testing.T) {
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(host.Close)
	s.source.URL = host.URL + "/acme/shop.git"
	ctx, cancel := context.WithTimeout(t.Context(), reserve+200*time.Millisecond)
	defer cancel()
	if record, failed := s.deliverBy(ctx, "1", pushed); !failed || record.Outcome != source.Failed || !strings.Contains(record.Why, "it is tried again") || ctx.Err() != nil {
		t.Errorf("%+v, comes again: %t, %v", record, failed, ctx.Err())
	}
}

func TestWhatGoesWrong(t *testing.T) {
	files := map[string]string{"values.yaml": "replicas: 1\n", "clusters/a.yml": "n: 2\n", "list.yaml": "- a\n", "twice.yaml": "a: 1\na: hunter2\n", "chart/values.yaml": "x"}
	tests := map[string]struct {
		rule source.Rule
		why  string
	}{
		"no branch":     {source.Rule{Branch: "main", Path: "none.yaml"}, "source-path-missing"},
		"no map":        {source.Rule{Branch: "main", Path: "list.yaml"}, "source-values-invalid"},
		"a key twice":   {source.Rule{Branch: "main", Path: "twice.yaml"}, "source-values-invalid"},
		"no overrides":  {source.Rule{Branch: "main", Path: "values.yaml", Overrides: "none"}, "source-path-missing"},
		"an old name":   {source.Rule{Branch: "main", Path: "values.yaml", Overrides: "clusters"}, "source-values-invalid"},
		"no chart":      {source.Rule{Branch: "main", ChartPath: "chart"}, "source-path-missing"},
		"no deployment": {source.Rule{Group: "us", Branch: "main", Path: "values.yaml"}, "deployment-not-found"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, tc.rule)
			s.Commit(maps.Clone(files))
			record := s.want("1", pushed, source.Failed, tc.why)
			if strings.Contains(record.Why, "hunter2") {
				t.Errorf("a value is told: %s", record.Why)
			}
		})
	}
	s := newScene(t, source.Rule{Branch: "main", Path: "values.yaml"})
	s.want("1", pushed, source.Failed, "source-ref-missing") // the repository is empty
	s.Commit(maps.Clone(files))
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
	s.Commit(map[string]string{"values.yaml": "replicas: 1\n"})
	s.want("1", pushed, source.Accepted, "")
	s.Git("checkout", "-q", "-b", "sale")
	head := s.Commit(map[string]string{"values.yaml": "replicas: 2\n"})
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
	s.Commit(map[string]string{"chart/Chart.yaml": "name: shop\nversion: 1.0.0\n"})
	s.Git("tag", "v1.9.0")
	highest := s.Commit(map[string]string{"chart/Chart.yaml": "name: shop\nversion: 1.1.0\n"})
	s.Git("tag", "-a", "v1.10.0", "-m", "x")
	w := &work{handler: s.handler, source: s.source}
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
	for _, group := range []string{"eu", "asia"} {
		s.source.Rules = append(s.source.Rules, source.Rule{Group: group, ReleaseName: "shop", Image: "acme/shop", Range: "^1", ValuesPath: "image.tag"})
	}
	asked := 0
	s.hosts.ecr = func(_ context.Context, registry, repository string) ([]string, error) {
		asked++
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
	want := openapi.DeploymentRequest{ReuseValues: true, Values: openapi.Values{"image": map[string]any{"tag": "1.10.0"}}, Origin: openapi.RequestOrigin{Repository: "acme/shop", Ref: "1.10.0"}}
	if diff := gocmp.Diff([]openapi.DeploymentRequest{want, want}, s.updates); diff != "" {
		t.Error(diff)
	}
	if asked != 2 {
		t.Errorf("ECR was asked %d times in two deliveries", asked)
	}
	for url, ok := range map[string]bool{s.source.URL: true, "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/": true, "https://ghcr.io": false} {
		if _, _, err := registryOf(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}
