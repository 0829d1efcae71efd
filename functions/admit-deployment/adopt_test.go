package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/admitdeployment"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
)

func TestMain(m *testing.M) {
	helm.RegisterChildren()
	child.Main()
	os.Exit(m.Run())
}

// memory is the store, the bucket and the machines of one deployment on one cluster.
type memory struct {
	store
	objects
	archive  []byte
	values   deployment.Values
	findings []drift.Finding
	admitted []dynamo.Admission
	kept     deployment.Values
	reads    int64
	moves    bool // somebody changes the deployment between its reads
}

func (m *memory) FindGroup(_ context.Context, org, id string) (group.Group, error) {
	return group.Group{Org: org, ID: id, Name: "demo", Members: []string{"c"}}, nil
}

func (m *memory) FindClusters(context.Context, string, []string) (map[string]cluster.Cluster, error) {
	return map[string]cluster.Cluster{"c": {ID: "c", Name: "pke", Version: "v1.36.3"}}, nil
}

func (m *memory) FindDeploymentByName(_ context.Context, org, groupID, name string) (deployment.Deployment, error) {
	d := deployment.Deployment{Org: org, ID: "d", GroupID: groupID, ReleaseName: name, Namespace: "shop", Generation: 1, Newest: 1, Version: 1}
	if m.reads++; m.moves {
		d.Version = m.reads
	}
	return d, nil
}

func (m *memory) FindGeneration(_ context.Context, org, id string, n int) (deployment.Generation, error) {
	return deployment.Generation{Org: org, DeploymentID: id, Number: n, Chart: deployment.Chart{Ref: "sha256:0", Digest: "sha256:0"}, TimeoutSeconds: 60, SecretPaths: []string{"token"}}, nil
}

func (m *memory) FindReleases(_ context.Context, keys []release.Key) (map[release.Key]release.Release, error) {
	return map[release.Key]release.Release{keys[0]: {Key: keys[0], Owner: release.OwnedByDeployment("d"), Observed: &release.Observed{Revision: 1},
		Drift: &release.Drift{Revision: 1, Objects: len(m.findings)}}}, nil
}

func (m *memory) AdmitDeployment(_ context.Context, a dynamo.Admission) (deployment.Deployment, run.Run, error) {
	m.admitted = append(m.admitted, a)
	a.Run.Generation = a.Generation.Number
	return a.Deployment, a.Run, nil
}

func (m *memory) GetChart(context.Context, string, string) ([]byte, error) { return m.archive, nil }

func (m *memory) GetValues(_ context.Context, _, _ string, into any) error {
	*into.(*deployment.Values) = m.values
	return nil
}

func (m *memory) PutValues(_ context.Context, _ string, v any) (ref, digest string, err error) {
	if values, ok := v.(deployment.Values); ok {
		m.kept = values
	}
	return "ref", "digest", nil
}

func (m *memory) GetFindings(context.Context, string, string) ([]drift.Finding, error) {
	return m.findings, nil
}

func (m *memory) Start(context.Context, string, string, any) error { return nil }

var shop = helmtest.Chart{
	"values.yaml": "replicas: 2\nlimit: 2\nmessage: hello\nimage: {tag: v1}\ntwice: a\nleft: old\nright: old\nshared: old\n",
	"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicas }}
  strategy: {type: Recreate}
  template:
    metadata: {annotations: {checksum/config: {{ .Values.message | sha256sum }}, twice: {{ .Values.twice }}, token: {{ .Values.token }}}}
    spec:
      containers:
        - {name: web, image: "shop:{{ .Values.image.tag }}", env: [{name: LIMIT, value: {{ .Values.limit | quote }}}]}
`,
	"templates/config.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  message: {{ .Values.message }}
  twice: {{ .Values.twice }}
  either: {{ if eq .Values.left "old" }}{{ .Values.right }}{{ else }}{{ .Values.left }}{{ end }}
`,
}

func TestAdoptDrift(t *testing.T) {
	web := drift.Finding{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Op: drift.Changed, Detected: drift.ByManifest}
	config := web
	config.APIVersion, config.Kind = "v1", "ConfigMap"
	at := func(f drift.Finding, path string, want, live any) drift.Finding {
		f.Path, f.Want, f.Live = path, want, live
		return f
	}
	added := at(web, "spec.paused", nil, true)
	added.Op = drift.Added
	other := at(web, "spec.replicas", 2.0, 7.0)
	other.Namespace = "depot"
	inSecret := at(web, "data.a", nil, nil)
	inSecret.Kind = "Secret"
	cases := map[string]struct {
		found    []drift.Finding // the first one is asked for
		more     openapi.AdoptRequest
		code     string
		override map[string]any
	}{
		"a number":                      {[]drift.Finding{at(web, "spec.replicas", 2.0, 5.0)}, openapi.AdoptRequest{}, "", map[string]any{"replicas": 5.0}},
		"a number in a text":            {[]drift.Finding{at(web, "spec.template.spec.containers[name=web].env[name=LIMIT].value", "2", "9")}, openapi.AdoptRequest{}, "", map[string]any{"limit": 9.0}},
		"a text with a checksum":        {[]drift.Finding{at(config, "data.message", "hello", "bye")}, openapi.AdoptRequest{}, "", map[string]any{"message": "bye"}},
		"a part of a text":              {[]drift.Finding{at(web, "spec.template.spec.containers[name=web].image", "shop:v1", "shop:v2")}, openapi.AdoptRequest{}, "drift-not-mappable", nil},
		"no value makes it":             {[]drift.Finding{at(web, "spec.strategy.type", "Recreate", "RollingUpdate")}, openapi.AdoptRequest{}, "drift-not-mappable", nil},
		"a value that makes two fields": {[]drift.Finding{at(config, "data.twice", "a", "b")}, openapi.AdoptRequest{}, "drift-not-mappable", nil},
		"an added field":                {[]drift.Finding{added}, openapi.AdoptRequest{}, "drift-not-mappable", nil},
		"either of two values":          {[]drift.Finding{at(config, "data.either", "old", "new")}, openapi.AdoptRequest{}, "drift-ambiguous", nil},
		"the named one of two":          {[]drift.Finding{at(config, "data.either", "old", "new")}, openapi.AdoptRequest{ValuePath: "right"}, "", map[string]any{"right": "new"}},
		"a named one that does not":     {[]drift.Finding{at(config, "data.either", "old", "new")}, openapi.AdoptRequest{ValuePath: "shared"}, "drift-not-mappable", nil},
		"two objects":                   {[]drift.Finding{at(web, "spec.replicas", 2.0, 5.0), other}, openapi.AdoptRequest{}, "drift-ambiguous", nil},
		"the named one of two objects":  {[]drift.Finding{at(web, "spec.replicas", 2.0, 5.0), other}, openapi.AdoptRequest{Namespace: "shop"}, "", map[string]any{"replicas": 5.0}},
		"of a Secret":                   {[]drift.Finding{inSecret}, openapi.AdoptRequest{}, "drift-secret", nil},
		"a secret value":                {[]drift.Finding{at(web, "spec.template.metadata.annotations.token", "s3cret", "other")}, openapi.AdoptRequest{}, "drift-secret", nil},
		"what was not seen":             {nil, openapi.AdoptRequest{Kind: "Deployment", Name: "web", Path: "spec.replicas"}, "drift-not-found", nil},
		"another cluster":               {nil, openapi.AdoptRequest{Cluster: "gke", Kind: "Deployment", Name: "web", Path: "spec.replicas"}, "cluster-not-found", nil},
	}
	archive := shop.Archive(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &memory{archive: archive, values: deployment.Values{Common: map[string]any{"token": "s3cret"}}, findings: c.found}
			request := c.more
			if len(c.found) > 0 {
				request.Kind, request.Name, request.Path = c.found[0].Kind, c.found[0].Name, c.found[0].Path
			}
			if request.Cluster == "" {
				request.Cluster = "pke"
			}
			for _, dry := range []bool{true, false} {
				request.DryRun = dry
				answered := m.adopt(t, request)
				var got struct{ Code, ValuePath, Run string }
				if err := json.Unmarshal(answered.Body.Bytes(), &got); err != nil {
					t.Fatal(err)
				}
				if got.Code != c.code || c.code == "" && (got.ValuePath == "" || (got.Run == "") != dry) {
					t.Fatalf("dry %t: %d %s", dry, answered.Code, answered.Body)
				}
			}
			if want := 1 - len(c.code[:min(1, len(c.code))]); len(m.admitted) != want {
				t.Errorf("%d generations were admitted, want %d", len(m.admitted), want)
			}
			if diff := cmp.Diff(c.override, m.kept.Overrides["pke"]); diff != "" {
				t.Errorf("the override differs (-want +got):\n%s", diff)
			}
		})
	}
}

// The value was found in what the deployment was then.
func TestAdoptDriftOfADeploymentThatMoved(t *testing.T) {
	replicas := drift.Finding{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Op: drift.Changed, Detected: drift.ByManifest,
		Path: "spec.replicas", Want: 2.0, Live: 5.0}
	m := &memory{archive: shop.Archive(t), values: deployment.Values{Common: map[string]any{"token": "s3cret"}}, findings: []drift.Finding{replicas}, moves: true}
	answered := m.adopt(t, openapi.AdoptRequest{Cluster: "pke", Kind: "Deployment", Name: "web", Path: "spec.replicas"})
	if answered.Code != http.StatusConflict || !strings.Contains(answered.Body.String(), `"deployment-changed"`) || len(m.admitted) > 0 {
		t.Errorf("%d %s", answered.Code, answered.Body)
	}
}

// An HTTP answer must come in time, also where a chart has many values that could be it.
func TestAdoptDriftThatTakesLong(t *testing.T) {
	replicas := drift.Finding{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Op: drift.Changed, Detected: drift.ByManifest,
		Path: "spec.replicas", Want: 2.0, Live: 5.0}
	m := &memory{archive: shop.Archive(t), values: deployment.Values{Common: map[string]any{"token": "s3cret"}}, findings: []drift.Finding{replicas}}
	late, cancel := context.WithTimeout(t.Context(), mappingReserve)
	defer cancel()
	answered := m.adoptIn(late, t, openapi.AdoptRequest{Cluster: "pke", Kind: "Deployment", Name: "web", Path: "spec.replicas"})
	if answered.Code != http.StatusUnprocessableEntity || !strings.Contains(answered.Body.String(), `"drift-mapping-slow"`) || len(m.admitted) > 0 {
		t.Errorf("%d %s", answered.Code, answered.Body)
	}
}

func (m *memory) adopt(t *testing.T, request openapi.AdoptRequest) *httptest.ResponseRecorder {
	t.Helper()
	return m.adoptIn(t.Context(), t, request)
}

func (m *memory) adoptIn(ctx context.Context, t *testing.T, request openapi.AdoptRequest) *httptest.ResponseRecorder {
	t.Helper()
	raw, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	h := handler{store: m, objects: m, machines: m, log: slog.New(slog.DiscardHandler), now: time.Now}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/orgs/o/clustergroups/g/deployments/web/drift/adopt", strings.NewReader(string(raw)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer good")
	w := httptest.NewRecorder()
	openapi.Authenticate(admitdeployment.New(h), func(context.Context, string) (openapi.Principal, error) {
		return openapi.Principal{Org: "o", Name: "ann", Role: openapi.RoleAdmin}, nil
	}).ServeHTTP(w, r)
	return w
}
