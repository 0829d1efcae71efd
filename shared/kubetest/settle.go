package kubetest

import "time"

// settle gives obj the status that a cluster's controllers would give it: at once if ready, else the status of a workload
// whose pods never started. The spec's defaults that decide readiness are filled in.
func settle(res resource, obj object, ready bool) {
	generation := max(number(obj, "metadata", "generation"), 1)
	switch res.Kind {
	case "Namespace":
		set(obj, "Active", "status", "phase")
	case "CustomResourceDefinition":
		set(obj, []any{condition("NamesAccepted", "True", "NoConflicts"), condition("Established", "True", "InitialNamesAccepted")}, "status", "conditions")
	case "APIService":
		set(obj, []any{condition("Available", "True", "Passed")}, "status", "conditions")
	case "PersistentVolumeClaim":
		set(obj, phase(ready, "Bound", "Pending"), "status", "phase")
	case "Service":
		settleService(obj, ready)
	case "Pod":
		settlePod(obj, ready)
	case "Job":
		settleJob(obj, ready)
	case "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet":
		obj["status"] = workload(res.Kind, obj, generation, ready)
	}
}

func workload(kind string, obj object, generation int64, ready bool) object {
	if kind != "DaemonSet" {
		setDefault(obj, int64(1), "spec", "replicas")
	}
	want := int64(1)
	if kind != "DaemonSet" {
		want = number(obj, "spec", "replicas")
	}
	have := want
	if !ready {
		have = 0
	}
	available := condition("Available", phase(ready, "True", "False"), phase(ready, "MinimumReplicasAvailable", "MinimumReplicasUnavailable"))
	switch kind {
	case "DaemonSet":
		return object{
			"observedGeneration": generation, "desiredNumberScheduled": want, "currentNumberScheduled": want, "updatedNumberScheduled": want,
			"numberReady": have, "numberAvailable": have, "numberUnavailable": want - have, "numberMisscheduled": int64(0),
		}
	case "StatefulSet":
		return object{
			"observedGeneration": generation, "replicas": want, "readyReplicas": have, "availableReplicas": have, "currentReplicas": want,
			"updatedReplicas": want, "currentRevision": "rev-1", "updateRevision": "rev-1",
		}
	case "ReplicaSet":
		return object{
			"observedGeneration": generation, "replicas": want, "readyReplicas": have, "availableReplicas": have, "fullyLabeledReplicas": want,
		}
	}
	progressing := condition("Progressing", "True", phase(ready, "NewReplicaSetAvailable", "ReplicaSetUpdated"))
	return object{
		"observedGeneration": generation, "replicas": want, "updatedReplicas": want, "readyReplicas": have, "availableReplicas": have,
		"unavailableReplicas": want - have, "conditions": []any{available, progressing},
	}
}

func settleJob(obj object, ready bool) {
	setDefault(obj, int64(1), "spec", "completions")
	setDefault(obj, int64(1), "spec", "parallelism")
	now := time.Now().UTC().Format(time.RFC3339)
	if !ready {
		obj["status"] = object{"active": int64(1), "startTime": now}
		return
	}
	obj["status"] = object{
		"startTime": now, "completionTime": now, "succeeded": number(obj, "spec", "completions"),
		"conditions": []any{condition("Complete", "True", "CompletionsReached")},
	}
}

func settlePod(obj object, ready bool) {
	switch {
	case !ready:
		obj["status"] = object{"phase": "Pending"}
	case str(obj, "spec", "restartPolicy") == "Never":
		obj["status"] = object{"phase": "Succeeded"}
	default:
		obj["status"] = object{"phase": "Running", "conditions": []any{condition("Ready", "True", "")}}
	}
}

func settleService(obj object, ready bool) {
	setDefault(obj, "ClusterIP", "spec", "type")
	if str(obj, "spec", "type") != "ExternalName" {
		setDefault(obj, "10.0.0.1", "spec", "clusterIP")
	}
	obj["status"] = object{"loadBalancer": object{}}
	if ready && str(obj, "spec", "type") == "LoadBalancer" {
		set(obj, []any{object{"ip": "192.0.2.1"}}, "status", "loadBalancer", "ingress")
	}
}

func condition(kind, value, reason string) object {
	return object{"type": kind, "status": value, "reason": reason, "lastTransitionTime": time.Now().UTC().Format(time.RFC3339), "message": ""}
}

func phase(ready bool, yes, no string) string {
	if ready {
		return yes
	}
	return no
}
