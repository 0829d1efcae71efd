//go:build stack

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
)

// shop is a chart with a subchart under an alias, whose schema calls a value writeOnly.
func shop(t *testing.T) []byte {
	t.Helper()
	return helmtest.ConfigMaps(1).
		With("Chart.yaml", helmtest.Meta("shop", "1.0.0", "dependencies: [{name: store, version: 1.0.0, alias: db}]")).
		With("values.yaml", "text: plain\ntoken: ''\ndb: {size: 2}\n").
		With("charts/store/Chart.yaml", helmtest.Meta("store", "1.0.0")).
		With("charts/store/values.yaml", "size: 1\nauth: {user: store, password: ''}\n").
		With("charts/store/values.schema.json", `{"properties": {"auth": {"properties": {"password": {"type": "string", "writeOnly": true}}}}}`).
		With("charts/store/templates/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: store}\nstringData:\n"+
			"  password: {{ .Values.auth.password | quote }}\n").
		With("templates/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData:\n  token: {{ .Values.token | quote }}\n").
		With("templates/hint.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hint}\ndata:\n  hint: {{ printf \"the token is %s.\" .Values.token | quote }}\n"+
			"  encoded: {{ .Values.token | b64enc }}\n").
		Archive(t)
}

// secretOn is a field of a Secret on a cluster.
func secretOn(t *testing.T, cluster, namespace, name, key string) string {
	t.Helper()
	got, err := kubernetesOf(t, cluster).CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(got.Data[key])
}

// Secrets are masked wherever values are read, and what was read can be written back.
func TestSecretValuesAreMasked(t *testing.T) {
	t.Parallel()
	canary := func(what string) string { return what + strings.ReplaceAll(id.New(), "-", "") }
	token, override, password, planned := canary("token"), canary("override"), canary("password"), canary("planned")
	a := newApp(t, swell.group, "mask")
	first := a.deploy(openapi.RunStatusSucceeded, intent{"name": push(t, shop(t)), "secretPaths": []string{"token"},
		"values":         values{"text": "one", "token": token, "db": values{"auth": values{"password": password}}},
		"valueOverrides": values{clusterB: values{"token": override}},
	})
	if secretOn(t, clusterA, a.name, "shop", "token") != token || secretOn(t, clusterB, a.name, "shop", "token") != override ||
		secretOn(t, clusterB, a.name, "store", "password") != password {
		t.Error("the clusters do not have the secrets")
	}
	read := a.get()
	if diff := cmp.Diff([]string{"db.auth.password", "token"}, read.SecretPaths); diff != "" {
		t.Errorf("secret paths differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(values{"text": "one", "token": mask.Text, "db": values{"auth": values{"password": mask.Text}}}, values(read.Values)); diff != "" {
		t.Errorf("values differ (-want +got):\n%s", diff)
	}

	again := a.put(openapi.RunStatusSucceeded, intent{"values": read.Values, "valueOverrides": read.ValueOverrides})
	for _, target := range again.Targets {
		if target.Action != openapi.ActionNone {
			t.Errorf("what was read was written back, and cluster %s had %s", target.ClusterName, target.Action)
		}
	}
	for i, target := range a.get().TargetClusters {
		if was := read.TargetClusters[i]; target.Desired.InputHash != was.Desired.InputHash || target.Observed.Revision != was.Observed.Revision {
			t.Errorf("cluster %s went from %+v to %+v", target.ClusterName, was, target)
		}
	}
	third := a.put(openapi.RunStatusSucceeded, intent{"values": values{"text": "three", "token": mask.Text}, "reuseValues": true})
	if got := secretOn(t, clusterA, a.name, "shop", "token"); got != token {
		t.Errorf("a mask was written back, and the secret became %s", got)
	}
	dry := ended(t, a.update(intent{"values": values{"token": planned}, "reuseValues": true, "dryRun": true}).Run, openapi.RunStatusSucceeded)

	var hidden []string
	for _, secret := range []string{token, override, password, planned} {
		hidden = append(hidden, mask.Forms(secret)...)
	}
	absent := func(where, text string) {
		t.Helper()
		for _, secret := range hidden {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("a secret is in %s: …%s…", where, text[max(0, at-200):min(len(text), at+80)])
			}
		}
	}
	runs := []string{first.ID, again.ID, third.ID}
	paths := []string{a.path(), "/clustergroups/" + a.group + "/deployments", a.path() + "/generations", a.path() + "/generations/1", a.path() + "/generations/1/diff?to=3",
		a.path() + "/values", a.path() + "/values?explain=true", a.path() + "/values?explain=true&cluster=" + clusterB, "/runs/" + dry.ID, "/plans/" + dry.PlanHash, "/plans/" + dry.PlanHash + "/targets/" + clusterA + "?field=name"}
	for _, run := range runs {
		paths = append(paths, "/runs/"+run)
	}
	for _, path := range paths {
		absent(path, string(must(t, http.StatusOK, http.MethodGet, path, nil, nil).raw))
	}
	out, code := cli(t, "values", a.name, "--group", "e2e", "--cluster", clusterB, "--explain")
	if absent("swell values", out); code != 0 || !strings.Contains(out, `"[masked]"`) {
		t.Errorf("swell values exited %d:\n%s", code, out)
	}
	searchLogs(t, absent)
	searchHistories(t, absent, runs)
	searchTable(t, absent, a.name)
}

// Every value says who set it, also where an earlier request did.
func TestValuesAreExplained(t *testing.T) {
	t.Parallel()
	member := newInMemory(t)
	group := newGroup(t, member.id)
	a := newApp(t, group, "explain")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": push(t, shop(t)), "values": values{"text": "one", "db": values{"auth": values{"user": nil}}},
		"valueOverrides": values{member.name: values{"db": values{"size": 3}}}})
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"extra": []int{1, 2}}, "reuseValues": true})
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"text": "three"}, "reuseValues": true})

	var explained openapi.DeploymentValues
	must(t, http.StatusOK, http.MethodGet, a.path()+"/values?explain=true&cluster="+member.name, nil, &explained)
	var told []string
	for _, l := range explained.Leaves {
		line := fmt.Sprintf("%s=%v %s %s %d", l.Path, l.Value, l.Layer, l.Source, l.Generation)
		for _, h := range l.Overridden {
			line += fmt.Sprintf(" < %v %s %s %d", h.Value, h.Layer, h.Source, h.Generation)
		}
		told = append(told, line)
	}
	over := "valueOverrides." + member.name
	want := []string{
		"db.auth.password= subchart shop/db 0",
		"db.auth.user=<nil> reused values 1 < store subchart shop/db 0",
		"db.global=map[] subchart shop/db 0",
		"db.size=3 reused " + over + " 1 < 2 chart shop 0 < 1 subchart shop/db 0",
		"extra=[1 2] reused values 2",
		"text=three common values 3 < one reused values 1 < plain chart shop 0",
		"token= chart shop 0",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}

	var got openapi.DeploymentValues
	must(t, http.StatusOK, http.MethodGet, a.path()+"/values?cluster="+member.id, nil, &got)
	if diff := cmp.Diff(values{"text": "three", "token": "", "extra": []any{1.0, 2.0}, "db": values{"size": 3.0, "global": values{}, "auth": values{"password": ""}}}, values(got.Values)); diff != "" {
		t.Errorf("values differ (-want +got):\n%s", diff)
	}
	var part openapi.DeploymentValues
	must(t, http.StatusOK, http.MethodGet, a.path()+"/values?path="+url.QueryEscape("db.size"), nil, &part)
	if diff := cmp.Diff(values{"db": values{"size": 2.0}}, values(part.Values)); diff != "" {
		t.Errorf("without a cluster, values at a path differ (-want +got):\n%s", diff)
	}
	for why, r := range map[string]refusal{
		"no target":           {method: http.MethodGet, path: a.path() + "/values?cluster=none", code: "cluster-not-found", field: "cluster"},
		"no path":             {method: http.MethodGet, path: a.path() + "/values?path=a..b", code: "invalid-parameter", field: "path"},
		"no secret path":      {method: http.MethodPut, path: a.path(), body: intent{"secretPaths": []string{"a[0]"}}, code: "secret-path-invalid", field: "secretPaths[0]"},
		"no secret":           {method: http.MethodPut, path: a.path(), body: intent{"values": values{"text": mask.Text}}, code: "mask-without-value", field: "values.text"},
		"no secret was there": {method: http.MethodPut, path: a.path(), body: intent{"values": values{"new": mask.Text}, "secretPaths": []string{"new"}}, code: "mask-without-value", field: "values.new"},
	} {
		t.Run(why, func(t *testing.T) {
			r.status = http.StatusUnprocessableEntity
			r.wantRefused(t)
		})
	}
}
