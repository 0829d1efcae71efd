//go:build stack

package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/openapi"
)

// forgetAtEnd deletes what a test made, when it has ended.
func forgetAtEnd(t *testing.T, path string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := swell.send(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil); err != nil {
			t.Errorf("deleting %s: %v", path, err)
		}
	})
}

// A change that is sent again under its key is done once, in every function that answers HTTP.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	demo := pushDemo(t)
	raw, err := kubeconfig(clusterA)
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, swell.group, "idem")
	repo := values{"name": unique("idem"), "url": "https://charts.example"}
	cases := map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"api":              {http.MethodPost, "/helm/repos", repo, http.StatusCreated},
		"admit-deployment": {http.MethodPost, "/clustergroups/" + swell.group + "/deployments", intent{"name": demo, "releaseName": a.name, "namespace": a.name, "values": values{"message": "hunter2-idem"}}, http.StatusAccepted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			key := unique("key")
			first := do(t, c.method, c.path, c.body, "Idempotency-Key", key)
			if err := first.want(c.status, nil); err != nil {
				t.Fatal(err)
			}
			again := do(t, c.method, c.path, c.body, "Idempotency-Key", key)
			if again.status != first.status || string(again.raw) != string(first.raw) || again.header.Get("Location") != first.header.Get("Location") ||
				again.header.Get("Content-Type") != first.header.Get("Content-Type") || again.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("sent again: %d %v %s, at first %d %v %s", again.status, again.header, again.raw, first.status, first.header, first.raw)
			}
			refusal{method: c.method, path: c.path, body: values{"name": "other"}, headers: []string{"Idempotency-Key", key}, status: 422, code: "idempotency-key-reused", field: "Idempotency-Key"}.wantRefused(t)
			refusal{method: c.method, path: c.path + "?field=id", body: c.body, headers: []string{"Idempotency-Key", key}, status: 422, code: "idempotency-key-reused", field: "Idempotency-Key"}.wantRefused(t)
		})
	}
	t.Run("a refusal frees the key", func(t *testing.T) {
		headers := []string{"Idempotency-Key", unique("key")}
		for range 2 {
			refusal{method: http.MethodPost, path: "/clusters", body: values{"name": unique("idem"), "kubeconfig": string(raw)}, headers: headers,
				status: 409, code: "cluster-already-imported", field: "kubeconfig"}.wantRefused(t)
		}
	})
	t.Run("of many at once one does it", func(t *testing.T) {
		key, path := unique("key"), "/helm/repos/"+repo["name"].(string)
		answers := make(chan answer, 8)
		for range cap(answers) {
			go func() {
				a, err := swell.send(t.Context(), http.MethodDelete, path, nil, "Idempotency-Key", key)
				if err != nil {
					t.Error(err)
				}
				answers <- a
			}()
		}
		done := 0
		for range cap(answers) {
			switch a := <-answers; {
			case a.status == http.StatusNoContent && a.header.Get("Idempotency-Replayed") == "":
				done++
			case a.status == http.StatusNoContent:
			case a.problem.Code == "idempotency-key-in-use" && a.header.Get("Retry-After") != "":
			default:
				t.Errorf("answered %d %s", a.status, a.raw)
			}
		}
		if done != 1 {
			t.Errorf("%d requests removed the repository", done)
		}
	})
	refusal{method: http.MethodDelete, path: "/helm/repos/none", headers: []string{"Idempotency-Key", "a b"}, status: 400, code: "idempotency-key-invalid", field: "Idempotency-Key"}.wantRefused(t)
}

// What was changed since it was read is not overwritten; what was only looked at since is no reason.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	name := unique("match")
	group := "/clustergroups/" + name + "?field=name"
	must(t, http.StatusCreated, http.MethodPost, "/clustergroups", values{"name": name, "members": []string{}}, nil)
	forgetAtEnd(t, group)
	a := newApp(t, swell.group, "match")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	repo := unique("match")
	must(t, http.StatusCreated, http.MethodPost, "/helm/repos", values{"name": repo, "url": "https://charts.example"}, nil)
	tag := func(path string) string {
		return must(t, http.StatusOK, http.MethodGet, path, nil, nil).header.Get("ETag")
	}

	before := tag(group)
	if got := do(t, http.MethodPut, group, values{"name": name, "members": []string{}}, "If-Match", before); got.status != http.StatusAccepted {
		t.Errorf("with the ETag that was read: %d %s", got.status, got.raw)
	}
	before = tag(a.path())
	a.check()
	if now := tag(a.path()); now == before || strings.SplitN(now, "-", 2)[0] != strings.SplitN(before, "-", 2)[0] {
		t.Errorf("a look at the clusters took the ETag from %s to %s", before, now)
	}
	if got := do(t, http.MethodPut, a.path()+"/sync", nil, "If-Match", before); got.status != http.StatusAccepted {
		t.Errorf("with the ETag from before a look: %d %s", got.status, got.raw)
	}
	cluster := "/clusters/" + swell.clusters[clusterA].ID
	for what, r := range map[string]refusal{
		"group's update":       {method: http.MethodPut, path: group, body: values{"name": name, "members": []string{}}},
		"group's deletion":     {method: http.MethodDelete, path: group},
		"cluster's deletion":   {method: http.MethodDelete, path: cluster},
		"deployment's update":  {method: http.MethodPut, path: a.path(), body: intent{"reuseValues": true}},
		"deployment's removal": {method: http.MethodDelete, path: a.path()},
		"sync":                 {method: http.MethodPut, path: a.path() + "/sync"},
		"rollback":             {method: http.MethodPost, path: a.path() + "/rollback", body: values{"generation": 1}},
		"repository's removal": {method: http.MethodDelete, path: "/helm/repos/" + repo},
	} {
		t.Run(what, func(t *testing.T) {
			r.status, r.code, r.field, r.headers = http.StatusPreconditionFailed, "precondition-failed", "If-Match", []string{"If-Match", `"999-x"`}
			r.wantRefused(t)
			r.status, r.code, r.headers = http.StatusBadRequest, "if-match-invalid", []string{"If-Match", "3"}
			r.wantRefused(t)
		})
	}
	if got := do(t, http.MethodDelete, "/helm/repos/"+repo, nil, "If-Match", tag("/helm/repos/"+repo)); got.status != http.StatusNoContent {
		t.Errorf("removing the repository with its ETag: %d %s", got.status, got.raw)
	}
}

// A read that would answer the same answers 304, lists as well.
func TestNotModified(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "same")
	done := a.deploy(openapi.RunStatusSucceeded, intent{"name": pushDemo(t)})
	for _, path := range []string{
		"/runs/" + done.ID, a.path() + "/generations/1", "/api/version", "/openapi.json", "/helm/repos?namePrefix=" + a.name,
		"/clustergroups?namePrefix=" + a.name, "/runs?deploymentId=" + done.Deployment.ID + "&type=deploy",
	} {
		tag := must(t, http.StatusOK, http.MethodGet, path, nil, nil).header.Get("ETag")
		for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			got := do(t, http.MethodGet, path, nil, "If-None-Match", header)
			if got.status != http.StatusNotModified || len(got.raw) > 0 || got.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d, ETag %s, body %q", path, header, got.status, got.header.Get("ETag"), got.raw)
			}
		}
		if got := do(t, http.MethodGet, path, nil, "If-None-Match", `"another"`); got.status != http.StatusOK {
			t.Errorf("%s with another ETag: %d", path, got.status)
		}
	}
}

func TestListsAreFilteredAndSorted(t *testing.T) {
	t.Parallel()
	topic := unique("list")
	made := []string{topic + "-b", topic + "-a", topic + "-c"}
	for _, name := range made {
		must(t, http.StatusCreated, http.MethodPost, "/helm/repos", values{"name": name, "url": "https://charts.example"}, nil)
		forgetAtEnd(t, "/helm/repos/"+name)
		must(t, http.StatusCreated, http.MethodPost, "/clustergroups", values{"name": name, "members": []string{}}, nil)
		forgetAtEnd(t, "/clustergroups/"+name+"?field=name")
	}
	names := func(path string) (all []string) {
		for cursor := ""; ; {
			var page struct {
				Items      []struct{ Name string }
				NextCursor string
			}
			must(t, http.StatusOK, http.MethodGet, path+"&limit=2&cursor="+cursor, nil, &page)
			for _, i := range page.Items {
				all = append(all, strings.TrimPrefix(i.Name, topic+"-"))
			}
			if cursor = page.NextCursor; cursor == "" {
				return all
			}
		}
	}
	for path, want := range map[string]string{
		"/helm/repos?namePrefix=" + topic:                      "a b c",
		"/helm/repos?sort=-name&namePrefix=" + topic:           "c b a",
		"/clustergroups?namePrefix=" + topic:                   "b a c",
		"/clustergroups?sort=-createdAt&namePrefix=" + topic:   "c a b",
		"/clustergroups?sort=name&namePrefix=" + topic:         "a b c",
		"/clustergroups?sort=-name&namePrefix=" + topic + "-a": "a",
	} {
		if got := names(path); strings.Join(got, " ") != want {
			t.Errorf("%s answers %v, want %s", path, got, want)
		}
	}
	var clusters openapi.ClusterList
	c := swell.clusters[clusterA]
	must(t, http.StatusOK, http.MethodGet, "/clusters?cloud=local&sort=name&namePrefix=e2e-&labelSelector=kubeconfig="+c.Labels["kubeconfig"], nil, &clusters)
	if len(clusters.Items) != 1 || clusters.Items[0].ID != c.ID {
		t.Errorf("the filters find %+v, want %s alone", clusters.Items, clusterA)
	}
	must(t, http.StatusOK, http.MethodGet, "/clusters?cloud=nowhere", nil, &clusters)
	if len(clusters.Items) != 0 || clusters.NextCursor != "" {
		t.Errorf("a cloud that is none: %+v", clusters)
	}
	var runs openapi.RunList
	must(t, http.StatusOK, http.MethodGet, "/runs?trigger=api&createdBefore=2020-01-01T00:00:00Z", nil, &runs)
	if len(runs.Items) != 0 {
		t.Errorf("runs of before the installation: %+v", runs.Items)
	}
	must(t, http.StatusOK, http.MethodGet, "/runs?createdAfter=2020-01-01T00:00:00%2B01:00&limit=500", nil, &runs)
	if !slices.IsSortedFunc(runs.Items, func(a, b openapi.Run) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		t.Error("the runs are not newest first")
	}
}
