package kubetest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// filter is a list's or a watch's selection.
type filter struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

func newFilter(r *http.Request, at place) (filter, *metav1.Status) {
	byLabel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return filter{}, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "labelSelector: %v", err)
	}
	byField, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		return filter{}, status(http.StatusBadRequest, metav1.StatusReasonBadRequest, "fieldSelector: %v", err)
	}
	if at.name != "" { // a watch on one object
		byField = fields.OneTermEqualSelector("metadata.name", at.name)
	}
	return filter{at.namespace, byLabel, byField}, nil
}

func (f filter) matches(k key, obj object) bool {
	if f.namespace != "" && k.namespace != f.namespace {
		return false
	}
	has := labels.Set{}
	for name, value := range asMap(dig(obj, "metadata", "labels")) {
		has[name], _ = value.(string)
	}
	if !f.labels.Matches(has) {
		return false
	}
	for _, want := range f.fields.Requirements() {
		got := str(obj, strings.Split(want.Field, ".")...)
		if (got == want.Value) == (want.Operator == "!=") {
			return false
		}
	}
	return true
}

func (s *Server) list(r *http.Request, at place, res resource) (object, *metav1.Status) {
	f, st := newFilter(r, at)
	if st != nil {
		return nil, st
	}
	var keys []key
	for k, obj := range s.objects[res.gvr()] {
		if f.matches(k, obj) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	meta := object{"resourceVersion": strconv.FormatInt(s.version, 10)}
	if from, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("continue")); err == nil && len(from) > 0 {
		namespace, name, _ := strings.Cut(string(from), "/")
		keys = slices.DeleteFunc(keys, func(k key) bool { return compareKeys(k, key{namespace, name}) <= 0 })
	}
	if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && limit > 0 && len(keys) > limit {
		last := keys[limit-1]
		meta["continue"] = base64.RawURLEncoding.EncodeToString([]byte(last.namespace + "/" + last.name))
		meta["remainingItemCount"] = int64(len(keys) - limit)
		keys = keys[:limit]
	}
	items := make([]any, len(keys))
	for i, k := range keys {
		items[i] = s.objects[res.gvr()][k]
	}
	return object{"kind": res.Kind + "List", "apiVersion": res.GroupVersion().String(), "metadata": meta, "items": items}, nil
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// watch streams changes until the client goes or its timeout ends; with sendInitialEvents it starts with what is there.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, at place, res resource) {
	f, st := newFilter(r, at)
	if st != nil {
		writeStatus(w, st)
		return
	}
	query := r.URL.Query()
	from, _ := strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	initial := query.Get("sendInitialEvents") == "true"

	s.mu.Lock()
	var out []event
	if initial || from == 0 {
		for k, obj := range s.objects[res.gvr()] {
			out = append(out, event{s.version, "ADDED", res.gvr(), k, obj})
		}
		from = s.version
	}
	gone := len(s.events) > 0 && from < s.events[0].version-1
	s.mu.Unlock()
	if gone {
		writeStatus(w, status(http.StatusGone, metav1.StatusReasonExpired, "too old resource version: %d", from))
		return
	}
	if initial {
		out = append(out, event{from, "BOOKMARK", res.gvr(), key{}, bookmark(res, from)})
	}
	s.stream(w, r, res, f, out, from)
}

func bookmark(res resource, version int64) object {
	return object{"kind": res.Kind, "apiVersion": res.GroupVersion().String(), "metadata": object{
		"resourceVersion": strconv.FormatInt(version, 10), "annotations": object{"k8s.io/initial-events-end": "true"},
	}}
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, res resource, f filter, out []event, from int64) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	end := time.NewTimer(watchTimeout(r))
	defer end.Stop()
	for {
		for _, e := range out {
			if e.kind != "BOOKMARK" && !f.matches(e.key, e.object) {
				continue
			}
			raw, err := utiljson.Marshal(map[string]any{"type": e.kind, "object": project(r, e.object)})
			if err != nil {
				return
			}
			if _, err := w.Write(append(raw, '\n')); err != nil {
				return
			}
		}
		_ = http.NewResponseController(w).Flush()

		s.mu.Lock()
		out, from = s.since(res, from)
		changed := s.changed
		s.mu.Unlock()
		if len(out) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) since(res resource, from int64) ([]event, int64) {
	var out []event
	i, _ := slices.BinarySearchFunc(s.events, from+1, func(e event, v int64) int { return cmp.Compare(e.version, v) })
	for _, e := range s.events[i:] {
		if e.gvr == res.gvr() {
			out = append(out, e)
		}
	}
	return out, s.version
}

func watchTimeout(r *http.Request) time.Duration {
	if seconds, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds")); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return 30 * time.Minute
}
