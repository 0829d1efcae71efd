package kube

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/swell-sh/swell/shared/diff"
)

// Helm's marks on what it made, and the annotation that keeps an object from being deleted with its release.
const (
	annotationRelease     = "meta.helm.sh/release-name"
	annotationNamespace   = "meta.helm.sh/release-namespace"
	annotationPolicy      = "helm.sh/resource-policy"
	annotationLastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

var dryRun = []string{metav1.DryRunAll}

func (v *preview) resource(o *object) dynamic.ResourceInterface {
	if o.id.namespace == "" {
		return v.client.dynamic.Resource(*o.resource)
	}
	return v.client.dynamic.Resource(*o.resource).Namespace(o.id.namespace)
}

func (v *preview) metadata(o *object) metadata.ResourceInterface {
	if o.id.namespace == "" {
		return v.client.metadata.Resource(*o.resource)
	}
	return v.client.metadata.Resource(*o.resource).Namespace(o.id.namespace)
}

// definition foresees a CRD of the crds folder: one that is there is left as it is.
func (v *preview) definition(ctx context.Context, o *object) (diff.Object, error) {
	out := o.describe()
	if o.resource == nil {
		return unserved(out), nil
	}
	_, err := v.metadata(o).Get(ctx, o.id.name, metav1.GetOptions{})
	switch {
	case err == nil:
		out.Action, out.Note = diff.Unchanged, "it is there; one of a chart's crds folder is never changed"
		return out, nil
	case apierrors.IsNotFound(err):
		return v.create(ctx, o, o.Unstructured, out)
	}
	return refused(out, diff.Create, err)
}

// brought foresees an object of the new manifest.
func (v *preview) brought(ctx context.Context, o *object) (diff.Object, error) {
	out := o.describe()
	_, comes := v.defined[o.id.GroupKind]
	switch {
	case o.resource == nil && comes:
		out.Action, out.Note = diff.Create, unchecked+"its type comes with the chart's CRDs"
		return out, nil
	case o.resource == nil:
		return unserved(out), nil
	case o.id.name == "":
		out.Action, out.Destructive = diff.Create, []string{"refused: it has no name"}
		return out, nil
	case v.newNamespace && o.id.Kind == "Namespace" && o.id.name == v.Namespace:
		out.Action, out.Destructive = diff.Create, []string{"refused: it is made before the release, and so does not belong to it"}
		return out, nil
	case v.newNamespace && o.id.namespace == v.Namespace:
		out.Action, out.Note = diff.Create, unchecked+"namespace "+v.Namespace+" is not there yet"
		return out, nil
	}
	live, err := v.resource(o).Get(ctx, o.id.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return v.create(ctx, o, v.marked(o), out)
	}
	original := v.before[o.id]
	if err != nil {
		return refused(out, actionOn(original), err)
	}
	if original == nil || original.GetAPIVersion() != o.GetAPIVersion() {
		if whose := v.foreign(live.GetLabels(), live.GetAnnotations()); whose != "" {
			out.Action, out.Destructive = diff.Update, []string{"refused: it exists and " + whose}
			return out, nil
		}
	}
	return v.update(ctx, original, o, live, out)
}

func actionOn(original *object) diff.Action {
	if original == nil {
		return diff.Create
	}
	return diff.Update
}

// unserved is an object for whose type Helm would fail before it does anything.
func unserved(out diff.Object) diff.Object {
	out.Action, out.Destructive = diff.Create, []string{fmt.Sprintf("refused: the cluster does not have the type %s of %s", out.Kind, out.APIVersion)}
	return out
}

// marked is the object as Helm sends it.
func (v *preview) marked(o *object) *unstructured.Unstructured {
	u := o.DeepCopy()
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[managedBy], annotations[annotationRelease], annotations[annotationNamespace] = "Helm", v.Release, v.Namespace
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
	return u
}

// foreign says whose an object is, if it is not the release's.
func (v *preview) foreign(labels, annotations map[string]string) string {
	name, namespace := annotations[annotationRelease], annotations[annotationNamespace]
	switch {
	case labels[managedBy] == "Helm" && name == v.Release && namespace == v.Namespace:
		return ""
	case name != "" && (name != v.Release || namespace != v.Namespace):
		return fmt.Sprintf("belongs to release %s in namespace %s", name, namespace)
	}
	return "was not made by this release"
}

// contents are the fields of an object that is not there yet, as the manifest has them.
func (o *object) contents() []diff.Change {
	will := o.DeepCopy().Object
	for _, known := range []string{"apiVersion", "kind", "status"} {
		delete(will, known)
	}
	if metadata, ok := will["metadata"].(map[string]any); ok {
		delete(metadata, "name")
		delete(metadata, "namespace")
		if len(metadata) == 0 {
			delete(will, "metadata")
		}
	}
	return diff.Compare(nil, will)
}

func (v *preview) create(ctx context.Context, o *object, will *unstructured.Unstructured, out diff.Object) (diff.Object, error) {
	_, err := v.resource(o).Create(ctx, will, metav1.CreateOptions{DryRun: dryRun, FieldManager: helmManager})
	if err == nil {
		out.Action = diff.Create
		return out, nil
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) && strings.Contains(err.Error(), "not found") {
		// Its namespace, service account or role may well come with the same release.
		out.Action, out.Note = diff.Create, unchecked+words(out.Kind, err)
		return out, nil
	}
	return refused(out, diff.Create, err)
}

// update sends Helm's patch as a dry run. Where the cluster refuses it, what is shown is how the manifests differ.
func (v *preview) update(ctx context.Context, original, o *object, live *unstructured.Unstructured, out diff.Object) (diff.Object, error) {
	will := v.marked(o)
	was := will // of an object that Helm adopts it takes the new manifest for the old one
	if original != nil {
		was = original.Unstructured
	}
	p, err := helmPatch(was, will, live)
	if err != nil {
		out.Action, out.Destructive = diff.Update, []string{"refused: " + err.Error()}
		return out, nil
	}
	if p.empty() {
		out.Action = diff.Unchanged
		return out, nil
	}
	after, err := v.resource(o).Patch(ctx, o.id.name, p.kind, p.body, metav1.PatchOptions{DryRun: dryRun, FieldManager: helmManager})
	if err != nil {
		if original != nil {
			out.Changes = diff.Compare(shown(was), shown(o.Unstructured))
		}
		return refused(out, diff.Update, err)
	}
	is, becomes := shown(live), shown(after)
	out.Action, out.Changes = diff.Update, diff.Compare(is, becomes)
	switch {
	case len(out.Changes) > 0:
		out.Destructive = lost(out)
	case reflect.DeepEqual(is, becomes):
		out.Action = diff.Unchanged
	default: // it matters for variables that name others, and starts new pods
		out.Note = "items of a list change their order"
	}
	return out, nil
}

// lost says which of the changes lose something.
func lost(o diff.Object) (why []string) {
	if o.Kind != "CustomResourceDefinition" {
		return nil
	}
	for _, c := range o.Changes {
		if len(c.Path) == 3 && c.Op == diff.Removed && c.Path[1].Field == "versions" {
			why = append(why, "removed: version "+c.Path[2].Value+" and its objects' clients")
		}
	}
	return why
}

// shown is what a person wants to see of an object: what the server or its controllers fill in is left out.
func shown(u *unstructured.Unstructured) map[string]any {
	u = u.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", annotationLastApplied)
	unstructured.RemoveNestedField(u.Object, "status")
	return u.Object
}

// removed foresees an object that the release has no more. mine: it goes only if it bears the release's marks.
func (v *preview) removed(ctx context.Context, o *object, mine bool) (diff.Object, error) {
	out := o.describe()
	if o.resource == nil {
		out = unserved(out)
		out.Action = diff.Delete
		return out, nil
	}
	live, err := v.metadata(o).Get(ctx, o.id.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return diff.Object{}, nil // gone already
	}
	if err != nil {
		return refused(out, diff.Delete, err)
	}
	if mine && v.foreign(live.Labels, live.Annotations) != "" {
		return diff.Object{}, nil
	}
	policy := live.Annotations[annotationPolicy]
	if v.Uninstall { // here Helm asks the manifest
		policy = strings.ToLower(strings.TrimSpace(o.GetAnnotations()[annotationPolicy]))
	}
	if policy == "keep" {
		out.Action, out.Note = diff.Keep, "its resource policy keeps it"
		return out, nil
	}
	out.Action, out.Destructive = diff.Delete, []string{deleted(out.Kind)}
	return out, nil
}

// deleted says what goes with an object of that kind.
func deleted(kind string) string {
	switch kind {
	case "PersistentVolumeClaim", "PersistentVolume":
		return "deleted: its volume's data may go with it"
	case "Namespace":
		return "deleted: everything in it goes"
	case "CustomResourceDefinition":
		return "deleted: all its custom resources go"
	case "StatefulSet":
		return "deleted: its pods stop; their volume claims stay"
	}
	return "deleted"
}
