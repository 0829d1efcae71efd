package openapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/problem"
)

// versions answers a group at a version, with what was observed of its member.
type versions struct {
	api.ServerInterface
	version int64
	status  openapi.ClusterStatus
}

func (v versions) GetClusterGroup(w http.ResponseWriter, _ *http.Request, _ openapi.OrgPath, _ openapi.GroupPath, _ openapi.GetClusterGroupParams) {
	openapi.WriteVersion(w, http.StatusOK, v.version, openapi.ClusterGroup{Name: "demo", Members: []openapi.Member{{Name: "a", Status: v.status}}})
}

func (v versions) ListClusterGroups(w http.ResponseWriter, _ *http.Request, _ openapi.OrgPath, _ openapi.ListClusterGroupsParams) {
	openapi.Write(w, http.StatusOK, openapi.ClusterGroupList{Items: []openapi.ClusterGroup{{Name: "demo"}}})
}

func get(t *testing.T, v versions, path, ifNoneMatch string) *httptest.ResponseRecorder {
	t.Helper()
	handler := openapi.Authenticate(api.New(v), func(context.Context, string) (openapi.Principal, error) {
		return openapi.Principal{Org: "default", Role: "reader"}, nil
	})
	r := httptest.NewRequest(http.MethodGet, "/api/v1/orgs/default/clustergroups"+path, nil)
	r.Header.Set("Authorization", "Bearer x")
	if ifNoneMatch != "" {
		r.Header.Set("If-None-Match", ifNoneMatch)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestConditionalGet(t *testing.T) {
	t.Parallel()
	now := versions{version: 3, status: openapi.ClusterStatusRUNNING}
	for _, path := range []string{"", "/demo"} {
		tag := get(t, now, path, "").Header().Get("ETag")
		if len(tag) < 10 || path != "" && !strings.HasPrefix(tag, `"3-`) {
			t.Fatalf("%s: ETag %s", path, tag)
		}
		cases := map[string]struct {
			ifNoneMatch string
			status      int
		}{
			"None": {"", 200}, "TheSame": {tag, 304}, "Weak": {"W/" + tag, 304}, "OneOfSome": {`"x", ` + tag, 304}, "Any": {"*", 304},
			"Another": {`"3-other"`, 200}, "WithoutQuotes": {strings.Trim(tag, `"`), 200},
		}
		for name, c := range cases {
			w := get(t, now, path, c.ifNoneMatch)
			if w.Code != c.status || w.Header().Get("ETag") != tag || (w.Body.Len() == 0) != (c.status == 304) {
				t.Errorf("%s %s: %d, ETag %s, body %q", path, name, w.Code, w.Header().Get("ETag"), w.Body)
			}
		}
	}
	tag := get(t, now, "/demo", "").Header().Get("ETag")
	now.status = openapi.ClusterStatusUNKNOWN
	if w := get(t, now, "/demo", tag); w.Code != 200 || !strings.HasPrefix(w.Header().Get("ETag"), `"3-`) {
		t.Errorf("after an observation: %d, ETag %s", w.Code, w.Header().Get("ETag"))
	}
}

func TestCheckIfMatch(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ ifMatch, code string }{
		"None":               {"", ""},
		"Any":                {"*", ""},
		"TheVersion":         {`"3"`, ""},
		"BeforeAnObserved":   {`"3-abc"`, ""},
		"OneOfSome":          {`"1-x", "3-y"`, ""},
		"AnOlder":            {`"2-abc"`, "precondition-failed"},
		"AnotherBeginsAlike": {`"31-abc"`, "precondition-failed"},
		"Weak":               {`W/"3-abc"`, "precondition-failed"},
		"AHash":              {`"abc"`, "precondition-failed"},
		"WithoutQuotes":      {"3", "if-match-invalid"},
		"OneIsMalformed":     {`"1", 3`, "if-match-invalid"},
	}
	for name, c := range cases {
		err := openapi.CheckIfMatch(c.ifMatch, 3)
		if c.code == "" && err != nil || c.code != "" && !problem.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
		if c.code == "precondition-failed" && !strings.Contains(err.Error(), "version 3") {
			t.Errorf("%s does not name the version: %v", name, err)
		}
	}
}

func TestParseLabels(t *testing.T) {
	t.Parallel()
	for selector, want := range map[string]int{"": 0, "a=b": 1, "a=b,c.d/e=": 2, "a": -1, "a!=b": -1, "a==b": -1, "a=b,": -1, "=b": -1, "a=b,a=c": -1, "a in (b)": -1} {
		labels, err := openapi.ParseLabels(selector)
		if (err != nil) != (want < 0) || want >= 0 && len(labels) != want {
			t.Errorf("%q: %v, %v", selector, labels, err)
		}
	}
}

// Any role but admin may read, and nothing else.
func TestRoles(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]int{openapi.RoleAdmin: http.StatusConflict, "reader": http.StatusForbidden, "member": http.StatusForbidden, "": http.StatusForbidden} {
		handler := openapi.Authenticate(api.New(reads{}), func(context.Context, string) (openapi.Principal, error) {
			return openapi.Principal{Org: "default", Role: role}, nil
		})
		for method, want := range map[string]int{http.MethodDelete: want, http.MethodGet: http.StatusOK} {
			path := map[string]string{http.MethodDelete: "/api/v1/orgs/default/clusters/a", http.MethodGet: "/api/v1/orgs/default/runs"}[method]
			r := httptest.NewRequest(method, path, nil)
			r.Header.Set("Authorization", "Bearer x")
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s by role %q: %d, want %d: %s", method, role, w.Code, want, w.Body)
			}
		}
	}
}
