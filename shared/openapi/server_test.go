package openapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/admitdeployment"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/openapi/server/importcluster"
	"github.com/swell-sh/swell/shared/openapi/server/keepreceivers"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/openapi/server/searchcharts"
	"github.com/swell-sh/swell/shared/problem"
)

// reads serves three operations; any other would be a nil pointer.
type reads struct{ api.ServerInterface }

func (reads) GetOpenAPI(w http.ResponseWriter, r *http.Request) { openapi.ServeDocument(w, r) }

func (reads) GetVersion(w http.ResponseWriter, _ *http.Request) {
	openapi.Write(w, http.StatusOK, openapi.Version{Version: "dev"})
}

func (reads) ListRuns(w http.ResponseWriter, _ *http.Request, org string, params openapi.ListRunsParams) {
	openapi.Write(w, http.StatusOK, map[string]any{"org": org, "type": params.Type, "limit": params.Limit})
}

func (reads) GetRun(w http.ResponseWriter, r *http.Request, _, run string, _ openapi.GetRunParams) {
	openapi.WriteProblem(w, r, fmt.Errorf("reading run %s: %w", run, errors.New("dial tcp 10.0.0.7: secret detail")))
}

func (reads) DeleteCluster(w http.ResponseWriter, r *http.Request, _, cluster string, params openapi.DeleteClusterParams) {
	openapi.WriteProblem(w, r, fmt.Errorf("deleting: %w", problem.Conflict("cluster-in-group", "%s (%s) is a member", cluster, params.Field).
		At("cluster").Try("remove it from its group first")))
}

func verify(_ context.Context, token string) (openapi.Principal, error) {
	switch token {
	case "good":
		return openapi.Principal{Org: "default", Name: "admin", Role: openapi.RoleAdmin}, nil
	case "down":
		return openapi.Principal{}, errors.New("no table")
	}
	return openapi.Principal{}, openapi.ErrUnauthenticated()
}

func TestServer(t *testing.T) {
	t.Parallel()
	const runs = "/api/v1/orgs/default/runs"
	internal := openapi.Problem{Status: 500, Code: "internal", Detail: "something went wrong in Swell"}
	unauthenticated := openapi.Problem{Status: 401, Code: "unauthenticated", Field: "Authorization", Detail: "there is no valid key in this request"}
	otherOrg := openapi.Problem{Status: 404, Code: "org-not-found", Detail: "there is no such organization"}
	cases := map[string]struct {
		method, target, token string
		want                  openapi.Problem // of status 0: the answer is 200
	}{
		"TheDocumentNeedsNoKey": {"GET", "/openapi.json", "", openapi.Problem{}},
		"TheVersionNeedsNoKey":  {"GET", "/api/version", "", openapi.Problem{}},
		"AKey":                  {"GET", runs + "?type=deploy&limit=7", "good", openapi.Problem{}},
		"NoKey":                 {"GET", runs, "", unauthenticated},
		"AWrongKey":             {"GET", runs, "bad", unauthenticated},
		"NoKeyAndNoPath":        {"GET", "/nothing", "", unauthenticated},
		"TheKeysCannotBeRead":   {"GET", runs, "down", internal},
		"AnotherOrg":            {"GET", "/api/v1/orgs/other/runs", "good", otherOrg},
		"AnotherOrgAndABadParameter": {
			"GET", "/api/v1/orgs/other/runs?limit=x", "good", otherOrg,
		},
		"AnotherOrgByAnEscapedSlash": {"GET", "/api/v1/orgs/default%2Fother/runs", "good", otherOrg},
		"AnEscapedPathNeedsAKeyToo":  {"GET", "/api/v1/%6Frgs/default/runs", "", unauthenticated},
		"NoSuchPath":                 {"GET", "/nothing", "good", openapi.Problem{Status: 404, Code: "path-not-found", Detail: "the API has no such path"}},
		"NoSuchMethod": {
			"PATCH", runs, "good",
			openapi.Problem{Status: 405, Code: "method-not-allowed", Detail: "PATCH is not an operation of this path"},
		},
		"UnknownParameter": {
			"GET", runs + "?tpye=deploy", "good",
			openapi.Problem{Status: 422, Code: "unknown-parameter", Field: "tpye", Detail: `this operation has no query parameter "tpye"`},
		},
		"ParameterTwice": {
			"GET", runs + "?limit=1&limit=2", "good",
			openapi.Problem{Status: 422, Code: "invalid-parameter", Field: "limit", Detail: "limit is given 2 times"},
		},
		"LimitTooHigh": {
			"GET", runs + "?limit=501", "good",
			openapi.Problem{Status: 422, Code: "invalid-parameter", Field: "limit", Detail: `limit="501" is not acceptable`},
		},
		"LimitIsNoNumber": {
			"GET", runs + "?limit=many", "good",
			openapi.Problem{Status: 422, Code: "invalid-parameter", Field: "limit", Detail: `limit="many" is not acceptable`},
		},
		"Enumeration": {
			"GET", runs + "?type=dance", "good",
			openapi.Problem{Status: 422, Code: "invalid-parameter", Field: "type", Detail: `type="dance" is not acceptable`},
		},
		"AnOwnErrorDoesNotLeak": {"GET", runs + "/r-1", "good", internal},
		"AWrappedProblem": {
			"DELETE", "/api/v1/orgs/default/clusters/pke-demo?field=name", "good",
			openapi.Problem{Status: 409, Code: "cluster-in-group", Field: "cluster", Detail: "pke-demo (name) is a member"},
		},
	}
	handler := openapi.Authenticate(api.New(reads{}), verify)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.target, nil)
			r = r.WithContext(openapi.WithRequestID(r.Context(), "id-1"))
			if c.token != "" {
				r.Header.Set("Authorization", "bearer "+c.token)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if c.want.Status == 0 {
				if w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				return
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("an inner error leaked: %s", w.Body)
			}
			var got openapi.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.want.Status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, content type %q", w.Code, w.Header().Get("Content-Type"))
			}
			if got.Remedy == "" || got.Title == "" || got.Instance != "request:id-1" || !strings.HasSuffix(got.Type, "#"+got.Code) {
				t.Errorf("incomplete: %+v", got)
			}
			got.Remedy, got.Title, got.Instance, got.Type = "", "", "", ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutAuthenticationNoOrgIsServed(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	api.New(reads{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/orgs/default/runs", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
}

func TestWriteMakesRequiredListsAndMaps(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body any
		want string
	}{
		"List":   {openapi.ClusterGroupList{}, `{"items":[]}`},
		"Nested": {openapi.ClusterList{Items: []openapi.Cluster{{}}}, `"labels":{}`},
		"Flat":   {openapi.Deployment{TargetClusters: []openapi.TargetCluster{{}}}, `"differs":[]`},
		"Values": {openapi.Deployment{}, `"valueOverrides":{},"values":{}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			openapi.Write(w, http.StatusOK, c.body)
			if !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "null") {
				t.Errorf("%s has no %s", w.Body, c.want)
			}
		})
	}
	given := openapi.ClusterList{Items: []openapi.Cluster{{}}}
	openapi.Write(httptest.NewRecorder(), http.StatusOK, given)
	if given.Items[0].Labels != nil {
		t.Error("the caller's body was changed")
	}
}

// TestEveryOperationHasOneFunction asks each function's routes for every operation: its own are there, the others' are not.
func TestEveryOperationHasOneFunction(t *testing.T) {
	t.Parallel()
	all := map[string]http.Handler{
		"api": api.New(panics{}), "import-cluster": importcluster.New(panics{}), "admit-deployment": admitdeployment.New(panics{}),
		"search-charts": searchcharts.New(panics{}), "receive-webhook": receivewebhook.New(panics{}), "keep-receivers": keepreceivers.New(panics{}),
	}
	ctx := openapi.WithPrincipal(t.Context(), openapi.Principal{Org: "{org}"})
	for _, op := range openapi.Operations() {
		if all[op.Function] == nil {
			t.Errorf("%s: no function %q", op.ID, op.Function)
		}
		for function, handler := range all {
			method, path, _ := strings.Cut(op.Pattern, " ")
			path = strings.NewReplacer("{generation}", "1", "{", "%7B", "}", "%7D").Replace(path)
			w := httptest.NewRecorder()
			served := func() (served bool) {
				defer func() { served = recover() != nil }()
				handler.ServeHTTP(w, httptest.NewRequest(method, path, nil).WithContext(ctx))
				return false
			}()
			if want := function == op.Function; served != want {
				t.Errorf("%s (%s): served by %s is %v: %s", op.ID, op.Pattern, function, served, w.Body)
			}
		}
	}
}

// panics has no operation behind its interfaces: a route that is there panics.
type panics struct {
	api.ServerInterface
	importer
	admitter
	searcher
	receiver
	receivers
}

type (
	importer  = importcluster.ServerInterface
	admitter  = admitdeployment.ServerInterface
	searcher  = searchcharts.ServerInterface
	receiver  = receivewebhook.ServerInterface
	receivers = keepreceivers.ServerInterface
)

func TestDocument(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	openapi.ServeDocument(w, nil)
	var document struct {
		OpenAPI    string
		Components struct {
			Schemas map[string]struct {
				Description string
				Properties  map[string]map[string]any
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1.") || len(document.Components.Schemas) == 0 {
		t.Errorf("OpenAPI %q with %d schemas", document.OpenAPI, len(document.Components.Schemas))
	}
	for name, schema := range document.Components.Schemas {
		if schema.Description == "" {
			t.Errorf("%s has no description", name)
		}
		for property, is := range schema.Properties {
			if is["description"] == nil && is["$ref"] == nil {
				t.Errorf("%s.%s has no description", name, property)
			}
		}
	}
}

func TestTheGeneratedDocumentIsTheSource(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ids := 0
	for line := range strings.Lines(string(source)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "operationId: "); ok {
			ids++
			if !slices.ContainsFunc(openapi.Operations(), func(op openapi.Operation) bool { return op.ID == id }) {
				t.Errorf("%s is not generated: run go generate ./shared/openapi", id)
			}
		}
	}
	if ids != len(openapi.Operations()) {
		t.Errorf("%d operations in the document, %d generated", ids, len(openapi.Operations()))
	}
}
