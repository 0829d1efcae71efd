package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/swell-sh/swell/shared/health"
	"github.com/swell-sh/swell/shared/problem"
)

// parallel bounds the requests that one client has under way: enough to hide a round trip, few enough for a small API server.
const parallel = 16

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// NamespaceTerminatingError is a namespace that is being deleted: nothing can be created in it until it is gone.
type NamespaceTerminatingError struct {
	Namespace string
}

func (e *NamespaceTerminatingError) Error() string {
	return fmt.Sprintf("namespace %s is being deleted", e.Namespace)
}

// ErrorName is the error's name in state machines.
func (*NamespaceTerminatingError) ErrorName() string { return "NamespaceTerminating" }

// EnsureNamespace makes the namespace unless it is there. It reads first, so that the usual path writes nothing.
func (c *Client) EnsureNamespace(ctx context.Context, name string) (created bool, err error) {
	client := c.typed.CoreV1().Namespaces()
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil && found.Status.Phase == corev1.NamespaceTerminating:
		return false, &NamespaceTerminatingError{Namespace: name}
	case err == nil:
		return false, nil
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("reading namespace %s: %w", name, Classify(err))
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = client.Create(ctx, namespace, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("creating namespace %s: %w", name, Classify(err))
	}
	return err == nil, nil
}

// ApplyCRDs creates those of the manifests' CustomResourceDefinitions that are missing and returns the names of all. Like
// Helm it never changes or deletes one that is there: it may belong to another release, and its removal takes its objects along.
func (c *Client) ApplyCRDs(ctx context.Context, manifests []byte) (names []string, err error) {
	objects, err := parse(manifests, nil)
	if err != nil {
		return nil, err
	}
	for _, u := range objects {
		if u.GroupVersionKind() != definitions.GroupVersion().WithKind("CustomResourceDefinition") || u.GetName() == "" {
			return nil, problem.Invalid("chart-crds-unsupported", "the chart's crds folder holds %s %q, which is no CustomResourceDefinition of apiextensions.k8s.io/v1",
				orUnknown(u.GetKind()), u.GetName())
		}
		names = append(names, u.GetName())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, u := range objects {
		group.Go(func() error { return c.createCRD(ctx, u) })
	}
	return names, group.Wait()
}

func orUnknown(kind string) string {
	if kind == "" {
		return "an object"
	}
	return kind
}

func (c *Client) createCRD(ctx context.Context, u *unstructured.Unstructured) error {
	// Only the metadata: the usual answer is that it exists, and a definition may be a megabyte.
	_, err := c.metadata.Resource(definitions).Get(ctx, u.GetName(), metav1.GetOptions{})
	if err == nil {
		return nil
	}
	if apierrors.IsNotFound(err) {
		_, err = c.dynamic.Resource(definitions).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating CRD %s: %w", u.GetName(), Classify(err))
	}
	return nil
}

// CRDsEstablished says whether the server serves all of these types, and if so makes the client see them. It returns the
// names that are not yet served; one that can never be is an error.
func (c *Client) CRDsEstablished(ctx context.Context, names []string) (waiting []string, err error) {
	pending := make([]bool, len(names))
	group, getCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, name := range names {
		group.Go(func() error {
			u, err := c.dynamic.Resource(definitions).Get(getCtx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				pending[i] = true
				return nil
			}
			if err != nil {
				return fmt.Errorf("reading CRD %s: %w", name, Classify(err))
			}
			result := health.Status(u)
			if result.Status == status.FailedStatus {
				return problem.Conflict("crd-refused", "the cluster does not serve CRD %s: %s", name, result.Message)
			}
			pending[i] = result.Status != status.CurrentStatus
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, name := range names {
		if pending[i] {
			waiting = append(waiting, name)
		}
	}
	if len(waiting) > 0 || len(names) == 0 {
		return waiting, nil
	}
	c.Refresh()
	return c.unserved(ctx, names)
}

// unserved are the types, named as their CRDs, that discovery does not have yet: it follows what is established a moment later.
func (c *Client) unserved(ctx context.Context, names []string) ([]string, error) {
	cached := discovery.ToCachedDiscoveryInterfaceWithContext(c.discovery.CachedDiscoveryInterface)
	_, lists, err := cached.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("discovering the cluster's types: %w", Classify(err))
	}
	served := map[string]bool{}
	for _, list := range lists {
		group, _, _ := strings.Cut(list.GroupVersion, "/")
		for _, r := range list.APIResources {
			served[r.Name+"."+group] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return served[name] }), nil
}
