package kube

import (
	"cmp"
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/swell-sh/swell/shared/diff"
)

// Preview is a Helm verb that is foreseen.
type Preview struct {
	Release, Namespace string
	Before             string   // the manifest that the verb starts from; empty: there is none
	Failed             []string // manifests of the revisions that failed since: of these, what is in no other manifest goes too
	After              string   // the manifest that it brings
	CRDs               []string // documents of the chart's crds folder, which come before the verb
	Uninstall          bool     // After is empty: the release goes
}

// Preview asks the cluster what the verb would do to each object, and changes nothing. It makes the requests that Helm would make, as
// server-side dry runs: an upgrade's patch, or the creation of what is missing. So defaults, admission and immutable fields are the
// cluster's own words. It makes at most two requests for an object.
//
// What it cannot see: what admission webhooks without dry run would change, and what hooks do.
func (c *Client) Preview(ctx context.Context, p Preview) ([]diff.Object, error) {
	v := preview{Preview: p, client: c, defined: map[schema.GroupKind]bool{}}
	tasks, err := v.tasks(ctx)
	if err != nil {
		return nil, fmt.Errorf("previewing release %s: %w", p.Release, err)
	}
	found := make([]diff.Object, len(tasks))
	group, taskCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, task := range tasks {
		group.Go(func() (err error) {
			found[i], err = task(taskCtx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("previewing release %s: %w", p.Release, Classify(err))
	}
	if v.newNamespace {
		found = append([]diff.Object{{APIVersion: "v1", Kind: "Namespace", Name: p.Namespace, Action: diff.Create, Note: "it is made before the release"}}, found...)
	}
	shown := found[:0]
	for _, o := range found {
		if o.Action != "" {
			shown = append(shown, o)
		}
	}
	return shown, nil
}

// preview is one Preview under way.
type preview struct {
	Preview
	client       *Client
	newNamespace bool                      // the release's namespace is not there yet
	defined      map[schema.GroupKind]bool // types that the chart's crds folder brings, and whether their objects have a namespace
	before       map[objectID]*object
}

// objectID tells objects of a release apart as Helm does: the version is no part of it.
type objectID struct {
	schema.GroupKind
	namespace, name string
}

// object is an object of a manifest, in the namespace where it goes.
type object struct {
	*unstructured.Unstructured
	resource *schema.GroupVersionResource // nil: the cluster does not have its type
	id       objectID
}

type previewTask func(context.Context) (diff.Object, error)

// tasks are what is to be found out, one for each object, in the order of the manifests.
func (v *preview) tasks(ctx context.Context) ([]previewTask, error) {
	crds, err := v.definitions()
	if err != nil {
		return nil, err
	}
	before, err := v.objects(v.Before)
	if err != nil {
		return nil, err
	}
	after, err := v.objects(v.After)
	if err != nil {
		return nil, err
	}
	if err := v.findNamespace(ctx); err != nil {
		return nil, err
	}
	var tasks []previewTask
	for _, o := range crds {
		tasks = append(tasks, func(ctx context.Context) (diff.Object, error) { return v.definition(ctx, o) })
	}
	known := map[objectID]bool{}
	for _, o := range after {
		known[o.id] = true
		tasks = append(tasks, func(ctx context.Context) (diff.Object, error) {
			out, err := v.brought(ctx, o)
			if err == nil && out.Action == diff.Create {
				out.Changes = o.contents()
			}
			return out, err
		})
	}
	v.before = make(map[objectID]*object, len(before))
	for _, o := range before {
		v.before[o.id] = o
		if !known[o.id] {
			known[o.id] = true
			tasks = append(tasks, func(ctx context.Context) (diff.Object, error) { return v.removed(ctx, o, false) })
		}
	}
	for _, manifest := range v.Failed {
		failed, err := v.objects(manifest)
		if err != nil {
			return nil, err
		}
		for _, o := range failed {
			if !known[o.id] && o.resource != nil {
				known[o.id] = true
				tasks = append(tasks, func(ctx context.Context) (diff.Object, error) { return v.removed(ctx, o, true) })
			}
		}
	}
	return tasks, nil
}

// definitions are the CRDs of the crds folder; it notes the types that they bring.
func (v *preview) definitions() ([]*object, error) {
	var all []*object
	for _, document := range v.CRDs {
		crds, err := v.objects(document)
		if err != nil {
			return nil, err
		}
		for _, o := range crds {
			group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
			scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
			v.defined[schema.GroupKind{Group: group, Kind: kind}] = scope != "Cluster"
		}
		all = append(all, crds...)
	}
	return all, nil
}

// objects reads a manifest and finds where its objects are served.
func (v *preview) objects(manifest string) ([]*object, error) {
	parsed, err := parse([]byte(manifest), nil)
	if err != nil {
		return nil, err
	}
	all := make([]*object, len(parsed))
	for i, u := range parsed {
		gvk := u.GroupVersionKind()
		namespaced, defined := v.defined[gvk.GroupKind()]
		o := &object{Unstructured: u}
		mapping, err := v.client.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case meta.IsNoMatchError(err):
			namespaced = namespaced || !defined
		case err != nil:
			return nil, fmt.Errorf("finding type %s: %w", gvk.Kind, Classify(err))
		default:
			o.resource, namespaced = &mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace
		}
		o.id = objectID{GroupKind: gvk.GroupKind(), name: u.GetName()}
		if namespaced {
			o.id.namespace = cmp.Or(u.GetNamespace(), v.Namespace)
			u.SetNamespace(o.id.namespace)
		}
		all[i] = o
	}
	return all, nil
}

// findNamespace looks whether the release's namespace is there. A credential that may not read it finds out with the objects.
func (v *preview) findNamespace(ctx context.Context) error {
	if v.Uninstall {
		return nil
	}
	_, err := v.client.metadata.Resource(namespaces).Get(ctx, v.Namespace, metav1.GetOptions{})
	v.newNamespace = apierrors.IsNotFound(err)
	if err == nil || v.newNamespace || apierrors.IsForbidden(err) {
		return nil
	}
	return fmt.Errorf("reading namespace %s: %w", v.Namespace, Classify(err))
}

// describe names the object in the answer.
func (o *object) describe() diff.Object {
	return diff.Object{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.id.namespace, Name: o.id.name}
}

// Untouched names the objects of a manifest with which nothing is done. It asks no cluster, and knows only the namespaces that are written.
func Untouched(manifest string) ([]diff.Object, error) {
	parsed, err := parse([]byte(manifest), nil)
	if err != nil {
		return nil, err
	}
	named := make([]diff.Object, len(parsed))
	for i, u := range parsed {
		named[i] = diff.Object{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(), Action: diff.Unchanged}
	}
	return named, nil
}
