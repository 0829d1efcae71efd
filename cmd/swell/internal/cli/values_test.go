package cli_test

import (
	"net/http"

	"github.com/swell-sh/swell/shared/diff"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/provenance"
)

// defaults are those of every chart here.
var defaults = &provenance.Chart{
	Name: "web", Values: map[string]any{"replicaCount": 1.0, "image": map[string]any{"tag": "v1", "pullPolicy": "Always"}},
	Subcharts: []*provenance.Chart{{Name: "redis", Values: map[string]any{"size": 1.0}}},
}

func (in *installation) GetDeploymentValues(w http.ResponseWriter, r *http.Request, _, _, release string, params openapi.GetDeploymentValuesParams) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.withDeployment(w, r, release, func(d *openapi.Deployment) {
		var within diff.Pattern
		if params.Path != "" {
			within, _ = diff.Parse(params.Path)
		}
		secret, err := mask.Parse(d.SecretPaths)
		if err != nil {
			openapi.Fail(w, r, nil, err)
			return
		}
		if params.Cluster != "" && in.find(params.Cluster) == nil {
			openapi.WriteProblem(w, r, problem.Invalid("cluster-not-found", "no target of the deployment is %q", params.Cluster).At("cluster"))
			return
		}
		explained, err := provenance.Explain(defaults,
			provenance.Values{Origin: provenance.Origin{Layer: provenance.Common, Source: "values", Generation: d.Generation}, Values: d.Values},
			provenance.Values{Origin: provenance.Origin{Layer: provenance.Override, Source: "valueOverrides." + params.Cluster, Generation: d.Generation}, Values: d.ValueOverrides[params.Cluster]})
		if err != nil {
			openapi.Fail(w, r, nil, err)
			return
		}
		doc := openapi.DeploymentValues{Generation: d.Generation, ChartDigest: "sha256:0", ClusterName: params.Cluster}
		if params.Explain {
			doc.Leaves = openapi.LeavesOf(explained, within, secret)
		} else {
			doc.Values = secret.Mask(explained.Values(within))
		}
		openapi.Write(w, http.StatusOK, doc)
	})
}
