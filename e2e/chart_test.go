//go:build stack

package e2e_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/openapi"
)

// packages writes two versions of a chart as `helm package` would, and returns their folder.
func packages(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, version := range []string{"1.0.0", "1.2.0"} {
		archive := helmtest.ConfigMaps(1).With("Chart.yaml", helmtest.Meta("shop", version)).Archive(t)
		if err := os.WriteFile(filepath.Join(dir, "shop-"+version+".tgz"), archive, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Charts come from a repository with an index; what is deployed is kept, also when the repository is forgotten.
func TestChartsOfARepository(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	helm(t, clusterA, "default", "repo", "index", dir)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	name := unique("repo")
	repository := values{"name": name, "url": server.URL}
	must(t, http.StatusCreated, http.MethodPost, "/helm/repos", repository, nil)
	refusal{method: http.MethodPost, path: "/helm/repos", body: repository, status: 409, code: "repository-name-taken", field: "name"}.wantRefused(t)
	var list openapi.RepositoryList
	must(t, http.StatusOK, http.MethodGet, "/helm/repos", nil, &list)
	if !slices.ContainsFunc(list.Items, func(r openapi.Repository) bool { return r.Name == name && r.URL == server.URL }) {
		t.Errorf("repository %s is not listed", name)
	}

	group := newGroup(t, newInMemory(t).id)
	for why, r := range map[string]refusal{
		"version not there": {body: intent{"name": name + "/shop", "version": "9.9.9"}, code: "chart-version-not-found", field: "version"},
		"chart not there":   {body: intent{"name": name + "/nothing"}, code: "chart-not-found", field: "name"},
	} {
		t.Run(why, func(t *testing.T) {
			r.method, r.path, r.status = http.MethodPost, "/clustergroups/"+group+"/deployments", 422
			r.wantRefused(t)
		})
	}

	a := newApp(t, group, "shop")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": name + "/shop"})
	if got := a.get(); got.ChartVersion != "1.2.0" || got.ChartName != "shop" {
		t.Errorf("without a version %s %s was deployed, want the newest", got.ChartName, got.ChartVersion)
	}
	a.put(openapi.RunStatusSucceeded, intent{"name": name + "/shop", "version": "~1.0"})
	digest := a.get().ChartDigest
	if got := a.get().ChartVersion; got != "1.0.0" {
		t.Errorf("the range ~1.0 deployed %s", got)
	}
	must(t, http.StatusNoContent, http.MethodDelete, "/helm/repos/"+name, nil, nil)
	server.Close()
	a.put(openapi.RunStatusSucceeded, intent{"values": values{"text": "new"}})
	if got := a.get().ChartDigest; got != digest {
		t.Errorf("an update without a chart changed it from %s to %s", digest, got)
	}
}

// Charts come from a registry, too, where `helm push` has put them.
func TestChartsOfARegistry(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, version := range []string{"1.0.0", "1.2.0"} {
		helm(t, clusterA, "default", "push", filepath.Join(dir, "shop-"+version+".tgz"), "oci://"+host+"/charts", "--plain-http")
	}
	group := newGroup(t, newInMemory(t).id)
	a := newApp(t, group, "oci")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": "oci://" + host + "/charts/shop", "version": "1.0.0"})
	a.put(openapi.RunStatusSucceeded, intent{"name": "oci://" + host + "/charts/shop", "version": "^1"})
	if got := a.get(); got.ChartVersion != "1.2.0" || got.TargetClusters[0].Version != "1.2.0" {
		t.Errorf("the range ^1 deployed %s, observed %s", got.ChartVersion, got.TargetClusters[0].Version)
	}
	refusal{method: http.MethodPut, path: a.path(), body: intent{"name": "oci://" + host + "/charts/shop", "version": "2.0.0"}, status: 422,
		code: "chart-version-not-found", field: "version"}.wantRefused(t)
	refusal{method: http.MethodPut, path: a.path(), body: intent{"name": "oci://" + host + "/charts/none", "version": "1.0.0"}, status: 422,
		code: "chart-not-found", field: "name"}.wantRefused(t)
	refusal{method: http.MethodPut, path: a.path(), body: intent{"name": "oci://10.0.0.1/charts/shop", "version": "1.0.0"}, status: 422,
		code: "url-refused", field: "name"}.wantRefused(t)
}

// A chart's CRDs are there before its objects of that kind are, on a real cluster; a removal leaves them, as Helm does.
func TestChartWithCRDs(t *testing.T) {
	t.Parallel()
	kind := "Tide" + strings.ToUpper(unique("x")[2:])
	plural := strings.ToLower(kind) + "s"
	crd := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ` + plural + `.e2e.swell.test
spec:
  group: e2e.swell.test
  scope: Namespaced
  names: {kind: ` + kind + `, plural: ` + plural + `, singular: ` + strings.ToLower(kind) + `}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`
	a := newApp(t, swell.group, "crd")
	a.deploy(openapi.RunStatusSucceeded, intent{"name": push(t, helmtest.Chart{
		"Chart.yaml": helmtest.Meta("tide", "1.0.0"), "crds/tide.yaml": crd,
		"templates/tide.yaml": "apiVersion: e2e.swell.test/v1\nkind: " + kind + "\nmetadata: {name: one}\n",
	}.Archive(t))})
	for _, cluster := range []string{clusterA, clusterB} {
		a.wantTarget(cluster, openapi.TargetStatusDEPLOYED, openapi.HealthHEALTHY)
	}
	a.remove(openapi.RunStatusSucceeded)
	t.Cleanup(func() {
		for _, cluster := range []string{clusterA, clusterB} {
			err := kubernetesOf(t, cluster).CoreV1().RESTClient().Delete().
				AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + plural + ".e2e.swell.test").Do(context.WithoutCancel(t.Context())).Error()
			if err != nil {
				t.Errorf("deleting the CRD on cluster %s: %v", cluster, err)
			}
		}
	})
	resources, err := kubernetesOf(t, clusterA).Discovery().ServerResourcesForGroupVersion("e2e.swell.test/v1")
	if err != nil || !slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
		t.Errorf("the kind %s is gone: %v", kind, err)
	}
}
