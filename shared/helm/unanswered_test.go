package helm_test

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/helmtest"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/release"
)

// An API server that has no time for one object has not refused it: the verb fails as unanswered, whatever Helm makes of the error, and the next one
// does what is left. What is no more in the chart is part of that, though to Helm the upgrade is done without.
func TestNoTimeForOneObject(t *testing.T) {
	t.Parallel()
	busy := map[int32]metav1.StatusReason{http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable}
	for what, c := range map[string]struct{ method, path string }{
		"a look before a patch":    {http.MethodGet, "/configmaps/web-01"},
		"a patch":                  {http.MethodPatch, "/configmaps/web-01"},
		"a creation":               {http.MethodPost, "/deployments"},
		"a look before a deletion": {http.MethodGet, "/configmaps/web-02"},
		"a deletion":               {http.MethodDelete, "/configmaps/web-02"},
	} {
		for code, reason := range busy {
			t.Run(what+" "+string(reason), func(t *testing.T) {
				t.Parallel()
				server := newServer(t, kubetest.Options{})
				apply(t, newOp(t, server, release.Install, helmtest.ConfigMaps(3), nil))
				chart := helmtest.Workload().With("templates/map-01.yaml", strings.ReplaceAll(helmtest.ConfigMaps(2)["templates/map-01.yaml"], ".Values.text", `"new"`))
				server.Fail(failOn(c.method, c.path, code, reason, "slow down"))
				if got, _ := refused(t.Context(), t, newOp(t, server, release.Upgrade, chart, nil), helm.CodeUnreachable); got.Status != "failed" {
					t.Errorf("after the fault: %+v", got)
				}
				server.Fail(nil)
				apply(t, newOp(t, server, release.Upgrade, chart, nil))
				if server.Len("configmaps") != 1 || server.Len("deployments") != 1 {
					t.Errorf("%d maps and %d deployments are there", server.Len("configmaps"), server.Len("deployments"))
				}
			})
		}
	}
}
