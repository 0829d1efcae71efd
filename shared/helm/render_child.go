package helm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
)

// plainRequest is Request as it travels to the child.
type plainRequest Request

func renderInChild(_ context.Context, req plainRequest) (Rendered, error) {
	quiet()
	started := time.Now()
	first, err := render(req)
	if err != nil {
		return Rendered{}, err
	}
	if time.Since(started) > renderWall/3 { // no time to look twice, so nothing is promised
		return first.result(req, false), nil
	}
	again, err := render(req)
	if err != nil {
		return Rendered{}, err
	}
	return first.result(req, !first.lookedUp && !first.timed && slices.Equal(first.texts, again.texts)), nil
}

// rendering is one pass over a chart.
type rendering struct {
	out       Rendered
	manifests []releaseutil.Manifest
	hooks     []*helmrelease.Hook
	texts     []string // of all that a verb may apply
	lookedUp  bool
	timed     bool
}

func (r rendering) result(req plainRequest, reproducible bool) Rendered {
	r.out.Reproducible = reproducible
	if req.Show {
		r.out.Shown = r.shown()
	}
	return r.out
}

// shown is the rendering as a plan keeps it. The manifest is put together as Helm's own is.
func (r rendering) shown() *release.Rendering {
	var manifest strings.Builder
	for _, m := range r.manifests {
		fmt.Fprintf(&manifest, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	shown := &release.Rendering{Manifest: manifest.String(), Reproducible: r.out.Reproducible, Lookups: r.lookedUp}
	for _, crd := range r.out.CRDs {
		shown.CRDs = append(shown.CRDs, string(crd))
	}
	for _, h := range r.hooks {
		if slices.Contains(h.Events, helmrelease.HookTest) {
			continue // no verb makes it
		}
		hook := release.Hook{Kind: h.Kind, Name: h.Name, Namespace: namespaceOf(h.Manifest), Manifest: h.Manifest}
		for _, event := range h.Events {
			hook.Events = append(hook.Events, event.String())
		}
		shown.Hooks = append(shown.Hooks, hook)
	}
	return shown
}

func render(req plainRequest) (rendering, error) {
	hide := newRedactor(req.Values, req.Release, req.Namespace)
	chrt, err := load(req.Archive)
	if err != nil {
		return rendering{}, err
	}
	values := copyValues(req.Values) // Helm writes into them
	if err := chartutil.ProcessDependenciesWithMerge(chrt, values); err != nil {
		return rendering{}, problem.Invalid(CodeChartLoad, "the chart's dependencies cannot be processed: %s", hide.text(err.Error()))
	}
	crds, apis, err := crdsOf(chrt)
	if err != nil {
		return rendering{}, err
	}
	caps, err := capabilities(req.KubeVersion, req.APIVersions)
	if err != nil {
		return rendering{}, err
	}
	caps.APIVersions = append(slices.Clip(caps.APIVersions), apis...)
	if want := chrt.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return rendering{}, problem.Invalid(CodeKubeVersion, "the chart wants Kubernetes %s, the cluster has %s", want, caps.KubeVersion.String())
	}
	top, err := chartutil.ToRenderValuesWithSchemaValidation(chrt, values, chartutil.ReleaseOptions{
		Name: req.Release, Namespace: req.Namespace, Revision: max(req.Revision, 1), IsInstall: req.Revision <= 1, IsUpgrade: req.Revision > 1,
	}, caps, true)
	if err != nil {
		return rendering{}, problem.Invalid(CodeRenderFailed, "the values cannot be merged with the chart's: %s", hide.text(err.Error()))
	}
	merged, err := top.Table("Values")
	if err != nil {
		return rendering{}, problem.Invalid(CodeRenderFailed, "the values cannot be merged with the chart's: %s", hide.text(err.Error()))
	}
	if err := validate(chrt, merged); err != nil {
		return rendering{}, err
	}
	r, err := execute(chrt, top, crds, hide)
	r.out.AsksAPIs = asksAPIs(chrt, merged)
	return r, err
}

// asksAPIs takes the word for the deed: a render where it is found nowhere is the same whatever APIs a cluster has.
func asksAPIs(chrt *helmchart.Chart, values chartutil.Values) bool {
	const word = "Capabilities"
	for _, t := range chrt.Templates {
		if bytes.Contains(t.Data, []byte(word)) {
			return true
		}
	}
	if raw, err := json.Marshal(values); err != nil || bytes.Contains(raw, []byte(word)) {
		return true // a template may take a value for a template
	}
	return slices.ContainsFunc(chrt.Dependencies(), func(d *helmchart.Chart) bool { return asksAPIs(d, nil) })
}

func execute(chrt *helmchart.Chart, top chartutil.Values, crds [][]byte, hide redactor) (rendering, error) {
	var seen lookups
	files, err := engine.RenderWithClientProvider(chrt, top, &seen)
	if err != nil {
		return rendering{}, problem.Invalid(CodeRenderFailed, "%s", hide.text(err.Error()))
	}
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasSuffix(name, "NOTES.txt") })
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return rendering{}, problem.Invalid(CodeRenderFailed, "%s", hide.text(err.Error()))
	}
	out := Rendered{Chart: chrt.Name(), Version: chrt.Metadata.Version, Objects: len(manifests), Hooks: len(hooks), CRDs: crds}
	var texts []string
	for _, m := range manifests {
		out.Size += len(m.Content)
		texts = append(texts, m.Content)
	}
	for _, h := range hooks {
		out.Size += len(h.Manifest)
		if !slices.Contains(h.Events, helmrelease.HookTest) {
			texts = append(texts, h.Manifest)
		}
	}
	if out.Size > maxOutput || out.Objects+out.Hooks > maxObjects {
		return rendering{}, problem.Invalid(CodeTooLarge, "the chart renders to %d objects in %d bytes; limits are %d and %d",
			out.Objects+out.Hooks, out.Size, maxObjects, maxOutput)
	}
	return rendering{out: out, manifests: manifests, hooks: hooks, texts: texts, lookedUp: seen.used, timed: usesTime(chrt)}, nil
}

// namespaceOf is what a manifest says itself; empty: the release's.
func namespaceOf(manifest string) string {
	var object struct{ Metadata struct{ Namespace string } }
	if yaml.Unmarshal([]byte(manifest), &object) != nil {
		return ""
	}
	return object.Metadata.Namespace
}

func copyValues(values map[string]any) map[string]any {
	if values == nil {
		return map[string]any{}
	}
	return runtime.DeepCopyJSON(values)
}

// now finds what two renders within a second cannot: an action that uses the time. It may find one that these values never reach.
var now = regexp.MustCompile(`\{\{[^}]*\bnow\b[^}]*\}\}`)

func usesTime(chrt *helmchart.Chart) bool {
	for _, t := range chrt.Templates {
		if !strings.HasSuffix(t.Name, "NOTES.txt") && now.Match(t.Data) {
			return true
		}
	}
	return slices.ContainsFunc(chrt.Dependencies(), usesTime)
}

// lookups answers a template's lookups as `helm template` does, with nothing, and remembers that there was one.
type lookups struct{ used bool }

// GetClientFor is asked once per lookup.
func (l *lookups) GetClientFor(_, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	l.used = true
	return nothing{kind: kind}, true, nil
}

// nothing is a resource without objects.
type nothing struct {
	dynamic.NamespaceableResourceInterface
	kind string
}

func (n nothing) Namespace(string) dynamic.ResourceInterface { return n }

func (n nothing) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	return nil, n.notFound(name)
}

func (n nothing) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return nil, n.notFound("")
}

func (n nothing) notFound(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: strings.ToLower(n.kind)}, name)
}
