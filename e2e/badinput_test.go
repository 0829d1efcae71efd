//go:build stack

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
)

// refusal is a request that must be refused, and how.
type refusal struct {
	method, path string
	body         any
	headers      []string
	status       int
	code, field  string
	noRemedy     bool // the detail says all there is
}

// wantRefused sends the request and wants a problem that names the field and the remedy.
func (r refusal) wantRefused(t *testing.T) answer {
	t.Helper()
	a := do(t, r.method, r.path, r.body, r.headers...)
	p := a.problem
	if a.status != r.status || p.Code != r.code || p.Field != r.field {
		t.Errorf("answered %d, code %q, field %q; want %d, %q, %q: %s", a.status, p.Code, p.Field, r.status, r.code, r.field, a.raw)
	}
	if p.Status != a.status || p.Title == "" || p.Detail == "" || p.Type == "" || p.Instance == "" || (p.Remedy == "") != r.noRemedy {
		t.Errorf("the problem is not whole: %s", a.raw)
	}
	return a
}

// A deployment that is not acceptable is refused before anything of it is written.
func TestBadDeployments(t *testing.T) {
	t.Parallel()
	demo := pushDemo(t)
	cases := map[string]struct {
		intent      intent
		status      int
		code, field string
	}{
		"override of an unknown cluster": {intent{"valueOverrides": values{"e2e-aa": values{"replicaCount": 2}}}, 422, "override-unknown", "valueOverrides.e2e-aa"},
		"release name no DNS label":      {intent{"releaseName": "Not_DNS"}, 422, "release-name-invalid", "releaseName"},
		"release name too long":          {intent{"releaseName": strings.Repeat("a", 54)}, 422, "release-name-invalid", "releaseName"},
		"namespace no DNS label":         {intent{"namespace": "Not_DNS"}, 422, "namespace-invalid", "namespace"},
		"values no object":               {intent{"values": []int{1}}, 422, "wrong-type", "values"},
		"values a text":                  {intent{"values": "replicaCount: 1"}, 422, "wrong-type", "values"},
		"override no object":             {intent{"valueOverrides": values{clusterA: 1}}, 422, "wrong-type", "valueOverrides." + clusterA},
		"values over the limit":          {intent{"values": values{"message": strings.Repeat("x", 1<<20)}}, 413, "values-too-large", "values"},
		"body over the limit":            {intent{"values": values{"message": strings.Repeat("x", 2<<20)}}, 413, "body-too-large", ""},
		"chart unknown by digest":        {intent{"name": "sha256:" + strings.Repeat("0", 64)}, 422, "chart-not-found", "name"},
		"chart reference unreadable":     {intent{"name": "../demo"}, 422, "chart-ref-invalid", "name"},
		"chart missing":                  {intent{"name": nil}, 422, "chart-ref-invalid", "name"},
		"chart of an unknown repository": {intent{"name": "nowhere/demo"}, 422, "repository-not-found", "name"},
		"version is not the digest's":    {intent{"version": "9.9.9"}, 422, "chart-version-mismatch", "version"},
		"against the chart's schema":     {intent{"values": values{"replicaCount": "two"}}, 422, "values-schema-violation", "values.replicaCount"},
		"override against the schema": {intent{"valueOverrides": values{clusterB: values{"replicaCount": "two"}}},
			422, "values-schema-violation", "valueOverrides." + clusterB + ".replicaCount"},
		"timeout of nothing":    {intent{"timeoutSeconds": 0}, 422, "timeout-invalid", "timeoutSeconds"},
		"mode unknown":          {intent{"mode": "force"}, 422, "invalid-value", "mode"},
		"field unknown":         {intent{"valueOverride": values{}}, 422, "unknown-field", "valueOverride"},
		"nothing between tries": {intent{"remediation": intent{"retries": 2}}, 422, "remediation-invalid", "remediation.retries"},
		"not built: rolling":    {intent{"rollingMode": true}, 422, "not-built-yet", "rollingMode"},
		"not built: a package":  {intent{"package": "H4sI"}, 422, "not-built-yet", "package"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := unique("bad")
			body := intent{"name": demo, "releaseName": release, "namespace": "bad"}.with(c.intent)
			refusal{method: http.MethodPost, path: "/clustergroups/" + swell.group + "/deployments", body: body, status: c.status, code: c.code, field: c.field}.wantRefused(t)
			if a := do(t, http.MethodGet, "/clustergroups/"+swell.group+"/deployments/"+release, nil); a.status != http.StatusNotFound {
				t.Errorf("a refused deployment is on record: %d %s", a.status, a.raw)
			}
		})
	}
}

// An update that is not acceptable leaves the deployment, its generation and its last run as they were.
func TestBadUpdates(t *testing.T) {
	t.Parallel()
	a := newApp(t, swell.group, "badput")
	demo := pushDemo(t)
	broken := push(t, helmtest.Chart{"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 2.0.0\n", "templates/x.yaml": "{{ fail \"the message is missing\" }}"}.Archive(t))
	done := a.deploy(openapi.RunStatusSucceeded, intent{"name": demo})
	before := a.get()
	other := "/clustergroups/" + swell.group + "/deployments/"
	cases := map[string]refusal{
		"name taken":        {method: http.MethodPost, path: "/clustergroups/" + swell.group + "/deployments", body: intent{"name": demo, "releaseName": a.name, "namespace": a.name}, status: 409, code: "release-name-taken", field: "releaseName"},
		"renamed":           {method: http.MethodPut, path: a.path(), body: intent{"releaseName": "other"}, status: 422, code: "release-name-fixed", field: "releaseName"},
		"moved":             {method: http.MethodPut, path: a.path(), body: intent{"namespace": "other"}, status: 422, code: "namespace-fixed", field: "namespace"},
		"template error":    {method: http.MethodPut, path: a.path(), body: intent{"name": broken}, status: 422, code: "chart-render-failed", field: "values"},
		"of none":           {method: http.MethodPut, path: other + "none", body: intent{}, status: 404, code: "deployment-not-found"},
		"sync of none":      {method: http.MethodPut, path: other + "none/sync", status: 404, code: "deployment-not-found"},
		"check of none":     {method: http.MethodPost, path: other + "none/check", status: 404, code: "deployment-not-found"},
		"removal of none":   {method: http.MethodDelete, path: other + "none", status: 404, code: "deployment-not-found"},
		"cancel, too late":  {method: http.MethodPost, path: "/runs/" + done.ID + "/cancel", status: 409, code: "run-ended"},
		"group has some":    {method: http.MethodDelete, path: "/clustergroups/" + swell.group, status: 409, code: "group-has-deployments"},
		"no JSON":           {method: http.MethodPut, path: a.path(), body: []byte(`{"values":`), status: 400, code: "not-json"},
		"no object":         {method: http.MethodPut, path: a.path(), body: []byte(`[]`), status: 422, code: "wrong-type"},
		"field twice":       {method: http.MethodPut, path: a.path(), body: []byte(`{"mode":"detect","mode":"correct"}`), status: 422, code: "field-twice", field: "mode"},
		"content type":      {method: http.MethodPut, path: a.path(), body: []byte("values: {}"), headers: []string{"Content-Type", "text/yaml"}, status: 415, code: "wrong-content-type", field: "Content-Type"},
		"unknown parameter": {method: http.MethodDelete, path: a.path() + "?purge=true", status: 422, code: "unknown-parameter", field: "purge"},
		"no boolean":        {method: http.MethodDelete, path: a.path() + "?force=yes", status: 422, code: "invalid-parameter", field: "force"},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
	after := a.get()
	if after.Generation != before.Generation || after.LastRun != before.LastRun || after.UpdatedAt != before.UpdatedAt {
		t.Errorf("a refused request changed the deployment from %+v to %+v", before, after)
	}
	wantReplicas(t, clusterA, a.name, 1)
}

func (r refusal) run(t *testing.T) { r.wantRefused(t) }

// foreignCursor is a cursor of the list of clusters by name, newest last.
func foreignCursor(t *testing.T) string {
	t.Helper()
	var page openapi.ClusterList
	must(t, http.StatusOK, http.MethodGet, "/clusters?sort=-name&limit=1", nil, &page)
	return page.NextCursor
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	cases := map[string]refusal{
		"no key":                 {method: http.MethodGet, path: "/clusters", headers: []string{"Authorization", ""}, status: 401, code: "unauthenticated", field: "Authorization"},
		"wrong key":              {method: http.MethodGet, path: "/clusters", headers: []string{"Authorization", "Bearer " + strings.Repeat("x", 43)}, status: 401, code: "unauthenticated", field: "Authorization"},
		"basic":                  {method: http.MethodGet, path: "/clusters", headers: []string{"Authorization", "Basic eDp4"}, status: 401, code: "unauthenticated", field: "Authorization"},
		"wrong key, import":      {method: http.MethodPost, path: "/clusters", body: values{}, headers: []string{"Authorization", "Bearer x"}, status: 401, code: "unauthenticated", field: "Authorization"},
		"wrong key, deploy":      {method: http.MethodPost, path: "/clustergroups/x/deployments", body: values{}, headers: []string{"Authorization", "Bearer x"}, status: 401, code: "unauthenticated", field: "Authorization"},
		"other org":              {method: http.MethodGet, path: "/api/v1/orgs/other/clusters", status: 404, code: "org-not-found"},
		"other org, import":      {method: http.MethodPost, path: "/api/v1/orgs/other/clusters", body: values{}, status: 404, code: "org-not-found"},
		"other org, deploy":      {method: http.MethodPost, path: "/api/v1/orgs/other/clustergroups/x/deployments", body: values{}, status: 404, code: "org-not-found"},
		"path":                   {method: http.MethodGet, path: "/api/v1/orgs/default/nothing", status: 404, code: "path-not-found"},
		"method":                 {method: http.MethodPatch, path: "/clusters", status: 405, code: "method-not-allowed"},
		"cluster not found":      {method: http.MethodGet, path: "/clusters/none", status: 404, code: "cluster-not-found"},
		"cluster name not found": {method: http.MethodGet, path: "/clusters/none?field=name", status: 404, code: "cluster-not-found"},
		"group not found":        {method: http.MethodGet, path: "/clustergroups/none", status: 404, code: "group-not-found"},
		"deploy, no group":       {method: http.MethodPost, path: "/clustergroups/none/deployments", body: intent{"name": "a/b"}, status: 404, code: "group-not-found"},
		"run not found":          {method: http.MethodGet, path: "/runs/none", status: 404, code: "run-not-found"},
		"cancel not found":       {method: http.MethodPost, path: "/runs/none/cancel", status: 404, code: "run-not-found"},
		"cursor":                 {method: http.MethodGet, path: "/clusters?cursor=none", status: 400, code: "cursor-invalid", field: "cursor"},
		"sort":                   {method: http.MethodGet, path: "/clusters?sort=age", status: 422, code: "invalid-parameter", field: "sort"},
		"sort of runs":           {method: http.MethodGet, path: "/runs?sort=name", status: 422, code: "unknown-parameter", field: "sort"},
		"label selector":         {method: http.MethodGet, path: "/clusters?labelSelector=tier", status: 422, code: "invalid-parameter", field: "labelSelector"},
		"time":                   {method: http.MethodGet, path: "/runs?createdAfter=yesterday", status: 422, code: "invalid-parameter", field: "createdAfter"},
		"cursor of another list": {method: http.MethodGet, path: "/clusters?cursor=" + foreignCursor(t), status: 400, code: "cursor-invalid", field: "cursor"},
		"limit":                  {method: http.MethodGet, path: "/clusters?limit=0", status: 422, code: "invalid-parameter", field: "limit"},
		"member deleted":         {method: http.MethodDelete, path: "/clusters/" + swell.clusters[clusterA].ID, status: 409, code: "cluster-is-member"},
		"member of another":      {method: http.MethodPost, path: "/clustergroups", body: values{"name": unique("bad"), "members": []string{swell.clusters[clusterA].ID}}, status: 409, code: "cluster-in-other-group", field: "members"},
		"member not found":       {method: http.MethodPost, path: "/clustergroups", body: values{"name": unique("bad"), "members": []string{"none"}}, status: 422, code: "cluster-not-found", field: "members"},
		"no members":             {method: http.MethodPost, path: "/clustergroups", body: values{"name": unique("bad")}, status: 422, code: "missing-field", field: "members"},
		"group's name taken":     {method: http.MethodPost, path: "/clustergroups", body: values{"name": sharedGroup, "members": []string{}}, status: 409, code: "group-name-taken", field: "name"},
		"group's name":           {method: http.MethodPost, path: "/clustergroups", body: values{"name": "No Name", "members": []string{}}, status: 422, code: "group-name-invalid", field: "name"},
		"repository's name":      {method: http.MethodPost, path: "/helm/repos", body: values{"name": "No Name", "url": "https://charts.example"}, status: 422, code: "repository-invalid", field: "name"},
		"repository's URL":       {method: http.MethodPost, path: "/helm/repos", body: values{"name": "bad", "url": "ftp://charts.example"}, status: 422, code: "repository-invalid", field: "url"},
		"repository's password":  {method: http.MethodPost, path: "/helm/repos", body: values{"name": "bad", "url": "https://me:secret@charts.example"}, status: 422, code: "repository-invalid", field: "url"},
		"repository not found":   {method: http.MethodDelete, path: "/helm/repos/none", status: 404, code: "repository-not-found"},
		"chart's content type":   {method: http.MethodPost, path: "/helm/charts", body: []byte("x"), status: 415, code: "wrong-content-type", field: "Content-Type"},
		"chart no archive":       {method: http.MethodPost, path: "/helm/charts", body: []byte("x"), headers: []string{"Content-Type", "application/gzip"}, status: 422, code: "chart-archive-invalid", field: "chart"},
		"chart over the limit":   {method: http.MethodPost, path: "/helm/charts", body: make([]byte, 4<<20+1), headers: []string{"Content-Type", "application/gzip"}, status: 413, code: "body-too-large"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.wantRefused(t)
			if c.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func TestBadKubeconfigs(t *testing.T) {
	t.Parallel()
	raw, err := kubeconfig(clusterA)
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	server := good[strings.Index(good, "https://127.0.0.1"):]
	server, _, _ = strings.Cut(server, "\n")
	user := func(line string) string { return strings.Replace(good, "  user:\n", "  user:\n    "+line+"\n", 1) }
	cluster := func(line string) string {
		return strings.Replace(good, "- cluster:\n", "- cluster:\n    "+line+"\n", 1)
	}
	cases := map[string]struct {
		name, kubeconfig string
		status           int
		code, field      string
	}{
		"exec":                     {kubeconfig: user("exec: {command: sh}"), code: "kubeconfig-forbidden-field"},
		"auth-provider":            {kubeconfig: user("auth-provider: {name: gcp}"), code: "kubeconfig-forbidden-field"},
		"tokenFile":                {kubeconfig: user("tokenFile: /etc/passwd"), code: "kubeconfig-forbidden-field"},
		"client-certificate":       {kubeconfig: user("client-certificate: /etc/passwd"), code: "kubeconfig-forbidden-field"},
		"client-key":               {kubeconfig: user("client-key: /etc/passwd"), code: "kubeconfig-forbidden-field"},
		"as":                       {kubeconfig: user("as: admin"), code: "kubeconfig-forbidden-field"},
		"as-uid":                   {kubeconfig: user("as-uid: x"), code: "kubeconfig-forbidden-field"},
		"as-groups":                {kubeconfig: user("as-groups: [x]"), code: "kubeconfig-forbidden-field"},
		"as-user-extra":            {kubeconfig: user("as-user-extra: {}"), code: "kubeconfig-forbidden-field"},
		"certificate-authority":    {kubeconfig: cluster("certificate-authority: /etc/passwd"), code: "kubeconfig-forbidden-field"},
		"proxy-url":                {kubeconfig: cluster("proxy-url: http://127.0.0.1:1"), code: "kubeconfig-forbidden-field"},
		"insecure-skip-tls-verify": {kubeconfig: cluster("insecure-skip-tls-verify: true"), code: "kubeconfig-forbidden-field"},
		"field unknown":            {kubeconfig: user("surprise: x"), code: "kubeconfig-unknown-field"},
		"plain http":               {kubeconfig: strings.Replace(good, server, strings.Replace(server, "https", "http", 1), 1), code: "kubeconfig-server"},
		"no YAML":                  {kubeconfig: "{", code: "kubeconfig-unreadable"},
		"empty":                    {kubeconfig: "", code: "kubeconfig-unreadable"},
		"unreachable":              {kubeconfig: strings.Replace(good, server, "https://127.0.0.1:1", 1), code: "cluster-unreachable"},
		"in a network not allowed": {kubeconfig: strings.Replace(good, server, "https://10.0.0.1", 1), code: "url-refused"},
		"the metadata service":     {kubeconfig: strings.Replace(good, server, "https://169.254.169.254", 1), code: "url-refused"},
		"already imported":         {kubeconfig: good, status: 409, code: "cluster-already-imported"},
		"name taken":               {name: clusterA, kubeconfig: good, status: 409, code: "cluster-name-taken", field: "name"},
		"name no DNS label":        {name: "No_DNS", kubeconfig: good, code: "cluster-name-invalid", field: "name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			named := unique("bad")
			r := refusal{method: http.MethodPost, path: "/clusters", status: 422, code: c.code, field: "kubeconfig"}
			if c.status != 0 {
				r.status = c.status
			}
			if c.field != "" {
				r.field = c.field
			}
			if c.name != "" {
				named = c.name
			}
			r.body = values{"name": named, "kubeconfig": c.kubeconfig}
			a := r.wantRefused(t)
			if strings.Contains(string(a.raw), "LS0tLS") || strings.Contains(string(a.raw), "/etc/passwd") {
				t.Errorf("the answer repeats what the kubeconfig holds: %s", a.raw)
			}
			if c.name == "" {
				if found := do(t, http.MethodGet, "/clusters/"+named+"?field=name", nil); found.status != http.StatusNotFound {
					t.Errorf("a refused cluster is on record: %d", found.status)
				}
			}
		})
	}
}
