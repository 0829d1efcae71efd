//go:build stack

package main

import (
	"net/http"
	"testing"

	"github.com/swell-sh/swell/shared/dynamo"
)

// What others of the group depend on is removed only by force.
func TestWhatIsNeededIsNotRemoved(t *testing.T) {
	s := newScene(t)
	group, _, err := s.store.ListDeployments(t.Context(), "default", "g", dynamo.Page{})
	must(t, err)
	for _, d := range group {
		if d.ReleaseName != "web" {
			d.DependsOn = []string{"web"}
			_, err := s.store.SetDeployment(t.Context(), d, d.Version)
			must(t, err)
		}
	}
	const web = "/clustergroups/g/deployments/web"
	if status, code := s.ask(t, http.MethodDelete, web, "", nil); status != http.StatusConflict || code != "deployment-needed" {
		t.Errorf("answered %d %s", status, code)
	}
	if status, code := s.ask(t, http.MethodDelete, web+"?force=true", "", nil); status != http.StatusAccepted {
		t.Errorf("by force it answered %d %s", status, code)
	}
}
