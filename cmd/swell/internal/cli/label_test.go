package cli_test

import (
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
)

func (in *installation) UpdateCluster(w http.ResponseWriter, r *http.Request, _, name string, _ openapi.UpdateClusterParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.UpdateClusterRequest](in, w, r)
	if !ok {
		return
	}
	c := in.find(name)
	for key, value := range request.Labels {
		if value == nil {
			delete(c.Labels, key)
		} else {
			c.Labels[key] = *value
		}
	}
	openapi.Write(w, http.StatusOK, *c)
}
