package kube

import (
	"encoding/base64"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// canonical spells an object as a server that keeps it would: a quantity of 1000m is 1, stringData is data, an empty field of
// Kubernetes' own types is none. Helm overwrites one label. What this does not know, a dry run decides.
func canonical(u *unstructured.Unstructured) {
	if labels := u.GetLabels(); labels[managedBy] != "" {
		labels[managedBy] = "Helm"
		u.SetLabels(labels)
	}
	encode(u)
	typed, err := scheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return // a kind that this client does not know
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err != nil {
		return
	}
	if spelled, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed); err == nil {
		u.Object, _ = spell(u.Object, spelled).(map[string]any)
	}
}

// spell returns raw in the spelling of typed, without the empty fields that typed leaves out. A field that typed does not know stays.
func spell(raw, typed any) any {
	switch raw := raw.(type) {
	case map[string]any:
		fields, ok := typed.(map[string]any)
		if !ok {
			return typed
		}
		spelled := make(map[string]any, len(raw))
		for k, v := range raw {
			if known, ok := fields[k]; ok {
				spelled[k] = spell(v, known)
			} else if !empty(v) {
				spelled[k] = v
			}
		}
		return spelled
	case []any:
		items, ok := typed.([]any)
		if !ok || len(items) != len(raw) {
			return typed
		}
		spelled := make([]any, len(raw))
		for i := range raw {
			spelled[i] = spell(raw[i], items[i])
		}
		return spelled
	}
	return typed
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case int64:
		return v == 0
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, item := range v {
			if !empty(item) {
				return false
			}
		}
		return true
	}
	return false
}

// encode moves a Secret's stringData to where the server keeps it.
func encode(u *unstructured.Unstructured) {
	plain, ok := u.Object["stringData"].(map[string]any)
	if !ok || u.GetKind() != "Secret" || u.GetAPIVersion() != "v1" {
		return
	}
	data, _ := u.Object["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	for k, v := range plain {
		if s, ok := v.(string); ok {
			data[k] = base64.StdEncoding.EncodeToString([]byte(s))
		}
	}
	delete(u.Object, "stringData")
	u.Object["data"] = data
}
