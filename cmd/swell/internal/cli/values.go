package cli

import (
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) valuesCommand() *cobra.Command {
	var group string
	params := openapi.GetDeploymentValuesParams{Field: openapi.FieldName}
	cmd := &cobra.Command{
		Use:   "values RELEASE [PATH] --group GROUP",
		Short: "Show the values that the templates of a deployment see, and who set them",
		Long: `Show the values that the templates of a deployment see: the chart's defaults with what was deployed over them. PATH shows those
beneath it, such as image or auth.users. Secrets are shown as [masked].
--explain says who set each value: the chart, a subchart, an earlier request that --reuse-values kept, the common values, or the
cluster's override. A value marked + hides another's; --output yaml shows which.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				params.Path = args[1]
			}
			got, err := read[openapi.DeploymentValues](a.api.GetDeploymentValuesWithResponse(cmd.Context(), a.org, group, args[0], &params))
			switch {
			case err != nil:
				return err
			case params.Explain:
				return show(a, got, leavesTable)
			case a.output == "json":
				return show(a, got.Values, nil)
			}
			text, err := yaml.Marshal(map[string]any(got.Values))
			if err != nil {
				return err
			}
			_, err = a.Out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "the cluster group")
	cmd.Flags().StringVar(&params.Cluster, "cluster", "", "the target, with its override, by name or id")
	cmd.Flags().BoolVar(&params.Explain, "explain", false, "say who set each value")
	_ = cmd.MarkFlagRequired("group")
	return cmd
}

func leavesTable(values openapi.DeploymentValues) *table {
	t := &table{head: []string{"PATH", "VALUE", "LAYER", "SOURCE"}}
	for _, l := range values.Leaves {
		source := l.Source
		if l.Generation > 0 {
			source += ", generation " + strconv.Itoa(l.Generation)
		}
		layer := string(l.Layer)
		if len(l.Overridden) > 0 {
			layer += " +"
		}
		t.add(l.Path, valueCell(l), layer, source)
	}
	return t
}

const maxCell = 60

// valueCell is a value as JSON, which tells "1" from 1, on one line that fits.
func valueCell(l openapi.ValueLeaf) string {
	if l.Removed {
		return "(removed)"
	}
	raw, err := json.Marshal(l.Value)
	if err != nil {
		return "?"
	}
	return clip(string(raw), maxCell)
}
