package kubetest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// object is a stored object. It is never changed once stored: a write stores another, so that readers need no copy.
type object = map[string]any

type key struct{ namespace, name string }

type event struct {
	version int64
	kind    string // ADDED, MODIFIED or DELETED
	gvr     schema.GroupVersionResource
	key     key
	object  object
}

// keptEvents bounds the memory that a long bench needs; a watch from before them gets 410 Gone, as on a real server.
const keptEvents = 20_000

// Put stores an object as it is, status included, whatever was there before. Metadata that is missing is filled in.
// It is for tests that set the scene: a Pod that cannot be pulled, a Deployment that never became ready.
func (s *Server) Put(obj map[string]any) {
	obj = normalise(obj)
	gvk := schema.FromAPIVersionAndKind(str(obj, "apiVersion"), str(obj, "kind"))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, res := range s.resources() {
		if res.GroupVersionKind == gvk {
			if res.Kind == "Namespace" && str(obj, "metadata", "name") == "kube-system" {
				set(obj, s.opts.UID, "metadata", "uid")
			}
			k := key{str(obj, "metadata", "namespace"), str(obj, "metadata", "name")}
			s.store(res, k, obj)
			return
		}
	}
}

// Get returns a copy of an object of that resource (plural), or nil.
func (s *Server) Get(resource, namespace, name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gvr, objects := range s.objects {
		if obj, ok := objects[key{namespace, name}]; ok && gvr.Resource == resource {
			return runtime.DeepCopyJSON(obj)
		}
	}
	return nil
}

// Len is the number of objects of that resource (plural) in all namespaces.
func (s *Server) Len(resource string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for gvr, objects := range s.objects {
		if gvr.Resource == resource {
			n += len(objects)
		}
	}
	return n
}

// Objects returns copies of all objects of these resources (plural).
func (s *Server) Objects(resources ...string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	for gvr, objects := range s.objects {
		if !slices.Contains(resources, gvr.Resource) {
			continue
		}
		for _, obj := range objects {
			all = append(all, runtime.DeepCopyJSON(obj))
		}
	}
	return all
}

// Remove deletes an object without a request.
func (s *Server) Remove(resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gvr, objects := range s.objects {
		if _, ok := objects[key{namespace, name}]; ok && gvr.Resource == resource {
			s.remove(gvr, key{namespace, name})
		}
	}
}

// store writes obj, sets what a server sets, and tells the watches. The caller holds the lock and gives obj away.
func (s *Server) store(res resource, k key, obj object) object {
	before := s.objects[res.gvr()][k]
	s.version++
	set(obj, res.GroupVersion().String(), "apiVersion")
	set(obj, res.Kind, "kind")
	set(obj, k.name, "metadata", "name")
	if res.Namespaced {
		set(obj, k.namespace, "metadata", "namespace")
	}
	set(obj, strconv.FormatInt(s.version, 10), "metadata", "resourceVersion")
	s.identify(obj, before)
	s.keep(event{s.version, "", res.gvr(), k, obj}, before)
	return obj
}

// identify keeps what an object never loses, and counts its generations.
func (s *Server) identify(obj, before object) {
	if before == nil {
		setDefault(obj, uuid.NewString(), "metadata", "uid")
		setDefault(obj, time.Now().UTC().Format(time.RFC3339), "metadata", "creationTimestamp")
		if _, hasSpec := obj["spec"]; hasSpec {
			setDefault(obj, int64(1), "metadata", "generation")
		}
		return
	}
	set(obj, str(before, "metadata", "uid"), "metadata", "uid")
	set(obj, str(before, "metadata", "creationTimestamp"), "metadata", "creationTimestamp")
	if _, hasSpec := obj["spec"]; hasSpec {
		generation := number(before, "metadata", "generation")
		if !equal(obj["spec"], before["spec"]) {
			generation++
		}
		set(obj, max(generation, 1), "metadata", "generation")
	}
}

func (s *Server) keep(e event, before object) {
	e.kind = "MODIFIED"
	if before == nil {
		e.kind = "ADDED"
	}
	if s.objects[e.gvr] == nil {
		s.objects[e.gvr] = map[key]object{}
	}
	s.objects[e.gvr][e.key] = e.object
	s.tell(e)
}

func (s *Server) remove(gvr schema.GroupVersionResource, k key) {
	obj := runtime.DeepCopyJSON(s.objects[gvr][k])
	delete(s.objects[gvr], k)
	s.version++
	set(obj, strconv.FormatInt(s.version, 10), "metadata", "resourceVersion")
	s.tell(event{s.version, "DELETED", gvr, k, obj})
	if gvr.Resource == "namespaces" && gvr.Group == "" {
		for other, objects := range s.objects {
			for in := range objects {
				if in.namespace == k.name {
					s.remove(other, in)
				}
			}
		}
	}
}

func (s *Server) tell(e event) {
	s.events = append(s.events, e)
	if len(s.events) > keptEvents {
		s.events = append([]event(nil), s.events[len(s.events)-keptEvents/2:]...)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// normalise makes a copy with the number types that unstructured objects have.
func normalise(obj map[string]any) object {
	raw, err := utiljson.Marshal(obj)
	if err != nil {
		return object{}
	}
	out := object{}
	_ = utiljson.Unmarshal(raw, &out)
	return out
}

func equal(a, b any) bool {
	rawA, errA := utiljson.Marshal(a)
	rawB, errB := utiljson.Marshal(b)
	return errA == nil && errB == nil && string(rawA) == string(rawB)
}

func dig(obj map[string]any, path ...string) any {
	var at any = obj
	for _, p := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[p]
	}
	return at
}

func str(obj map[string]any, path ...string) string {
	v, _ := dig(obj, path...).(string)
	return v
}

func slice(obj map[string]any, path ...string) []any {
	v, _ := dig(obj, path...).([]any)
	return v
}

func number(obj map[string]any, path ...string) int64 {
	switch v := dig(obj, path...).(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	}
	return 0
}

func set(obj map[string]any, value any, path ...string) {
	for _, p := range path[:len(path)-1] {
		next, ok := obj[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			obj[p] = next
		}
		obj = next
	}
	obj[path[len(path)-1]] = value
}

func setDefault(obj map[string]any, value any, path ...string) {
	if dig(obj, path...) == nil {
		set(obj, value, path...)
	}
}

func base64Text(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func status(code int32, reason metav1.StatusReason, format string, args ...any) *metav1.Status {
	return &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func writeStatus(w http.ResponseWriter, st *metav1.Status) {
	st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	if st.Code == 0 {
		st.Code = http.StatusInternalServerError
	}
	if st.Status == "" {
		st.Status = metav1.StatusFailure
	}
	writeJSON(w, int(st.Code), st)
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	raw, err := utiljson.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(code)
	_, _ = bytes.NewReader(raw).WriteTo(w)
}
