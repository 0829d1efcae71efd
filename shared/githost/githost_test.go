package githost_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/githost"
	"github.com/swell-sh/swell/shared/source"
)

// host answers as the published APIs of the hosts do, as far as they are asked: paths, methods, headers of authorization, status codes, pages.
type host struct {
	t        *testing.T
	kind     source.Kind
	comments []map[string]any
	statuses []string
	calls    []string
	answer   int // instead of all else
	header   http.Header
}

const project = "acme%2Fshop" // GitLab takes a project's path escaped

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.calls = append(h.calls, r.Method+" "+r.URL.EscapedPath())
	if h.answer != 0 {
		maps.Copy(w.Header(), h.header)
		w.WriteHeader(h.answer)
		return
	}
	want := map[source.Kind]string{source.GitHub: "Bearer hunter2", source.Gitea: "token hunter2", source.GitLab: "hunter2", source.Bitbucket: "Bearer hunter2"}[h.kind]
	if got := r.Header.Get("Authorization") + r.Header.Get("PRIVATE-TOKEN"); got != want {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if h.kind == source.GitHub && (r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-GitHub-Api-Version") == "") {
		h.t.Errorf("headers %v", r.Header)
	}
	var body map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			h.t.Error(err)
		}
	}
	list, one, status := "/repos/acme/shop/issues/7/comments", "/repos/acme/shop/issues/comments/", "/repos/acme/shop/statuses/c0ffee"
	change := http.MethodPatch
	switch h.kind {
	case source.GitLab:
		list, status, change = "/projects/"+project+"/merge_requests/7/notes", "/projects/"+project+"/statuses/c0ffee", http.MethodPut
		one = list + "/"
	case source.Bitbucket:
		list, one, status = "none", "none", "/repositories/acme/shop/commit/c0ffee/statuses/build"
	}
	path := r.URL.EscapedPath()
	switch {
	case path == status && r.Method == http.MethodPost:
		h.statuses = append(h.statuses, fmt.Sprint(body["state"], " ", body["context"], body["name"], " ", body["description"], " ", body["target_url"], body["url"]))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("{}"))
	case path == list && r.Method == http.MethodGet:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		from := min((page-1)*size, len(h.comments))
		_ = json.NewEncoder(w).Encode(h.comments[from:min(from+size, len(h.comments))])
	case path == list && r.Method == http.MethodPost:
		body["id"] = len(h.comments) + 1000
		h.comments = append(h.comments, body)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(body)
	case strings.HasPrefix(path, one) && r.Method == change:
		for _, c := range h.comments {
			if fmt.Sprint(c["id"]) == strings.TrimPrefix(path, one) {
				c["body"] = body["body"]
				_ = json.NewEncoder(w).Encode(c)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func newHost(t *testing.T, k source.Kind) (*host, githost.Host) {
	t.Helper()
	h := &host{t: t, kind: k}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return h, githost.Host{Client: server.Client(), Kind: k, API: server.URL, Repository: "acme/shop", Token: "hunter2"}
}

func TestSetStatus(t *testing.T) {
	for kind, want := range map[source.Kind][]string{
		source.GitHub:    {"pending swell/eu/shop<nil> a https://x<nil>", "success swell/eu/shop<nil> b https://x<nil>", "failure swell/eu/shop<nil> c https://x<nil>"},
		source.Gitea:     {"pending swell/eu/shop<nil> a https://x<nil>", "success swell/eu/shop<nil> b https://x<nil>", "failure swell/eu/shop<nil> c https://x<nil>"},
		source.GitLab:    {"pending <nil>swell/eu/shop a https://x<nil>", "success <nil>swell/eu/shop b https://x<nil>", "failed <nil>swell/eu/shop c https://x<nil>"},
		source.Bitbucket: {"INPROGRESS <nil>swell/eu/shop a <nil>https://x", "SUCCESSFUL <nil>swell/eu/shop b <nil>https://x", "FAILED <nil>swell/eu/shop c <nil>https://x"},
	} {
		at, h := newHost(t, kind)
		for i, state := range []githost.State{githost.Pending, githost.Success, githost.Failure} {
			if err := h.SetStatus(t.Context(), "c0ffee", githost.Status{State: state, Context: "swell/eu/shop", Description: string(rune('a' + i)), URL: "https://x"}); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if diff := cmp.Diff(want, at.statuses); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	if err := (githost.Host{Kind: source.Harbor}).SetStatus(t.Context(), "x", githost.Status{}); !errors.Is(err, githost.ErrUnsupported) {
		t.Error(err)
	}
}

func TestComment(t *testing.T) {
	for _, kind := range []source.Kind{source.GitHub, source.GitLab, source.Gitea} {
		at, h := newHost(t, kind)
		for n := range 250 { // of others, over three pages
			at.comments = append(at.comments, map[string]any{"id": n, "body": "a person says"})
		}
		text := func() string {
			last := at.comments[len(at.comments)-1]
			return fmt.Sprint(len(at.comments), " ", last["body"])
		}
		comment := func(id, text string) string {
			t.Helper()
			id, err := h.Comment(t.Context(), 7, id, "swell eu/shop", text)
			if err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			return id
		}
		id := comment("", "one")
		if comment(id, "two") != id || text() != "251 <!-- swell eu/shop -->\ntwo" {
			t.Errorf("%s: it was not updated: %s", kind, text())
		}
		if comment("", "three") != id || text() != "251 <!-- swell eu/shop -->\nthree" {
			t.Errorf("%s: it was not found by its marker: %s", kind, text())
		}
		if comment("404", "four") != id || text() != "251 <!-- swell eu/shop -->\nfour" {
			t.Errorf("%s: in place of one that is gone: %s", kind, text())
		}
		at.comments = at.comments[:250] // somebody deleted it
		if comment(id, "five") == "" || text() != "251 <!-- swell eu/shop -->\nfive" {
			t.Errorf("%s: one that was deleted did not come anew: %s", kind, text())
		}
	}
	_, h := newHost(t, source.Bitbucket)
	if _, err := h.Comment(t.Context(), 7, "", "m", "x"); !errors.Is(err, githost.ErrUnsupported) {
		t.Error(err)
	}
}

func TestWhatPasses(t *testing.T) {
	wait, spent, left := http.Header{"Retry-After": {"60"}}, http.Header{"X-Ratelimit-Remaining": {"0"}}, http.Header{"X-Ratelimit-Remaining": {"4999"}}
	for _, c := range []struct {
		status  int
		header  http.Header
		passing bool
	}{
		{500, nil, true}, {502, nil, true}, {429, nil, true}, {401, nil, false}, {403, nil, false}, {404, nil, false}, {422, nil, false},
		{403, wait, true}, {403, spent, true}, {403, left, false}, {401, spent, false},
	} {
		at, h := newHost(t, source.GitHub)
		at.answer, at.header = c.status, c.header
		err := h.SetStatus(t.Context(), "c0ffee", githost.Status{})
		if err == nil || githost.Passing(err) != c.passing || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d %v: %v, passing: %t", c.status, c.header, err, githost.Passing(err))
		}
	}
	if githost.Passing(nil) {
		t.Error("no error passes")
	}
}
