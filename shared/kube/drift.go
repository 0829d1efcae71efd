package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/swell-sh/swell/shared/drift"
)

const (
	helmManager    = "helm" // as which the release is written, so that what is repaired is Helm's again
	managedBy      = "app.kubernetes.io/managed-by"
	annotationHook = "helm.sh/hook"
)

// Drift compares a release's manifest with the live objects: one GET for each object, and one dry run for each that looks different.
// It writes nothing. Namespace is the release's. An error means that the cluster could not be asked, and then nothing is known.
func (c *Client) Drift(ctx context.Context, manifest []byte, namespace string, options drift.Options) ([]drift.Finding, error) {
	r, err := c.released(manifest, namespace, options)
	if err != nil {
		return nil, err
	}
	found := make([][]drift.Finding, len(r.objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, o := range r.objects {
		group.Go(func() (err error) {
			if found[i], err = o.drift(ctx, r.rules); err != nil {
				return fmt.Errorf("comparing %s %s: %w", o.want.GetKind(), o.want.GetName(), Classify(err))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []drift.Finding
	for _, f := range found {
		all = append(all, f...)
	}
	return all, nil
}

// released is a release's manifest on its way to be compared.
type released struct {
	rules   *drift.Rules
	objects []releasedObject
}

// releasedObject is one object of it.
type releasedObject struct {
	want   *unstructured.Unstructured
	client dynamic.ResourceInterface // nil: the cluster does not serve its kind
}

func (c *Client) released(manifest []byte, namespace string, options drift.Options) (released, error) {
	parsed, err := parse(manifest, nil)
	if err != nil {
		return released{}, err
	}
	var r released
	var wants []map[string]any
	last := map[string]int{}
	for _, u := range parsed {
		if u.GetName() == "" || u.GetAnnotations()[annotationHook] != "" {
			continue
		}
		canonical(u)
		o := releasedObject{want: u}
		if o.client, err = c.resource(u, namespace); err != nil {
			return released{}, err
		}
		id := u.GetAPIVersion() + "/" + u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
		if i, twice := last[id]; twice { // Helm writes both, and the last one stays
			r.objects[i], wants[i] = o, u.Object
			continue
		}
		last[id] = len(wants)
		wants = append(wants, u.Object)
		r.objects = append(r.objects, o)
	}
	r.rules, err = drift.NewRules(wants, namespace, options)
	return r, err
}

// resource is the client for the object, which gets the namespace where it lies. Nil: the cluster does not serve the kind.
func (c *Client) resource(u *unstructured.Unstructured, namespace string) (dynamic.ResourceInterface, error) {
	gvk := u.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, c.hidden(gvk.GroupVersion())
	}
	if err != nil {
		return nil, fmt.Errorf("finding the resource of %s: %w", gvk.Kind, Classify(err))
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		u.SetNamespace("")
		return c.dynamic.Resource(mapping.Resource), nil
	}
	if u.GetNamespace() == "" {
		u.SetNamespace(namespace)
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(u.GetNamespace()), nil
}

// hidden is an error if the kinds of gv are not seen because their aggregated API does not answer: then they are not gone.
func (c *Client) hidden(gv schema.GroupVersion) error {
	_, _, err := c.discovery.ServerGroupsAndResources()
	failed, ok := errors.AsType[*discovery.ErrGroupDiscoveryFailed](err)
	switch {
	case err == nil, ok && failed.Groups[gv] == nil:
		return nil
	case ok:
		return fmt.Errorf("discovering %s: %w", gv, &UnreachableError{Cause: failed.Groups[gv]})
	}
	return fmt.Errorf("discovering %s: %w", gv, Classify(err))
}

func (o releasedObject) drift(ctx context.Context, rules *drift.Rules) ([]drift.Finding, error) {
	if rules.IgnoresObject(o.want.Object) {
		return nil, nil
	}
	real, err := o.look(ctx, rules)
	switch {
	case errors.Is(err, errGone) && drift.MayBeGone(o.want.Object):
		return nil, nil
	case errors.Is(err, errGone):
		return []drift.Finding{drift.Missed(o.want.Object)}, nil
	case err != nil:
		return nil, err
	}
	findings := make([]drift.Finding, len(real))
	for i, d := range real {
		findings[i] = drift.Of(o.want.Object, d)
	}
	return findings, nil
}

var errGone = errors.New("the object is not there")

// look reads the object and returns in what it really differs. The dry run is the repair: what stays as it is under it is the
// server's own spelling, a default, or admission's work.
func (o releasedObject) look(ctx context.Context, rules *drift.Rules) ([]drift.Difference, error) {
	live, err := o.live(ctx)
	if err != nil {
		return nil, err
	}
	differences := rules.Compare(o.want.Object, live.Object)
	for len(differences) > 0 {
		after, err := o.patch(ctx, o.mend(live, differences), metav1.DryRunAll)
		switch {
		case err == nil:
			return drift.Confirmed(differences, live.Object, after.Object), nil
		case apierrors.IsNotFound(err):
			return nil, errGone
		case apierrors.IsInvalid(err):
			// What cannot be put right in place does differ. But what cannot be taken away was there from the beginning: nobody added it.
			possible := drift.WithoutAdded(differences, fieldsOf(err))
			if len(possible) == len(differences) {
				return differences, nil
			}
			differences = possible
		case refusedByServer(err), apierrors.IsInternalError(err): // by a webhook that takes no dry runs, forbids them, or does not answer
			return drift.Proven(differences), nil
		default:
			return nil, err
		}
	}
	return nil, nil
}

// fieldsOf are the fields that the server found invalid.
func fieldsOf(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var fields []string
	for _, c := range status.Status().Details.Causes {
		fields = append(fields, c.Field)
	}
	return fields
}

// live reads the object.
func (o releasedObject) live(ctx context.Context) (*unstructured.Unstructured, error) {
	if o.client == nil {
		return nil, errGone
	}
	live, err := o.client.Get(ctx, o.want.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && live.GetDeletionTimestamp() != nil {
		return nil, errGone
	}
	return live, err
}

// mend is the merge patch that puts the differences right.
func (o releasedObject) mend(live *unstructured.Unstructured, differences []drift.Difference) map[string]any {
	return drift.MergePatch(live.Object, drift.Repaired(o.want.Object, live.Object, differences))
}

func (o releasedObject) patch(ctx context.Context, patch map[string]any, dryRun ...string) (*unstructured.Unstructured, error) {
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("writing a patch: %w", err)
	}
	return o.client.Patch(ctx, o.want.GetName(), types.MergePatchType, raw, metav1.PatchOptions{FieldManager: helmManager, DryRun: dryRun})
}
