package kube

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/swell-sh/swell/shared/health"
)

// watched are the kinds of Kubernetes itself that can be not ready, with their resources, so that they need no discovery.
//
// Not here on purpose: Services of type LoadBalancer and Ingresses, whose address comes from a controller outside the
// cluster, which many clusters do not have; a release without one works inside the cluster. HorizontalPodAutoscalers and
// PodDisruptionBudgets do no work of their own. Who wants them looked at says so by a health check.
var watched = map[schema.GroupKind]kind{
	{Group: "apps", Kind: "Deployment"}:                               {resource: "deployments", pods: true},
	{Group: "apps", Kind: "StatefulSet"}:                              {resource: "statefulsets", pods: true},
	{Group: "apps", Kind: "DaemonSet"}:                                {resource: "daemonsets", pods: true},
	{Group: "apps", Kind: "ReplicaSet"}:                               {resource: "replicasets", pods: true},
	{Group: "batch", Kind: "Job"}:                                     {resource: "jobs", pods: true},
	{Kind: "Pod"}:                                                     {resource: "pods"},
	{Kind: "PersistentVolumeClaim"}:                                   {resource: "persistentvolumeclaims"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {resource: "customresourcedefinitions", cluster: true},
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             {resource: "apiservices", cluster: true},
}

type kind struct {
	resource string
	cluster  bool
	pods     bool // it has a selector of pods
}

// builtIn are the groups of Kubernetes itself under k8s.io; those without a dot are all its own.
var builtIn = map[string]bool{
	"admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true, "authentication.k8s.io": true,
	"authorization.k8s.io": true, "certificates.k8s.io": true, "coordination.k8s.io": true, "discovery.k8s.io": true, "events.k8s.io": true,
	"flowcontrol.apiserver.k8s.io": true, "networking.k8s.io": true, "node.k8s.io": true, "rbac.authorization.k8s.io": true,
	"resource.k8s.io": true, "scheduling.k8s.io": true, "storage.k8s.io": true,
}

// canBeNotReady: the watched kinds, and every custom one: its status tells by kstatus' conventions, and what has no status passes.
func canBeNotReady(gk schema.GroupKind) bool {
	_, known := watched[gk]
	return known || custom(gk)
}

func custom(gk schema.GroupKind) bool { return strings.Contains(gk.Group, ".") && !builtIn[gk.Group] }

// check is one object on its way from the manifest to its state.
type check struct {
	kind  kind
	gvr   schema.GroupVersionResource
	rules Rules // nil: kstatus judges
	live  *unstructured.Unstructured
	state ObjectState
}

// checks finds the objects that are looked at. Kinds that are not Kubernetes' own cost one discovery.
func (c *Client) checks(manifest []byte, namespace string, rules Rules) ([]*check, error) {
	wanted := canBeNotReady
	if rules != nil {
		wanted = nil // a rule may be about any kind
	}
	objects, err := parse(manifest, wanted)
	if err != nil {
		return nil, err
	}
	var checks []*check
	for _, u := range objects {
		if u.GetNamespace() == "" {
			u.SetNamespace(namespace)
		}
		covered := rules != nil && rules.Covers(u.GroupVersionKind(), u.GetNamespace(), u.GetName())
		if u.GetName() == "" || !covered && !canBeNotReady(u.GroupVersionKind().GroupKind()) {
			continue
		}
		check, err := c.newCheck(u)
		if err != nil {
			return nil, err
		}
		if covered {
			check.rules = rules
		}
		checks = append(checks, check)
	}
	if rules == nil {
		return checks, nil
	}
	for _, name := range rules.Unmatched(objects) { // it would be ignored
		checks = append(checks, &check{state: ObjectState{
			Kind: "health check of", Name: name, State: status.FailedStatus.String(), Message: "the release has no such object", Code: health.CodeHealthCheckUnmatched,
		}})
	}
	return checks, nil
}

func (c *Client) newCheck(u *unstructured.Unstructured) (*check, error) {
	gvk := u.GroupVersionKind()
	check := &check{state: ObjectState{Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}}
	if k, known := watched[gvk.GroupKind()]; known {
		check.kind, check.gvr = k, gvk.GroupVersion().WithResource(k.resource)
	} else {
		mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case meta.IsNoMatchError(err):
			if err := c.hidden(gvk.GroupVersion()); err != nil {
				return nil, err
			}
			check.state.State, check.state.Message = status.NotFoundStatus.String(), "the cluster does not serve its kind"
			return check, nil
		case err != nil:
			return nil, fmt.Errorf("finding the resource of %s: %w", gvk.Kind, Classify(err))
		}
		check.gvr, check.kind.cluster = mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameRoot
	}
	if check.kind.cluster {
		check.state.Namespace = ""
	}
	return check, nil
}
