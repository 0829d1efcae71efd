package drift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/diff"
)

// Rules tell drift from a cluster's own work, for one release.
//
// A field of the manifest that live has otherwise, or not at all, is drift unless an ignore rule or the table below names it, a
// controller owns it, or it is the replicas of a workload that the release scales automatically.
//
// A field that the manifest does not have is drift if its owner is a person's tool or another deployer; or if its owner is not known,
// the kind is Kubernetes' own, and the field is neither metadata nor in an object that is there to be filled by others.
type Rules struct {
	namespace string
	ignored   []rule
	scaled    map[named]bool // by an autoscaler of the release
	programs  []string       // that the release runs, in small letters without signs
}

type named struct{ kind, namespace, name string }

type rule struct {
	named // empty fields match everything

	path  diff.Pattern
	added bool // only where the manifest does not have the field
}

// always and given hold what a cluster does by itself: to any field, and to fields that the manifest does not have.
var (
	always = []deployment.Ignore{
		{Path: "status"},
		{Path: "metadata.managedFields"}, {Path: "metadata.resourceVersion"}, {Path: "metadata.uid"}, {Path: "metadata.generation"},
		{Path: "metadata.creationTimestamp"}, {Path: "metadata.deletionTimestamp"}, {Path: "metadata.deletionGracePeriodSeconds"},
		{Path: "metadata.selfLink"}, {Path: "metadata.namespace"}, {Path: "metadata.generateName"}, {Path: "metadata.ownerReferences"},
		{Kind: "ValidatingWebhookConfiguration", Path: "webhooks[*].clientConfig.caBundle"},
		{Kind: "MutatingWebhookConfiguration", Path: "webhooks[*].clientConfig.caBundle"},
		{Kind: "CustomResourceDefinition", Path: "spec.conversion.webhook.clientConfig.caBundle"},
		{Kind: "APIService", Path: "spec.caBundle"},
		{Kind: "Lease", Path: "spec"}, {Kind: "Endpoints", Path: "subsets"}, {Kind: "EndpointSlice", Path: "endpoints"},
	}
	given = []deployment.Ignore{
		{Kind: "Service", Path: "spec.clusterIP"}, {Kind: "Service", Path: "spec.clusterIPs"}, {Kind: "Service", Path: "spec.ipFamilies"},
		{Kind: "Service", Path: "spec.ipFamilyPolicy"}, {Kind: "Service", Path: "spec.healthCheckNodePort"},
		{Kind: "Service", Path: "spec.ports[*].nodePort"},
		{Kind: "PersistentVolumeClaim", Path: "spec.volumeName"},
		{Kind: "Namespace", Path: "spec.finalizers"},
	}
)

// notes are annotations, and beginnings of annotations, that tools leave on objects and pod templates. A restart is wanted work.
var notes = []string{
	"kubectl.kubernetes.io/last-applied-configuration", "kubectl.kubernetes.io/restartedAt", "kubernetes.io/change-cause",
	"deployment.kubernetes.io/", "deprecated.daemonset.template.generation", "pv.kubernetes.io/", "volume.kubernetes.io/",
	"volume.beta.kubernetes.io/", "autoscaling.alpha.kubernetes.io/", "control-plane.alpha.kubernetes.io/", "endpoints.kubernetes.io/", "meta.helm.sh/",
}

// NewRules reads the ignore rules, and from the release's objects what scales and what runs. Namespace is the release's.
func NewRules(objects []map[string]any, namespace string, options Options) (*Rules, error) {
	r := &Rules{namespace: namespace, scaled: map[named]bool{}}
	for _, i := range slices.Concat(always, options.Ignore) {
		if err := r.add(i, false); err != nil {
			return nil, err
		}
	}
	for _, i := range given {
		if err := r.add(i, true); err != nil {
			return nil, err
		}
	}
	for _, o := range objects {
		r.learn(o)
	}
	return r, nil
}

// add takes a rule without a path for one of whole objects.
func (r *Rules) add(i deployment.Ignore, added bool) error {
	one := rule{named: named{kind: i.Kind, namespace: i.Namespace, name: i.Name}, added: added}
	if i.Path != "" {
		var err error
		if one.path, err = diff.Parse(i.Path); err != nil {
			return fmt.Errorf("reading an ignore rule: %w", err)
		}
	}
	r.ignored = append(r.ignored, one)
	return nil
}

// learn takes note of what an autoscaler scales (every kind of autoscaler names it alike), and of what a workload runs.
func (r *Rules) learn(o map[string]any) {
	if target, ok := at(o, "spec", "scaleTargetRef").(map[string]any); ok {
		kind := text(target, "kind")
		if kind == "" {
			kind = "Deployment" // KEDA's default
		}
		r.scaled[named{kind: kind, namespace: r.identify(o).namespace, name: text(target, "name")}] = true
	}
	if slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, text(o, "kind")) {
		r.programs = append(r.programs, letters(text(o, "metadata", "name")))
		containers, _ := at(o, "spec", "template", "spec", "containers").([]any)
		for _, c := range containers {
			container, _ := c.(map[string]any)
			image := text(container, "image")
			image = image[strings.LastIndex(image, "/")+1:]
			image, _, _ = strings.Cut(image, "@")
			image, _, _ = strings.Cut(image, ":")
			r.programs = append(r.programs, letters(image), letters(text(container, "name")))
		}
	}
}

// brings says whether the release itself runs a program of that name: what it adds to the release's objects is its work.
func (r *Rules) brings(manager string) bool {
	name := letters(manager)
	return len(name) >= 4 && slices.ContainsFunc(r.programs, func(p string) bool { return strings.Contains(p, name) })
}

func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(s))
}

// identify names an object; one that says no namespace has the release's, for it may be needed to match an autoscaler.
func (r *Rules) identify(o map[string]any) named {
	id := named{kind: text(o, "kind"), namespace: text(o, "metadata", "namespace"), name: text(o, "metadata", "name")}
	if id.namespace == "" {
		id.namespace = r.namespace
	}
	return id
}

// IgnoresObject says whether a rule without a path names the object.
func (r *Rules) IgnoresObject(o map[string]any) bool {
	id := r.identify(o)
	return slices.ContainsFunc(r.ignored, func(one rule) bool { return len(one.path) == 0 && one.names(id) })
}

// MayBeGone says whether the cluster itself deletes the object some time after its end.
func MayBeGone(want map[string]any) bool {
	return text(want, "kind") == "Job" && at(want, "spec", "ttlSecondsAfterFinished") != nil
}

func (r *Rules) ignores(o named, path diff.Path, added bool) bool {
	if isNote(path) || r.autoscaled(o, path) {
		return true
	}
	matches := func(one rule) bool { return (added || !one.added) && one.names(o) && one.path.Matches(path) }
	return slices.ContainsFunc(r.ignored, matches)
}

// ignoresBeneath says whether something that lies deeper is ignored.
func (r *Rules) ignoresBeneath(o named, path diff.Path) bool {
	if path[len(path)-1].Field == "annotations" {
		return true
	}
	deeper := func(one rule) bool {
		return len(one.path) > len(path) && one.names(o) && one.path[:len(path)].Matches(path)
	}
	return slices.ContainsFunc(r.ignored, deeper)
}

func (r rule) names(o named) bool {
	return (r.kind == "" || r.kind == o.kind) && (r.namespace == "" || r.namespace == o.namespace) && (r.name == "" || r.name == o.name)
}

func isNote(path diff.Path) bool {
	last := len(path) - 1
	if last < 1 || path[last-1].Field != "annotations" {
		return false
	}
	return slices.ContainsFunc(notes, func(note string) bool {
		return path[last].Field == note || strings.HasSuffix(note, "/") && strings.HasPrefix(path[last].Field, note)
	})
}

func (r *Rules) autoscaled(o named, path diff.Path) bool {
	return path.String() == "spec.replicas" && r.scaled[o]
}

// isFilled says whether an object is there to be completed by controllers of any name.
func isFilled(want map[string]any) bool {
	switch text(want, "kind") {
	case "ServiceAccount", "CustomResourceDefinition", "APIService", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim":
		return true
	case "Secret", "ConfigMap":
		return want["data"] == nil && want["binaryData"] == nil
	}
	return !builtIn(text(want, "apiVersion"))
}

// counts says whether a field that the manifest does not have is drift because of who owns it.
func (w *walk) counts(at diff.Path, c claim) bool {
	switch c.class {
	case person, deployer:
		return true
	case unknown:
		return !w.filled && !slices.ContainsFunc(at, func(s diff.Step) bool { return s.Field == "metadata" })
	}
	return false
}

// builtIn says whether a type is Kubernetes' own. Controllers complete custom resources.
func builtIn(apiVersion string) bool {
	group, _, grouped := strings.Cut(apiVersion, "/")
	return !grouped || !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") && !strings.HasSuffix(group, ".x-k8s.io")
}
