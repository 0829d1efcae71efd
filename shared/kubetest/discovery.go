package kubetest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

var verbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

// discover answers /api, /apis, /api/v1 and /apis/<group>[/<version>], aggregated where the client asks for that.
func (s *Server) discover(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	all := s.resources()
	s.mu.Unlock()
	all = slices.Clone(all)
	slices.SortFunc(all, byName)

	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	core := parts[0] == "api"
	all = slices.DeleteFunc(all, func(res resource) bool { return (res.Group == "") != core })
	accept := r.Header.Get("Accept")
	switch {
	case len(parts) == 1 && strings.Contains(accept, "as=APIGroupDiscoveryList") && strings.Contains(accept, "v=v2"):
		w.Header().Set("Content-Type", aggregated)
		writeJSON(w, http.StatusOK, groupDiscovery(all))
	case len(parts) == 1 && core:
		writeJSON(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case len(parts) == 1:
		writeJSON(w, http.StatusOK, groupList(all))
	case core:
		writeJSON(w, http.StatusOK, resourceList(all, schema.GroupVersion{Version: parts[1]}))
	case len(parts) == 2:
		groups := groupList(all).Groups
		if i := slices.IndexFunc(groups, func(g metav1.APIGroup) bool { return g.Name == parts[1] }); i >= 0 {
			writeJSON(w, http.StatusOK, groups[i])
			return
		}
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "no such group"))
	default:
		list := resourceList(all, schema.GroupVersion{Group: parts[1], Version: parts[2]})
		if len(list.APIResources) == 0 {
			writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "no such group and version"))
			return
		}
		writeJSON(w, http.StatusOK, list)
	}
}

func byName(a, b resource) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Plural, b.Plural))
}

func groupDiscovery(all []resource) apidiscoveryv2.APIGroupDiscoveryList {
	list := apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/v2"}}
	for _, res := range all {
		if n := len(list.Items); n == 0 || list.Items[n-1].Name != res.Group {
			list.Items = append(list.Items, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: res.Group}})
		}
		group := &list.Items[len(list.Items)-1]
		if n := len(group.Versions); n == 0 || group.Versions[n-1].Version != res.Version {
			group.Versions = append(group.Versions, apidiscoveryv2.APIVersionDiscovery{Version: res.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent})
		}
		version := &group.Versions[len(group.Versions)-1]
		scope := apidiscoveryv2.ScopeCluster
		if res.Namespaced {
			scope = apidiscoveryv2.ScopeNamespace
		}
		version.Resources = append(version.Resources, apidiscoveryv2.APIResourceDiscovery{
			Resource: res.Plural, SingularResource: strings.ToLower(res.Kind), Scope: scope, Verbs: verbs,
			ResponseKind: &metav1.GroupVersionKind{Group: res.Group, Version: res.Version, Kind: res.Kind},
		})
	}
	return list
}

func groupList(all []resource) metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	for _, res := range all {
		version := metav1.GroupVersionForDiscovery{GroupVersion: res.GroupVersion().String(), Version: res.Version}
		if n := len(list.Groups); n == 0 || list.Groups[n-1].Name != res.Group {
			list.Groups = append(list.Groups, metav1.APIGroup{
				TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: res.Group, PreferredVersion: version,
			})
		}
		group := &list.Groups[len(list.Groups)-1]
		if !slices.Contains(group.Versions, version) {
			group.Versions = append(group.Versions, version)
		}
	}
	return list
}

func resourceList(all []resource, gv schema.GroupVersion) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String()}
	for _, res := range all {
		if res.GroupVersion() == gv {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: res.Plural, SingularName: strings.ToLower(res.Kind), Namespaced: res.Namespaced, Kind: res.Kind, Verbs: verbs,
			})
		}
	}
	return list
}

// openapi says just enough for kubectl's libraries to leave validation to the server: every type's PATCH takes fieldValidation.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	all := s.resources()
	s.mu.Unlock()
	docs := map[string]map[string]any{}
	for _, res := range all {
		at := "apis/" + res.GroupVersion().String()
		if res.Group == "" {
			at = "api/" + res.Version
		}
		if docs[at] == nil {
			docs[at] = map[string]any{}
		}
		docs[at]["/"+at+"/"+res.Plural+"/{name}"] = map[string]any{"patch": map[string]any{
			"parameters":                      []any{map[string]any{"name": "fieldValidation", "in": "query", "schema": map[string]any{"type": "string"}}},
			"responses":                       map[string]any{},
			"x-kubernetes-group-version-kind": map[string]any{"group": res.Group, "version": res.Version, "kind": res.Kind},
		}}
	}
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/openapi/v3"), "/")
	if path == "" && strings.HasPrefix(r.URL.Path, "/openapi/v3") {
		index := map[string]any{}
		for at := range docs {
			index[at] = map[string]any{"serverRelativeURL": "/openapi/v3/" + at + "?hash=1"}
		}
		writeJSON(w, http.StatusOK, map[string]any{"paths": index})
		return
	}
	if docs[path] == nil {
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "no such document"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"openapi": "3.0.0", "info": map[string]any{"title": "Kubernetes", "version": s.opts.Version}, "paths": docs[path],
	})
}
