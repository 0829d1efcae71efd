package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/run"
)

// kept remembers the target.
type kept struct {
	*memory
	target run.Target
}

func (s *kept) FindTarget(context.Context, string, string, string) (run.Target, error) {
	return s.target, nil
}

func (s *kept) UpdateTarget(_ context.Context, _, _ string, t run.Target) error {
	s.target = t
	return nil
}

// An object that is no more in the chart and that the cluster does not let go is no failure, and the target says that it is there.
func TestWhatMayNotBeDeletedIsNamed(t *testing.T) {
	s := newFaulty(t)
	store := &kept{memory: s.memory}
	s.store = store
	s.next()
	s.server.Fail(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/configmaps/") {
			return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "configmaps is forbidden: no"}
		}
		return nil
	})
	s.deploy(t, s.handler, s.generation)
	if !store.target.LeftBehind || !strings.Contains(store.target.Warning, "is forbidden: no") || !strings.Contains(store.target.Warning, "web-") {
		t.Errorf("the target is %+v", store.target)
	}
	s.server.Fail(nil)
	store.target = run.Target{}
	s.next()
	s.deploy(t, s.handler, s.generation)
	if store.target.Warning != "" || store.target.LeftBehind {
		t.Errorf("the next target is %+v", store.target)
	}
}
