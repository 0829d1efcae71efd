package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const broken = 7 // of the objects, the first two of them by deletion

// breakObjects is what a person does to the release's objects.
func (s *faulty) breakObjects() {
	for i, o := range s.server.Objects("configmaps")[:broken] {
		if i < 2 {
			s.server.Remove("configmaps", key.Namespace, o["metadata"].(map[string]any)["name"].(string))
			continue
		}
		o["data"].(map[string]any)["text"] = "by hand"
		s.server.Put(o)
	}
}

// A repair meets a fault at its k-th request. It fails with a cause or succeeds; the next run puts right what is left, and there is never a new revision.
func TestFaultAtEachRequestOfARepair(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFaulty(t)
			points := 0
			for k := firstPoint(); ; k += int64(*every) {
				s.breakObjects()
				if !s.meets(t, fault, k) {
					break
				}
				s.recovers(t, fmt.Sprintf("request %d", k))
				if n := len(s.history(t, s.handler)); n != 1 {
					t.Fatalf("request %d: there are %d revisions", k, n)
				}
				points++
			}
			t.Logf("%s: %d points, then repaired by the same run: %s", name, points, s.outcomes())
		})
	}
}

// Somebody writes to every object at the k-th request of a repair: his label stays, whether it came before, between or after the repair's writes.
func TestChangeAtEachRequestOfARepair(t *testing.T) {
	s := newFaulty(t)
	all := s.server.Objects("configmaps")
	points := 0
	for k := firstPoint(); ; k += int64(*every) {
		s.breakObjects()
		mark := fmt.Sprint(k)
		someone := fault{codes: []string{"drift-remains"}, on: func(_ context.Context, _ *http.Request, late bool) *metav1.Status {
			if late {
				return nil
			}
			for _, o := range all { // those that were deleted are there again
				now := s.server.Get("configmaps", key.Namespace, o["metadata"].(map[string]any)["name"].(string))
				if now == nil {
					now = map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"text": "made anew"},
						"metadata": map[string]any{"name": o["metadata"].(map[string]any)["name"], "namespace": key.Namespace}}
				}
				labels, _ := now["metadata"].(map[string]any)["labels"].(map[string]any)
				if labels == nil {
					labels = map[string]any{}
				}
				labels["seen"] = mark
				now["metadata"].(map[string]any)["labels"] = labels
				s.server.Put(now)
			}
			return nil
		}}
		if !s.meets(t, someone, k) {
			break
		}
		s.recovers(t, fmt.Sprintf("request %d", k))
		for _, o := range s.server.Objects("configmaps") {
			if labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any); labels["seen"] != mark {
				t.Errorf("request %d: the label that was written to %v meanwhile is lost", k, o["metadata"])
			}
		}
		points++
	}
	t.Logf("%d points, somebody writes to all objects at each: %s", points, s.outcomes())
}
