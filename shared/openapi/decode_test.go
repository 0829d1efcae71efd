package openapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

func request(body, contentType string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func decode[T any](body string) error {
	_, err := openapi.Decode[T](request(body, "application/json"), 1024)
	return err
}

func TestDecode(t *testing.T) {
	t.Parallel()
	r := request(`{"name":"podinfo/podinfo","reuseValues":true,"values":{"a":[1,{"b":null}]},
		"valueOverrides":{"pke-demo":{"replicaCount":2}},"mode":"correct","timeoutSeconds":0,"namespace":null}`, "application/json; charset=utf-8")
	got, err := openapi.Decode[openapi.DeploymentRequest](r, 1024)
	if err != nil {
		t.Fatal(err)
	}
	want := openapi.DeploymentRequest{
		Name: "podinfo/podinfo", ReuseValues: true, Mode: openapi.ModeCorrect, TimeoutSeconds: new(0),
		Values:         openapi.Values{"a": []any{1.0, map[string]any{"b": nil}}},
		ValueOverrides: openapi.ValueOverrides{"pke-demo": {"replicaCount": 2.0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	type deployment = openapi.DeploymentRequest
	type group = openapi.ClusterGroupRequest
	type repository = openapi.RepositoryRequest
	cases := map[string]struct {
		err    error
		status int
		code   string
		field  string
		remedy string
	}{
		"NotJSON":              {decode[group](`{"name":`), 400, "not-json", "", "send one JSON object"},
		"Empty":                {decode[group](``), 400, "not-json", "", "send one JSON object"},
		"Two":                  {decode[group](`{} {}`), 400, "not-json", "", "send one JSON object"},
		"Null":                 {decode[group](`null`), 422, "wrong-type", "", "send an object"},
		"AList":                {decode[group](`[]`), 422, "wrong-type", "", "send an object"},
		"UnknownField":         {decode[group](`{"name":"a","members":[],"title":"b"}`), 422, "unknown-field", "title", "use only: members, name, reconcile, selector"},
		"AnotherCase":          {decode[group](`{"Name":"a","members":[]}`), 422, "unknown-field", "Name", "write name"},
		"MissingField":         {decode[repository](`{"name":"a"}`), 422, "missing-field", "url", "give it: it is required"},
		"RequiredIsNull":       {decode[repository](`{"name":"a","url":null}`), 422, "missing-field", "url", "give it: it is required"},
		"FieldTwice":           {decode[group](`{"name":"a","members":[],"name":"b"}`), 422, "field-twice", "name", "give it once"},
		"NullInAList":          {decode[group](`{"name":"a","members":["x",null]}`), 422, "wrong-type", "members[1]", "send a string"},
		"ValuesNoObject":       {decode[deployment](`{"values":[1]}`), 422, "wrong-type", "values", "send an object"},
		"ValuesText":           {decode[deployment](`{"values":"a: b"}`), 422, "wrong-type", "values", "send an object"},
		"OverrideNoObject":     {decode[deployment](`{"valueOverrides":{"pke-demo":3}}`), 422, "wrong-type", "valueOverrides.pke-demo", "send an object"},
		"OverrideNull":         {decode[deployment](`{"valueOverrides":{"pke-demo":null}}`), 422, "wrong-type", "valueOverrides.pke-demo", "send an object"},
		"TwiceDeepInValues":    {decode[deployment](`{"values":{"a":[{"b":1,"b":2}]}}`), 422, "field-twice", "values.a[0].b", "give it once"},
		"BooleanAsText":        {decode[deployment](`{"reuseValues":"true"}`), 422, "wrong-type", "reuseValues", "send a boolean"},
		"FractionForInteger":   {decode[deployment](`{"timeoutSeconds":1.5}`), 422, "wrong-type", "timeoutSeconds", "send an integer"},
		"Enumeration":          {decode[deployment](`{"mode":"fix"}`), 422, "invalid-value", "mode", "use one of: detect, correct"},
		"NumberOutOfRange":     {decode[deployment](`{"values":{"a":1e999}}`), 422, "wrong-type", "", "see /openapi.json for the type of each field"},
		"BodyOverTheLimit":     {decode[deployment](`{"name":"` + strings.Repeat("a", 1024) + `"}`), 413, "body-too-large", "", "send 1 KiB at most"},
		"KubeconfigAsAnObject": {decode[openapi.ImportClusterRequest](`{"name":"a","kubeconfig":{}}`), 422, "wrong-type", "kubeconfig", "send a string"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ok := problem.From(c.err)
			if !ok {
				t.Fatalf("got %v, want a problem", c.err)
			}
			got := problem.Problem{Status: p.Status, Code: p.Code, Field: p.Field, Remedy: p.Remedy}
			want := problem.Problem{Status: c.status, Code: c.code, Field: c.field, Remedy: c.remedy}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefusesTheContentType(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", ";"} {
		if _, err := openapi.Decode[openapi.DeploymentRequest](request(`{}`, contentType), 10); !problem.Is(err, "wrong-content-type") {
			t.Errorf("%q: got %v", contentType, err)
		}
	}
}

func TestABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(io.ErrUnexpectedEOF))
	r.Header.Set("Content-Type", "application/json")
	if _, err := openapi.Decode[openapi.DeploymentRequest](r, 10); !problem.Is(err, "body-unreadable") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	body := openapi.ImportClusterRequest{Name: "a", Kubeconfig: "hunter2"}
	deployment := openapi.DeploymentRequest{
		Values:         openapi.Values{"password": "hunter2"},
		ValueOverrides: openapi.ValueOverrides{"a": {"password": "hunter2"}},
	}
	added := openapi.RepositoryRequest{Name: "a", Password: "hunter2", TLS: openapi.RepositoryTLS{Key: "hunter2"}}
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("x", "added", added, "replaced", openapi.ReplaceRepositoryRequest(added), "tls", added.TLS, "kubeconfig", body.Kubeconfig, "values", deployment.Values, "all", deployment, "body", body,
			"answer", openapi.Deployment{Values: deployment.Values})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&log, verb+verb+verb, body, deployment, added)
	}
	if strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("a secret was printed: %s", log.String())
	}
}

func TestOverridesComeAndGo(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]any{"a": {"b": 1}, "c": nil}
	if diff := cmp.Diff(want, openapi.OverridesOf(want).Maps()); diff != "" {
		t.Errorf("overrides (-want +got):\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"name":"a","values":{"a":[1,{"b":null}]},"valueOverrides":{"x":{}}}`)
	f.Add(`{"mode":"detect","timeoutSeconds":1e3}`)
	f.Add(`[[[[`)
	f.Fuzz(func(t *testing.T, body string) {
		if err := decode[openapi.DeploymentRequest](body); err != nil {
			if _, ok := problem.From(err); !ok {
				t.Errorf("not a problem: %v", err)
			}
		}
	})
}
