package cli_test

import (
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
)

func (in *installation) UpdateCluster(w http.ResponseWriter, r *http.Request, _, name string, params openapi.UpdateClusterParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	request, ok := body[openapi.UpdateClusterRequest](in, w, r)
	if !ok {
		return
	}
	c := in.find(name)
	if params.DryRun {
		dry := *c
		dry.Moves = []openapi.ReleaseMove{
			{Move: openapi.ReleaseMoveMoveRemove, ClusterGroup: "edge", ReleaseName: "web", Namespace: "shop"},
			{Move: openapi.ReleaseMoveMoveInstall, ClusterGroup: "core", ReleaseName: "db", Namespace: "data"},
		}
		openapi.Write(w, http.StatusOK, dry)
		return
	}
	for key, value := range request.Labels {
		if value == nil {
			delete(c.Labels, key)
		} else {
			c.Labels[key] = *value
		}
	}
	openapi.Write(w, http.StatusOK, *c)
}
