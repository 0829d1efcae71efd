//go:build stack

package helm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/release"
)

// On a real API server: tests pass, fail with how their pod ended, and pass again, all on one revision.
func TestRealChartTests(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	chart := func(image string) helmtest.Chart {
		return helmtest.ConfigMaps(1).With("templates/works.yaml", strings.Replace(testPod, "registry.example/ask:1", image, 1))
	}
	if got := apply(t, s.op(t, release.Install, 1, chart("registry.example/ask:1"), nil)); got.Revision != 1 {
		t.Fatalf("%+v", got)
	}
	for fence := range int64(2) {
		if got := apply(t, s.op(t, release.Test, fence+2, nil, nil)); got.Revision != 1 || got.Status != "deployed" {
			t.Errorf("%+v", got)
		}
	}
	apply(t, s.op(t, release.Upgrade, 4, chart("registry.example/ask:crash"), nil))
	_, err := helm.Apply(t.Context(), s.op(t, release.Test, 5, nil, nil))
	e, ok := errors.AsType[*helm.Error](err)
	if !ok || e.Code != helm.CodeHookFailed || e.Object != "Pod/works" || !strings.Contains(e.Cause, "container ask ended with code 1") {
		t.Errorf("got %v", err)
	}
	if got := s.statuses(t); got[2] != "deployed" {
		t.Errorf("records: %v", got)
	}
}
