package drift

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// claim is what one manager owns of a place in an object, as metadata.managedFields tells. Nothing beneath: it owns the place whole.
type claim struct {
	manager string
	class   class
	scales  bool // by the subresource that autoscalers use
	at      time.Time
	fields  map[string]any
}

func (c claim) leaf() bool { return len(c.fields) == 0 }

// whole says whether the manager owns the place itself, and not only something beneath it.
func (c claim) whole() bool {
	_, itself := c.fields["."]
	return itself || c.leaf()
}

func (c claim) to(fields any) claim {
	c.fields, _ = fields.(map[string]any)
	return c
}

// claimsOf are the claims on an object. Who writes the status owns nothing that a manifest says.
func claimsOf(live map[string]any) []claim {
	entries, _ := at(live, "metadata", "managedFields").([]any)
	var claims []claim
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		fields, _ := entry["fieldsV1"].(map[string]any)
		if text(entry, "subresource") == "status" || len(fields) == 0 {
			continue
		}
		written, _ := time.Parse(time.RFC3339, text(entry, "time"))
		claims = append(claims, claim{manager: text(entry, "manager"), scales: text(entry, "subresource") == "scale", at: written, fields: fields})
	}
	return claims
}

// markerOf is who wrote the mark by which Helm knows its objects.
func markerOf(live map[string]any, claims []claim) string {
	if text(live, "metadata", "annotations", "meta.helm.sh/release-name") == "" {
		return ""
	}
	owners := ofField(ofField(ofField(claims, "metadata"), "annotations"), "meta.helm.sh/release-name")
	if len(owners) == 0 {
		return ""
	}
	return owners[0].manager
}

func ofField(claims []claim, name string) []claim {
	return narrow(claims, func(key string) bool { return key == "f:"+name })
}

func ofItem(claims []claim, index int, item any) []claim {
	return narrow(claims, func(key string) bool {
		kind, rest, _ := strings.Cut(key, ":")
		switch kind {
		case "i":
			return rest == strconv.Itoa(index)
		case "v":
			var value any
			return json.Unmarshal([]byte(rest), &value) == nil && Equal(item, value)
		case "k":
			var keys map[string]any
			fields, ok := item.(map[string]any)
			return ok && json.Unmarshal([]byte(rest), &keys) == nil && matches(fields, keys)
		}
		return false
	})
}

func matches(fields, keys map[string]any) bool {
	for k, v := range keys {
		if !Equal(fields[k], v) {
			return false
		}
	}
	return true
}

// narrow are the claims one step deeper. Who owns a place whole owns what is in it, unless somebody owns a part of it: then the place
// is one whose parts are owned apart, and was empty when it was claimed.
func narrow(claims []claim, step func(key string) bool) []claim {
	apart := slices.ContainsFunc(claims, func(c claim) bool { return !c.leaf() })
	var deeper []claim
	for _, c := range claims {
		if c.leaf() {
			if !apart {
				deeper = append(deeper, c)
			}
			continue
		}
		for key, fields := range c.fields {
			if step(key) {
				deeper = append(deeper, c.to(fields))
				break
			}
		}
	}
	return deeper
}

// isSet says whether the server keeps a list of values without order.
func isSet(claims []claim) bool {
	return slices.ContainsFunc(claims, func(c claim) bool {
		for key := range c.fields {
			if strings.HasPrefix(key, "v:") {
				return true
			}
		}
		return false
	})
}

// class is what kind of hand a manager is.
type class int

const (
	unknown    class = iota
	ours             // who writes the release
	person           // somebody's hand
	deployer         // another tool that delivers
	controller       // the cluster's own work
)

// Managers are named after their program, as far as its first slash. The lists hold beginnings of names in small letters.
var (
	writers = []string{"helm", "swell"}
	people  = []string{
		"kubectl", "k9s", "lens", "openlens", "freelens", "node-fetch", "headlamp", "octant", "dashboard", "mozilla", "oc", "curl", "wget",
		"python", "openapi-generator", "fabric8", "okteto", "skaffold", "tilt", "telepresence",
	}
	deployers = []string{
		"go-http-client", // also early releases of Helm 3
		"terraform", "hashicorp", "pulumi", "ansible", "kustomize", "flux", "kustomize-controller", "helm-controller", "argocd", "fleetagent", "fleet-agent",
	}
	controllers = []string{
		"kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "kube-addon-manager", "cloud-controller-manager", "k3s", "kubelite",
		"local-kubernetes", "cainjector", "cert-manager", "kube-webhook-certgen", "admissionsenforcer", "istiod", "pilot-discovery", "linkerd", "keda",
		"vpa", "cluster-autoscaler", "cluster-proportional-autoscaler", "cilium", "velero", "external-dns", "manager", "controller", "operator",
	}
	// controllerEnds are ends that only controllers' names have.
	controllerEnds = []string{"-controller", "-controller-manager", "-manager", "-operator", "-autoscaler", "-injector"}
)

func (r *Rules) classify(manager string) class {
	name := strings.ToLower(manager)
	switch {
	case slices.Contains(writers, name):
		return ours
	case begins(people, name):
		return person
	case begins(deployers, name):
		return deployer
	case begins(controllers, name), r.brings(name),
		slices.ContainsFunc(controllerEnds, func(end string) bool { return strings.HasSuffix(name, end) }):
		return controller
	}
	return unknown
}

// begins says whether the name is one of the list, alone or with more words after it.
func begins(list []string, name string) bool {
	return slices.ContainsFunc(list, func(word string) bool {
		rest, ok := strings.CutPrefix(name, word)
		return ok && (rest == "" || strings.ContainsAny(rest[:1], "-_. "))
	})
}
