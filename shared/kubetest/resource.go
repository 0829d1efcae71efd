package kubetest

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resource is one type that the server knows.
type resource struct {
	schema.GroupVersionKind
	Plural     string
	Namespaced bool
}

func (r resource) gvr() schema.GroupVersionResource {
	return r.GroupVersion().WithResource(r.Plural)
}

// builtIn lists the usual types: group/version, then Kind:plural, with a leading ! for cluster scope.
var builtIn = parseResources(map[string]string{
	"v1": `!Namespace:namespaces !Node:nodes !PersistentVolume:persistentvolumes Pod:pods Service:services ConfigMap:configmaps
		Secret:secrets ServiceAccount:serviceaccounts PersistentVolumeClaim:persistentvolumeclaims Event:events Endpoints:endpoints
		ReplicationController:replicationcontrollers LimitRange:limitranges ResourceQuota:resourcequotas`,
	"apps/v1":                         `Deployment:deployments StatefulSet:statefulsets DaemonSet:daemonsets ReplicaSet:replicasets`,
	"batch/v1":                        `Job:jobs CronJob:cronjobs`,
	"autoscaling/v2":                  `HorizontalPodAutoscaler:horizontalpodautoscalers`,
	"policy/v1":                       `PodDisruptionBudget:poddisruptionbudgets`,
	"networking.k8s.io/v1":            `Ingress:ingresses NetworkPolicy:networkpolicies !IngressClass:ingressclasses`,
	"rbac.authorization.k8s.io/v1":    `Role:roles RoleBinding:rolebindings !ClusterRole:clusterroles !ClusterRoleBinding:clusterrolebindings`,
	"storage.k8s.io/v1":               `!StorageClass:storageclasses`,
	"scheduling.k8s.io/v1":            `!PriorityClass:priorityclasses`,
	"coordination.k8s.io/v1":          `Lease:leases`,
	"discovery.k8s.io/v1":             `EndpointSlice:endpointslices`,
	"apiextensions.k8s.io/v1":         `!CustomResourceDefinition:customresourcedefinitions`,
	"apiregistration.k8s.io/v1":       `!APIService:apiservices`,
	"admissionregistration.k8s.io/v1": `!MutatingWebhookConfiguration:mutatingwebhookconfigurations !ValidatingWebhookConfiguration:validatingwebhookconfigurations`,
})

func parseResources(table map[string]string) []resource {
	var all []resource
	for groupVersion, kinds := range table {
		gv, _ := schema.ParseGroupVersion(groupVersion)
		for _, entry := range strings.Fields(kinds) {
			name, cluster := strings.CutPrefix(entry, "!")
			kind, plural, _ := strings.Cut(name, ":")
			all = append(all, resource{GroupVersionKind: gv.WithKind(kind), Plural: plural, Namespaced: !cluster})
		}
	}
	return all
}

// resources are the built-in types and those of the stored CustomResourceDefinitions. The caller holds the lock.
func (s *Server) resources() []resource {
	all := builtIn
	for _, crd := range s.objects[crdGVR] {
		all = append(all[:len(all):len(all)], ofDefinition(crd)...)
	}
	return all
}

var crdGVR = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func ofDefinition(crd object) []resource {
	var all []resource
	for _, version := range slice(crd, "spec", "versions") {
		v, ok := version.(map[string]any)
		if !ok || v["served"] == false {
			continue
		}
		gv := schema.GroupVersion{Group: str(crd, "spec", "group"), Version: str(v, "name")}
		all = append(all, resource{
			GroupVersionKind: gv.WithKind(str(crd, "spec", "names", "kind")),
			Plural:           str(crd, "spec", "names", "plural"),
			Namespaced:       str(crd, "spec", "scope") == "Namespaced",
		})
	}
	return all
}

func (s *Server) lookup(gv schema.GroupVersion, plural string) (resource, bool) {
	for _, r := range s.resources() {
		if r.GroupVersion() == gv && r.Plural == plural {
			return r, true
		}
	}
	return resource{}, false
}
