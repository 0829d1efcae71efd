package source_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// sample is a body as its host sends it, with the headers that say what it is.
type sample struct {
	kind   source.Kind
	file   string
	header map[string]string
	want   source.Event
	rules  []int // of shop
	why    string
}

const (
	gitHubID, gitLabID, bitbucketID, giteaID = "72d3162e-cc78-11e3-81ab-4c9367dc0958", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f", "f1c2e3d4-0000-4000-8000-000000000001", "f6266f16-1bf3-46a5-9ea4-602e06ead473"
	imageTag                                 = "1.2.3"
)

var samples = []sample{
	{source.GitHub, "github-ping", map[string]string{"X-GitHub-Event": "ping", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.Ping, Repository: "acme/shop"}, nil, "no rule is about"},
	{source.GitHub, "github-push", map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Commit: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"}, []int{0}, ""},
	{source.GitHub, "github-tag", map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.TagPush, Repository: "acme/shop", Ref: "refs/tags/v1.2.0", Commit: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"}, []int{1}, ""},
	{source.GitHub, "github-deleted", map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Deleted: true}, nil, "was deleted"},
	{source.GitHub, "github-pull-request", map[string]string{"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "ec26c3e57ca3a959ca5aad62de7213c562f8c821", PullRequest: 7, Base: "main"}, []int{0}, ""},
	{source.GitHub, "github-fork", map[string]string{"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "ec26c3e57ca3a959ca5aad62de7213c562f8c821", PullRequest: 7, Base: "main", Fork: true}, nil, "comes from another repository"},
	{source.GitHub, "github-push", map[string]string{"X-GitHub-Event": "star", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.Other, Repository: "acme/shop", What: "star"}, nil, "the event star"},
	{source.GHCR, "ghcr-package", map[string]string{"X-GitHub-Event": "package", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.GHCR, "ghcr-registry-package", map[string]string{"X-GitHub-Event": "registry_package", "X-GitHub-Delivery": gitHubID},
		source.Event{Delivery: gitHubID, Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.GitLab, "gitlab-push", map[string]string{"X-Gitlab-Event": "Push Hook", "Idempotency-Key": gitLabID, "X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"},
		source.Event{Delivery: gitLabID, Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Commit: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"}, []int{0}, ""},
	{source.GitLab, "gitlab-tag", map[string]string{"X-Gitlab-Event": "Tag Push Hook", "Webhook-Id": gitLabID},
		source.Event{Delivery: gitLabID, Kind: source.TagPush, Repository: "acme/shop", Ref: "refs/tags/v1.2.0", Commit: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"}, []int{1}, ""},
	{source.GitLab, "gitlab-merge-request", map[string]string{"X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Event-UUID": gitLabID},
		source.Event{Delivery: gitLabID, Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", PullRequest: 7, Base: "main"}, []int{0}, ""},
	{source.Bitbucket, "bitbucket-push", map[string]string{"X-Event-Key": "repo:push", "X-Request-UUID": bitbucketID},
		source.Event{Delivery: bitbucketID, Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Also: []string{"refs/tags/v1.2.0"}, Commit: "709d658dc5b6d6afcd46049c2f332ee3f515a67d"}, []int{0, 1}, ""},
	{source.Bitbucket, "bitbucket-pull-request", map[string]string{"X-Event-Key": "pullrequest:updated", "X-Request-UUID": bitbucketID},
		source.Event{Delivery: bitbucketID, Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "d3022fc0ca3d", PullRequest: 7, Base: "main"}, []int{0}, ""},
	{source.Gitea, "gitea-push", map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": giteaID},
		source.Event{Delivery: giteaID, Kind: source.Push, Repository: "acme/shop", Ref: "refs/heads/main", Commit: "bffeb74224043ba2feb48d137756c8a9331c449a"}, []int{0}, ""},
	{source.Gitea, "gitea-pull-request", map[string]string{"X-Gitea-Event": "pull_request", "X-Gitea-Delivery": giteaID},
		source.Event{Delivery: giteaID, Kind: source.PullRequest, Repository: "acme/shop", Ref: "refs/heads/sale", Commit: "8b6b1cca0a86f0d1de4ba3bd2f35e3b0b2a4b1c2", PullRequest: 7, Base: "main"}, []int{0}, ""},
	{source.DockerHub, "dockerhub-push", nil, source.Event{Delivery: "*", Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.Harbor, "harbor-push", nil, source.Event{Delivery: "*", Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.Harbor, "harbor-cloudevent", nil,
		source.Event{Delivery: "ce6b8a8a-7e2c-4b67-8f57-1e5b5a8e5a31", Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.ECR, "ecr-push", nil, source.Event{Delivery: "13cde686-328b-6117-af20-0e5566167482", Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{0}, ""},
	{source.Generic, "generic-push", map[string]string{"Webhook-Id": "d1"},
		source.Event{Delivery: "d1", Kind: source.Push, Ref: "refs/heads/main", Commit: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"}, []int{0}, ""},
	{source.Generic, "generic-image", map[string]string{"Webhook-Id": "d1"}, source.Event{Delivery: "d1", Kind: source.ImagePush, Image: "acme/shop", Tag: imageTag}, []int{2}, ""},
}

func (s sample) headers() http.Header {
	h := http.Header{}
	for name, value := range s.header {
		h.Set(name, value)
	}
	return h
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// shop follows the branch main, the tags v* and, where its kind has images, the image acme/shop.
func shop(k source.Kind) source.Source {
	s := source.Source{Org: "default", Name: "shop", Kind: k, URL: "https://host.example/Acme/shop.git"}
	if k.Git() {
		s.Rules = append(s.Rules, source.Rule{Group: "eu", ReleaseName: "shop", Branch: "main", Path: "deploy/values.yaml"},
			source.Rule{Group: "us", ReleaseName: "shop", Tag: "v*", ChartPath: "chart"})
	}
	if k.Images() {
		s.Rules = append(s.Rules, source.Rule{Group: "eu", ReleaseName: "shop", Image: "acme/shop", Range: "^1", ValuesPath: "image.tag"})
	}
	return s
}

func TestParseAndMatch(t *testing.T) {
	for _, s := range samples {
		t.Run(s.file+" "+s.want.What, func(t *testing.T) {
			got, err := source.Parse(s.kind, s.headers(), read(t, s.file))
			if err != nil {
				t.Fatal(err)
			}
			if s.want.Delivery == "*" && len(got.Delivery) == 32 {
				s.want.Delivery = got.Delivery
			}
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Error(diff)
			}
			rules, why := shop(s.kind).Match(got)
			if diff := cmp.Diff(s.rules, rules); diff != "" || !strings.Contains(why, s.why) {
				t.Errorf("matched, because %q: %s", why, diff)
			}
		})
	}
}

func TestMatchOfAnotherRepository(t *testing.T) {
	rules, why := shop(source.GitHub).Match(source.Event{Kind: source.Push, Repository: "acme/other", Ref: "refs/heads/main"})
	if len(rules) != 0 || why != "the event is of repository acme/other" {
		t.Errorf("matched %v: %s", rules, why)
	}
	if rules, why = shop(source.GitHub).Match(source.Event{Kind: source.Push, Repository: "ACME/shop", Ref: "refs/heads/dev"}); len(rules) != 0 || why != "no rule is about refs/heads/dev" {
		t.Errorf("matched %v: %s", rules, why)
	}
}

func TestUnreadable(t *testing.T) {
	for kind, body := range map[source.Kind]string{
		source.GitHub: "payload=%7B%7D", source.GHCR: "", source.GitLab: "[", source.Bitbucket: "[]", source.Gitea: `"x"`, source.DockerHub: "{", source.Harbor: "1",
		source.ECR: "x", source.Generic: `{"type": "push", "ref": "refs/heads/main", "branch": "main"}`, "gogs": "{}",
	} {
		if _, err := source.Parse(kind, http.Header{}, []byte(body)); !problem.Is(err, "delivery-unreadable") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// checkEvent holds what is true of every event, whatever the body was.
func checkEvent(t *testing.T, k source.Kind, header http.Header, body []byte) {
	t.Helper()
	e, err := source.Parse(k, header, body)
	if err != nil {
		if !problem.Is(err, "delivery-unreadable") {
			t.Errorf("%s: %v", k, err)
		}
		return
	}
	for _, text := range []string{e.Delivery, e.Repository, e.Ref, e.Commit, e.Base, e.Image, e.Tag, e.What} {
		if len(text) > 500 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\n\r\x7f") {
			t.Errorf("%s: an event has %q", k, text)
		}
	}
	if e.Delivery == "" {
		t.Errorf("%s: an event without an id", k)
	}
	s := shop(k)
	if rules, why := s.Match(e); len(rules) > len(s.Rules) || (len(rules) == 0) != (why != "") {
		t.Errorf("%s: %+v matched %v, %q", k, e, rules, why)
	}
}

func fuzz(f *testing.F, k source.Kind) {
	f.Helper()
	for _, s := range samples {
		if s.kind == k {
			h := s.headers()
			f.Add(read(f, s.file), h.Get("X-GitHub-Event")+h.Get("X-Event-Key")+h.Get("X-Gitea-Event"), h.Get("X-GitHub-Delivery"))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, event, delivery string) {
		checkEvent(t, k, http.Header{"X-Github-Event": {event}, "X-Event-Key": {event}, "X-Gitea-Event": {event}, "X-Github-Delivery": {delivery}, "Webhook-Id": {delivery}}, body)
	})
}

func FuzzGitHub(f *testing.F)    { fuzz(f, source.GitHub) }
func FuzzGHCR(f *testing.F)      { fuzz(f, source.GHCR) }
func FuzzGitLab(f *testing.F)    { fuzz(f, source.GitLab) }
func FuzzBitbucket(f *testing.F) { fuzz(f, source.Bitbucket) }
func FuzzGitea(f *testing.F)     { fuzz(f, source.Gitea) }
func FuzzDockerHub(f *testing.F) { fuzz(f, source.DockerHub) }
func FuzzHarbor(f *testing.F)    { fuzz(f, source.Harbor) }
func FuzzECR(f *testing.F)       { fuzz(f, source.ECR) }
func FuzzGeneric(f *testing.F)   { fuzz(f, source.Generic) }

// Each host's parser gets 5,000 JSON documents: its own samples with values of other types and texts in the place of some.
func TestRandomBodies(t *testing.T) {
	const each = 5000
	random := rand.New(rand.NewPCG(1, 2))
	byKind := map[source.Kind][]sample{}
	for _, s := range samples {
		byKind[s.kind] = append(byKind[s.kind], s)
	}
	for kind, of := range byKind {
		for n := range each {
			s := of[n%len(of)]
			var v any
			if err := json.Unmarshal(read(t, s.file), &v); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(mutate(random, v))
			if err != nil {
				t.Fatal(err)
			}
			checkEvent(t, kind, s.headers(), body)
		}
	}
}

// mutate replaces one value in twenty.
func mutate(random *rand.Rand, v any) any {
	if random.IntN(20) == 0 {
		return []any{nil, true, -1, 1e300, "", "refs/heads/main\x00", strings.Repeat("a/", 1000), []any{}, map[string]any{"ref": "x"}, fmt.Sprint(random.Int())}[random.IntN(10)]
	}
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = mutate(random, v[name])
		}
	case []any:
		for i := range v {
			v[i] = mutate(random, v[i])
		}
	}
	return v
}
