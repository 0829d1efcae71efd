//go:build stack

package kube_test

import intent "github.com/swell-sh/swell/shared/deployment"

type seen struct {
	writes []write
	want   []string
}

const web = "Deployment/web"

// one is one write and the one finding it must give.
func one(object, manager, patch, op, path string) seen {
	want := op + " " + object
	if path != "" {
		want += " " + path
	}
	return seen{[]write{{object, manager, "", patch}}, []string{want}}
}

func container(patch string) string {
	return `{"spec":{"template":{"spec":{"containers":[{"name":"web",` + patch + `}]}}}}`
}

func podSpec(patch string) string { return `{"spec":{"template":{"spec":{` + patch + `}}}}` }

const webContainer = "spec.template.spec.containers[name=web]"

var mustBeSeen = map[string]seen{
	"image changed":   one(web, "kubectl-set", container(`"image":"example.com/web:2"`), "changed", webContainer+".image"),
	"replicas scaled": {[]write{{web, "kubectl", "scale", `{"spec":{"replicas":5}}`}}, []string{"changed Deployment/web spec.replicas"}},
	"replicas of a StatefulSet scaled": {[]write{{"StatefulSet/db", "kubectl", "scale", `{"spec":{"replicas":2}}`}},
		[]string{"changed StatefulSet/db spec.replicas"}},
	"env added":              one(web, "kubectl-set", container(`"env":[{"name":"X","value":"1"}]`), "added", webContainer+".env[name=X]"),
	"env changed":            one(web, "kubectl-edit", container(`"env":[{"name":"A","value":"2"}]`), "changed", webContainer+".env[name=A].value"),
	"env removed":            one(web, "kubectl-edit", container(`"env":[{"name":"A","$patch":"delete"}]`), "removed", webContainer+".env[name=A]"),
	"args added":             one(web, "kubectl-edit", container(`"args":["serve","--quiet","--debug"]`), "added", webContainer+".args[2]"),
	"limit changed":          one(web, "kubectl-set", container(`"resources":{"limits":{"memory":"2Gi"}}`), "changed", webContainer+".resources.limits.memory"),
	"limits where none were": one("DaemonSet/agent", "kubectl-set", podSpec(`"containers":[{"name":"agent","resources":{"limits":{"cpu":"1"}}}]`), "added", "spec.template.spec.containers[name=agent].resources.limits"),
	"service account, and its alias": {[]write{{web, "kubectl-set", "", podSpec(`"serviceAccountName":"web"`)}},
		[]string{"added Deployment/web spec.template.spec.serviceAccount", "added Deployment/web spec.template.spec.serviceAccountName"}},
	"request removed":       one(web, "kubectl-edit", container(`"resources":{"requests":{"cpu":null}}`), "removed", webContainer+".resources.requests.cpu"),
	"sidecar added":         one(web, "kubectl-edit", podSpec(`"containers":[{"name":"side","image":"example.com/side:1"}]`), "added", "spec.template.spec.containers[name=side]"),
	"init container added":  one(web, "mallory", podSpec(`"initContainers":[{"name":"first","image":"example.com/side:1"}]`), "added", "spec.template.spec.initContainers"),
	"volume added":          one(web, "k9s", podSpec(`"volumes":[{"name":"host","hostPath":{"path":"/"}}]`), "added", "spec.template.spec.volumes[name=host]"),
	"nodeSelector added":    one(web, "node-fetch", podSpec(`"nodeSelector":{"disk":"ssd"}`), "added", "spec.template.spec.nodeSelector"),
	"hostAliases added":     one(web, "kubectl-edit", podSpec(`"hostAliases":[{"ip":"10.0.0.1","hostnames":["x"]}]`), "added", "spec.template.spec.hostAliases"),
	"probe removed":         one(web, "kubectl-edit", container(`"livenessProbe":null`), "removed", webContainer+".livenessProbe"),
	"probe's default":       one(web, "kubectl-edit", container(`"livenessProbe":{"periodSeconds":99}`), "added", webContainer+".livenessProbe.periodSeconds"),
	"a default overridden":  one(web, "kubectl-patch", podSpec(`"terminationGracePeriodSeconds":1`), "added", "spec.template.spec.terminationGracePeriodSeconds"),
	"privileged":            one(web, "curl", container(`"securityContext":{"privileged":true}`), "changed", webContainer+".securityContext.privileged"),
	"host network":          one(web, "OpenAPI-Generator", podSpec(`"shareProcessNamespace":true`), "added", "spec.template.spec.shareProcessNamespace"),
	"label of pods added":   one(web, "kubectl-edit", `{"spec":{"template":{"metadata":{"labels":{"x":"y"}}}}}`, "added", "spec.template.metadata.labels.x"),
	"label added":           one("Service/web", "kubectl-label", `{"metadata":{"labels":{"x":"y"}}}`, "added", "metadata.labels.x"),
	"annotation changed":    one(web, "kubectl-annotate", `{"metadata":{"annotations":{"example.com/team":"red"}}}`, "changed", `metadata.annotations["example.com/team"]`),
	"annotation removed":    one(web, "kubectl-annotate", `{"metadata":{"annotations":{"example.com/team":null}}}`, "removed", `metadata.annotations["example.com/team"]`),
	"service port changed":  one("Service/web", "kubectl-edit", `[{"op":"replace","path":"/spec/ports/0/port","value":81}]`, "changed", "spec.ports[name=http].port"),
	"selector changed":      one("Service/web", "kubectl-edit", `{"spec":{"selector":{"app":"other"}}}`, "changed", "spec.selector.app"),
	"selector narrowed":     one("Service/web", "kubectl-edit", `{"spec":{"selector":{"track":"canary"}}}`, "added", "spec.selector.track"),
	"config changed":        one("ConfigMap/settings", "kubectl-edit", `{"data":{"color":"red"}}`, "changed", "data.color"),
	"config added":          one("ConfigMap/settings", "HashiCorp", `{"data":{"more":"1"}}`, "added", "data.more"),
	"config deleted":        one("ConfigMap/settings", "kubectl-edit", `{"data":{"empty":null}}`, "removed", "data.empty"),
	"secret changed":        one("Secret/key", "kubectl-edit", `{"data":{"password":"Zmlyc3Qy"}}`, "changed", "data.password"),
	"secret added":          one("Secret/key", "kubectl-edit", `{"data":{"more":"Zmlyc3Qy"}}`, "added", "data.more"),
	"object deleted":        one("ConfigMap/spare", "", "", "missing", ""),
	"workload deleted":      one("DaemonSet/agent", "", "", "missing", ""),
	"role widened":          one("Role/web", "kubectl-edit", `[{"op":"add","path":"/rules/-","value":{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}}]`, "added", "rules[1]"),
	"verb added":            one("Role/web", "kubectl-edit", `[{"op":"add","path":"/rules/0/verbs/-","value":"delete"}]`, "added", "rules[0].verbs[1]"),
	"subject added":         one("RoleBinding/web", "kubectl-edit", `[{"op":"add","path":"/subjects/-","value":{"kind":"ServiceAccount","name":"evil","namespace":"default"}}]`, "added", "subjects[name=evil]"),
	"host changed":          one("Ingress/web", "kubectl-edit", `[{"op":"replace","path":"/spec/rules/0/host","value":"evil.example.com"}]`, "changed", "spec.rules[0].host"),
	"tls added":             one("Ingress/web", "kubectl-edit", `{"spec":{"tls":[{"hosts":["a"],"secretName":"b"}]}}`, "added", "spec.tls"),
	"policy rule removed":   one("NetworkPolicy/web", "kubectl-edit", `[{"op":"remove","path":"/spec/ingress/1"}]`, "removed", "spec.ingress[1]"),
	"policy widened":        one("NetworkPolicy/web", "kubectl-edit", `[{"op":"add","path":"/spec/ingress/0/from/0/namespaceSelector","value":{}}]`, "added", "spec.ingress[0].from[0].namespaceSelector"),
	"egress added":          one("NetworkPolicy/web", "kubectl-edit", `{"spec":{"egress":[{}]}}`, "added", "spec.egress"),
	"disruption budget":     one("PodDisruptionBudget/web", "kubectl-patch", `{"spec":{"minAvailable":0}}`, "changed", "spec.minAvailable"),
	"autoscaler's bound":    one("HorizontalPodAutoscaler/auto", "kubectl-edit", `{"spec":{"maxReplicas":50}}`, "changed", "spec.maxReplicas"),
	"schedule changed":      one("CronJob/night", "kubectl-edit", `{"spec":{"schedule":"* * * * *"}}`, "changed", "spec.schedule"),
	"job suspended":         one("CronJob/night", "kubectl-patch", `{"spec":{"suspend":true}}`, "added", "spec.suspend"),
	"toleration added":      one("DaemonSet/agent", "kubectl-edit", podSpec(`"tolerations":[{"key":"example.com/a","operator":"Exists"},{"key":"example.com/b","operator":"Exists"}]`), "added", `spec.template.spec.tolerations[key="example.com/b"]`),
	"token mounted":         one("ServiceAccount/web", "kubectl-edit", `{"automountServiceAccountToken":null}`, "removed", "automountServiceAccountToken"),
	"webhook ignored":       one("ValidatingWebhookConfiguration/NAMESPACE", "kubectl-edit", `{"webhooks":[{"name":"check.swell.test","failurePolicy":"Ignore"}]}`, "added", `webhooks[name="check.swell.test"].failurePolicy`),
	"custom field changed":  one("DriftWidget/one", "kubectl-edit", `{"spec":{"size":4}}`, "changed", "spec.size"),
	"custom field added":    one("DriftWidget/one", "kubectl-edit", `{"spec":{"mode":"fast"}}`, "added", "spec.mode"),
	"custom list shortened": one("DriftWidget/one", "kubectl-edit", `{"spec":{"steps":[{"do":"wash"}]}}`, "removed", "spec.steps[1]"),
	"applied by a person on the server": one("ConfigMap/settings", "kubectl",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: red}\n", "changed", "data.color"),
	"service exposed": {[]write{{"Service/web", "kubectl-edit", "", `{"spec":{"type":"NodePort"}}`}}, []string{"added Service/web spec.externalTrafficPolicy", "added Service/web spec.type"}},
	"two hands at once": {[]write{
		{web, "kubectl-set", "", container(`"image":"example.com/web:2","env":[{"name":"X","value":"1"}]`)},
		{web, "k9s", "", container(`"args":["serve"]`)},
	}, []string{"added Deployment/web " + webContainer + ".env[name=X]", "changed Deployment/web " + webContainer + ".image", "removed Deployment/web " + webContainer + ".args[1]"}},
}

type unseen struct {
	writes []write
	ignore []intent.Ignore
	undo   []write
}

func quiet(object, manager, patch string) unseen {
	return unseen{writes: []write{{object, manager, "", patch}}}
}

// What an installation itself brings about is in here too, without a write: defaults, quantities in another unit, fields that are empty or
// false, stringData, a cluster IP, bound volumes and their finalizers, labels of Jobs' pods, tokens, Namespaces' labels, a CRD's status.
var mustNotBeSeen = map[string]unseen{
	"a new release":      {},
	"HPA of the release": {writes: []write{{"Deployment/auto", "kube-controller-manager", "scale", `{"spec":{"replicas":4}}`}}},
	"HPA of somebody else": {writes: []write{{"StatefulSet/db", "kube-controller-manager", "scale", `{"spec":{"replicas":2}}`}},
		undo: []write{{"StatefulSet/db", "helm", "", `{"spec":{"replicas":1}}`}}},
	"KEDA": {writes: []write{{"StatefulSet/db", "keda", "scale", `{"spec":{"replicas":2}}`}},
		undo: []write{{"StatefulSet/db", "helm", "", `{"spec":{"replicas":1}}`}}},
	"caBundle of a webhook":    quiet("ValidatingWebhookConfiguration/NAMESPACE", "cainjector", `{"webhooks":[{"name":"check.swell.test","clientConfig":{"caBundle":"Y2E="}}]}`),
	"caBundle by a person":     quiet("ValidatingWebhookConfiguration/NAMESPACE", "kubectl-patch", `{"webhooks":[{"name":"check.swell.test","clientConfig":{"caBundle":"Y2I="}}]}`),
	"caBundle of a conversion": quiet("CustomResourceDefinition/driftgadgets.swell.test", "cert-manager-cainjector", `{"spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":"PEM"}}}}}`),
	"a cloud's webhook selector": quiet("ValidatingWebhookConfiguration/NAMESPACE", "admissionsenforcer",
		`{"webhooks":[{"name":"check.swell.test","namespaceSelector":{"matchExpressions":[{"key":"control-plane","operator":"DoesNotExist"}]}}]}`),
	"status":                             {writes: []write{{web, "stranger", "status", `{"status":{"observedGeneration":1}}`}, {"DriftWidget/one", "stranger", "", `{"status":{"phase":"Ready"}}`}}},
	"revision":                           quiet(web, "kube-controller-manager", `{"metadata":{"annotations":{"deployment.kubernetes.io/revision":"9"}}}`),
	"restart":                            quiet(web, "kubectl-rollout", `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`),
	"restart of what had no annotations": quiet("StatefulSet/db", "kubectl-rollout", `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`),
	"last applied":                       quiet("ConfigMap/settings", "kubectl-client-side-apply", `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`),
	"token secret":                       quiet("ServiceAccount/web", "openshift-controller-manager", `{"secrets":[{"name":"web-token"}],"imagePullSecrets":[{"name":"web-docker"}]}`),
	"token secret of an unknown":         quiet("ServiceAccount/web", "stranger", `{"secrets":[{"name":"web-token-2"}]}`),
	"finalizer of a controller": {writes: []write{{"PersistentVolumeClaim/data", "stranger", "", `{"metadata":{"finalizers":["example.com/hold"]}}`}},
		undo: []write{{"PersistentVolumeClaim/data", "stranger", "", `{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/hold"]}}`}}},
	"label of a custom resource":           quiet("DriftWidget/one", "stranger", `{"metadata":{"labels":{"stranger":"1"}}}`),
	"completed by an operator":             quiet("DriftWidget/one", "manager", `{"spec":{"mode":"late"}}`),
	"items completed by an operator":       quiet("DriftWidget/one", "stranger", `{"spec":{"steps":[{"do":"wash","retries":3},{"do":"dry","retries":3}]}}`),
	"annotation of a controller":           quiet(web, "stranger", `{"metadata":{"annotations":{"acme/seen":"1"}},"spec":{"template":{"metadata":{"annotations":{"acme/sum":"1"}}}}}`),
	"there and back":                       {writes: []write{{web, "kubectl-edit", "", container(`"image":"example.com/web:2"`)}, {web, "kubectl-edit", "", container(`"image":"example.com/web:1"`)}}},
	"default there and back":               {writes: []write{{web, "kubectl-edit", "", podSpec(`"terminationGracePeriodSeconds":1`)}, {web, "kubectl-edit", "", podSpec(`"terminationGracePeriodSeconds":30`)}}},
	"added and removed":                    {writes: []write{{web, "kubectl-set", "", container(`"env":[{"name":"X","value":"1"}]`)}, {web, "kubectl-set", "", container(`"env":[{"name":"X","$patch":"delete"}]`)}}},
	"a default said aloud":                 quiet("StatefulSet/db", "kubectl", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {template: {spec: {restartPolicy: Always}}}\n"),
	"the manifest's own spelled otherwise": quiet(web, "kubectl-edit", container(`"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m","memory":"500Mi"}}`)),
	"ignored": {writes: []write{{web, "kubectl-set", "", container(`"image":"example.com/web:3"`)}}, ignore: []intent.Ignore{{Kind: "Deployment", Path: "spec.template.spec.containers[*].image"}},
		undo: []write{{web, "helm", "", container(`"image":"example.com/web:1"`)}}},
	"ignored within what was added": {writes: []write{{"Ingress/web", "kubectl-annotate", "", `{"metadata":{"labels":{"ours":"1"}}}`}}, ignore: []intent.Ignore{{Name: "web", Path: "metadata.labels.ours"}},
		undo: []write{{"Ingress/web", "helm", "", `{"metadata":{"labels":{"ours":null}}}`}}},
	"ignored object": {writes: []write{{object: "ConfigMap/spare", manager: "kubectl", patch: `{"data":{"a":"c"}}`}}, ignore: []intent.Ignore{{Kind: "ConfigMap", Name: "spare"}},
		undo: []write{{object: "ConfigMap/spare", manager: "kubectl", patch: `{"data":{"a":"b"}}`}}},
	"leader":                           quiet("Lease/leader", "stranger", `{"spec":{"holderIdentity":"one"}}`),
	"leader in a ConfigMap":            quiet("ConfigMap/leader", "stranger", `{"metadata":{"annotations":{"control-plane.alpha.kubernetes.io/leader":"{}"}}}`),
	"a Secret filled":                  quiet("Secret/filled", "stranger", `{"data":{"tls.crt":"Y2E="}}`),
	"written by what the release runs": quiet("ConfigMap/settings", "AcmeOperator", `{"data":{"found":"1"}}`),
	"labels of a Namespace":            quiet("Namespace/NAMESPACE-other", "stranger", `{"metadata":{"labels":{"stranger":"1"}}}`),
}
