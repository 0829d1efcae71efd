package kubetest

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const (
	maxBody   = 3 << 20 // etcd's limit as seen by clients
	maxSecret = 1 << 20 // the sum of a Secret's data
)

func (s *Server) serveResource(w http.ResponseWriter, r *http.Request, at place) {
	s.mu.Lock()
	res, known := s.lookup(at.gv, at.resource)
	s.mu.Unlock()
	if !known || (at.subresource != "" && at.subresource != "status") {
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeStatus(w, status(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "Request entity too large: limit is 3145728"))
		return
	}
	if at.verb == "watch" {
		s.watch(w, r, at, res)
		return
	}
	answer, code, st := s.do(r, at, res, body)
	if st != nil {
		writeStatus(w, st)
		return
	}
	writeJSON(w, code, project(r, answer))
}

func (s *Server) do(r *http.Request, at place, res resource, body []byte) (object, int, *metav1.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{at.namespace, at.name}
	switch at.verb {
	case "list":
		list, st := s.list(r, at, res)
		return list, http.StatusOK, st
	case "get":
		obj, st := s.get(res, k)
		return obj, http.StatusOK, st
	case "create":
		obj, st := s.create(r, at, res, body)
		return obj, http.StatusCreated, st
	case "update":
		obj, st := s.update(r, at, res, body)
		return obj, http.StatusOK, st
	case "patch":
		return s.patch(r, at, res, body)
	case "delete":
		obj, st := s.delete(r, res, k, body)
		return obj, http.StatusOK, st
	case "deletecollection":
		list, st := s.list(r, at, res)
		if st != nil {
			return nil, 0, st
		}
		for _, item := range list["items"].([]any) {
			m := item.(object)
			s.remove(res.gvr(), key{str(m, "metadata", "namespace"), str(m, "metadata", "name")})
		}
		return object{"kind": "Status", "apiVersion": "v1", "status": "Success"}, http.StatusOK, nil
	}
	return nil, 0, status(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "method not allowed")
}

func (s *Server) get(res resource, k key) (object, *metav1.Status) {
	obj, ok := s.objects[res.gvr()][k]
	if !ok {
		return nil, notFound(res, k.name)
	}
	return obj, nil
}

func (s *Server) create(r *http.Request, at place, res resource, body []byte) (object, *metav1.Status) {
	obj, st := decode(r, body)
	if st != nil {
		return nil, st
	}
	name := str(obj, "metadata", "name")
	if name == "" && str(obj, "metadata", "generateName") != "" {
		name = str(obj, "metadata", "generateName") + strings.ToLower(rand.Text()[:5])
	}
	if name == "" {
		return nil, invalid(res, "", "metadata.name: Required value: name or generateName is required")
	}
	k := key{at.namespace, name}
	if _, exists := s.objects[res.gvr()][k]; exists {
		st := status(http.StatusConflict, metav1.StatusReasonAlreadyExists, "%s %q already exists", groupResource(res), name)
		st.Details = details(res, name)
		return nil, st
	}
	if st := s.needsNamespace(res, at.namespace); st != nil {
		return nil, st
	}
	return s.write(r, res, k, obj)
}

func (s *Server) update(r *http.Request, at place, res resource, body []byte) (object, *metav1.Status) {
	obj, st := decode(r, body)
	if st != nil {
		return nil, st
	}
	k := key{at.namespace, at.name}
	before, st := s.get(res, k)
	if st != nil {
		return nil, st
	}
	if st := conflicts(res, obj, before); st != nil {
		return nil, st
	}
	if at.subresource == "status" {
		next := runtime.DeepCopyJSON(before)
		next["status"] = obj["status"]
		return s.store(res, k, next), nil
	}
	return s.write(r, res, k, obj)
}

func (s *Server) patch(r *http.Request, at place, res resource, body []byte) (object, int, *metav1.Status) {
	k := key{at.namespace, at.name}
	before, st := s.get(res, k)
	kind := types.PatchType(strings.SplitN(r.Header.Get("Content-Type"), ";", 2)[0])
	if st != nil && kind != types.ApplyYAMLPatchType {
		return nil, 0, st
	}
	code := http.StatusOK
	if st != nil {
		if st := s.needsNamespace(res, at.namespace); st != nil {
			return nil, 0, st
		}
		before, code = nil, http.StatusCreated
	}
	next, err := applyPatch(kind, res, before, body)
	if err != nil {
		return nil, 0, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "applying the patch: %v", err)
	}
	if before != nil {
		if st := conflicts(res, next, before); st != nil {
			return nil, 0, st
		}
		if at.subresource == "status" {
			merged := runtime.DeepCopyJSON(before)
			merged["status"] = next["status"]
			return s.store(res, k, merged), code, nil
		}
		if equal(next, before) {
			return before, code, nil
		}
	}
	obj, st := s.write(r, res, k, next)
	return obj, code, st
}

// applyPatch returns a new object. Server-side apply is a plain merge here: no ownership, no removal of fields.
func applyPatch(kind types.PatchType, res resource, before object, patch []byte) (object, error) {
	if before == nil {
		before = object{}
	}
	raw, err := utiljson.Marshal(before)
	if err != nil {
		return nil, err
	}
	switch kind {
	case types.JSONPatchType:
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(patch); err == nil {
			raw, err = p.Apply(raw)
		}
	case types.StrategicMergePatchType:
		typed, unknown := scheme.Scheme.New(res.GroupVersionKind)
		if unknown != nil {
			raw, err = jsonpatch.MergePatch(raw, patch)
			break
		}
		raw, err = strategicpatch.StrategicMergePatch(raw, patch, typed)
	case types.ApplyYAMLPatchType:
		if patch, err = yaml.YAMLToJSON(patch); err == nil {
			raw, err = jsonpatch.MergePatch(raw, patch)
		}
	default:
		raw, err = jsonpatch.MergePatch(raw, patch)
	}
	if err != nil {
		return nil, err
	}
	next := object{}
	return next, utiljson.Unmarshal(raw, &next)
}

func (s *Server) delete(r *http.Request, res resource, k key, body []byte) (object, *metav1.Status) {
	obj, st := s.get(res, k)
	if st != nil {
		return nil, st
	}
	var opts metav1.DeleteOptions
	if len(body) > 0 {
		decoded, st := decode(r, body)
		if st != nil {
			return nil, st
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(decoded, &opts); err != nil {
			return nil, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "decoding the options: %v", err)
		}
	}
	if p := opts.Preconditions; p != nil {
		wrongVersion := p.ResourceVersion != nil && *p.ResourceVersion != str(obj, "metadata", "resourceVersion")
		wrongUID := p.UID != nil && string(*p.UID) != str(obj, "metadata", "uid")
		if wrongVersion || wrongUID {
			return nil, conflict(res, k.name, "Precondition failed")
		}
	}
	if len(opts.DryRun) == 0 && r.URL.Query().Get("dryRun") == "" {
		s.remove(res.gvr(), k)
	}
	return object{"kind": "Status", "apiVersion": "v1", "status": "Success"}, nil
}

// write stores what a client sent, with the status that the cluster's controllers would give it.
func (s *Server) write(r *http.Request, res resource, k key, obj object) (object, *metav1.Status) {
	before := s.objects[res.gvr()][k]
	if st := checkSecret(res, k, obj); st != nil {
		return nil, st
	}
	if before != nil && before["status"] != nil {
		obj["status"] = runtime.DeepCopyJSONValue(before["status"])
	} else if before == nil {
		delete(obj, "status")
	}
	s.identify(obj, before)
	settle(res, obj, !s.notReady)
	if r.URL.Query().Get("dryRun") == "All" {
		return obj, nil
	}
	return s.store(res, k, obj), nil
}

func checkSecret(res resource, k key, obj object) *metav1.Status {
	if res.Kind != "Secret" || res.Group != "" {
		return nil
	}
	for name, value := range asMap(obj["stringData"]) {
		text, _ := value.(string)
		set(obj, base64Text([]byte(text)), "data", name)
	}
	delete(obj, "stringData")
	size := 0
	for _, value := range asMap(obj["data"]) {
		text, _ := value.(string)
		size += base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text, "=")
	}
	if size > maxSecret {
		return invalid(res, k.name, "data: Too long: may not be more than 1048576 bytes")
	}
	return nil
}

func (s *Server) needsNamespace(res resource, namespace string) *metav1.Status {
	if !res.Namespaced {
		return nil
	}
	for gvr, objects := range s.objects {
		if _, ok := objects[key{"", namespace}]; ok && gvr.Resource == "namespaces" {
			return nil
		}
	}
	st := status(http.StatusNotFound, metav1.StatusReasonNotFound, "namespaces %q not found", namespace)
	st.Details = &metav1.StatusDetails{Name: namespace, Kind: "namespaces"}
	return st
}

// decode reads a body in JSON or, as the typed clients send it, in Kubernetes' protobuf.
func decode(r *http.Request, body []byte) (object, *metav1.Status) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), runtime.ContentTypeProtobuf) {
		typed, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		if err != nil {
			return nil, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "decoding the body: %v", err)
		}
		obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
		if err != nil {
			return nil, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "decoding the body: %v", err)
		}
		return normalise(obj), nil
	}
	obj := object{}
	if err := utiljson.Unmarshal(body, &obj); err != nil {
		return nil, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "decoding the body: %v", err)
	}
	return obj, nil
}

// conflicts is the optimistic lock: an object that names a resourceVersion must name the stored one.
func conflicts(res resource, obj, before object) *metav1.Status {
	if v := str(obj, "metadata", "resourceVersion"); v != "" && v != str(before, "metadata", "resourceVersion") {
		return conflict(res, str(before, "metadata", "name"), "the object has been modified; please apply your changes to the latest version and try again")
	}
	return nil
}

func conflict(res resource, name, why string) *metav1.Status {
	st := status(http.StatusConflict, metav1.StatusReasonConflict, "Operation cannot be fulfilled on %s %q: %s", groupResource(res), name, why)
	st.Details = details(res, name)
	return st
}

func notFound(res resource, name string) *metav1.Status {
	st := status(http.StatusNotFound, metav1.StatusReasonNotFound, "%s %q not found", groupResource(res), name)
	st.Details = details(res, name)
	return st
}

func invalid(res resource, name, why string) *metav1.Status {
	st := status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "%s %q is invalid: %s", res.Kind, name, why)
	st.Details = details(res, name)
	return st
}

func details(res resource, name string) *metav1.StatusDetails {
	return &metav1.StatusDetails{Name: name, Group: res.Group, Kind: res.Plural}
}

func groupResource(res resource) string { return res.gvr().GroupResource().String() }

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// project reduces an answer to its metadata if the client asked for no more.
func project(r *http.Request, obj object) object {
	if !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		return obj
	}
	items, isList := obj["items"].([]any)
	if !isList {
		return object{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
	}
	items = slices.Clone(items)
	for i, item := range items {
		items[i] = object{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item.(object)["metadata"]}
	}
	return object{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"], "items": items}
}
