package cli_test

import (
	"net/http"
	"strings"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
)

func (in *installation) SetClusterCredential(w http.ResponseWriter, r *http.Request, _, id string, _ openapi.SetClusterCredentialParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.ClusterCredentialRequest](in, w, r)
	if !ok {
		return
	}
	c := in.find(id)
	switch {
	case c == nil:
		missing(w, r, "cluster", id)
	case strings.Contains(string(request.Kubeconfig), "another"):
		openapi.WriteProblem(w, r, problem.Conflict("cluster-differs", "the kubeconfig reaches another cluster than %s", c.Name).At("kubeconfig"))
	default:
		openapi.WriteVersion(w, http.StatusOK, 2, *c)
	}
}
