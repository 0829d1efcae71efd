package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

func (a *app) clusterLabel() *cobra.Command {
	params := openapi.UpdateClusterParams{Field: openapi.FieldName}
	cmd := &cobra.Command{
		Use:   "label NAME KEY=VALUE… KEY-…",
		Short: "Set labels of a cluster, and take labels away",
		Long: `Set labels of a cluster, and take labels away, as kubectl label does. Where the cluster leaves a group that chooses by labels, the group's
releases are removed from it once no label was changed for a minute.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := openapi.UpdateClusterRequest{Labels: map[string]*string{}}
			for _, arg := range args[1:] {
				key, value, sets := strings.Cut(arg, "=")
				if !sets {
					key, sets = strings.CutSuffix(arg, "-")
					if !sets || key == "" {
						return fmt.Errorf("%q is no label; write key=value, or key- to take it away", arg)
					}
					request.Labels[key] = nil
					continue
				}
				request.Labels[key] = &value
			}
			cluster, err := once[openapi.Cluster](cmd.Context(), a, func(key client.RequestEditorFn) (*client.UpdateClusterResponse, error) {
				return a.api.UpdateClusterWithResponse(cmd.Context(), a.org, args[0], &params, request, key)
			})
			if err != nil {
				return err
			}
			return show(a, cluster, func(c openapi.Cluster) *table { return labelTable(c, params) })
		},
	}
	confirmFlag(cmd, &params.ConfirmRemovals)
	cmd.Flags().BoolVar(&params.DryRun, "dry-run", false, "change nothing; show which releases would come and go")
	return cmd
}

// labelTable is a cluster as its labels make it, with what comes and goes because of them.
func labelTable(c openapi.Cluster, params openapi.UpdateClusterParams) *table {
	t := clusterTable(c)
	when := map[openapi.ReleaseMoveMove]string{openapi.ReleaseMoveMoveInstall: "comes", openapi.ReleaseMoveMoveRemove: "goes"}
	if !params.DryRun && !params.ConfirmRemovals {
		when[openapi.ReleaseMoveMoveRemove] = "goes, once no label was changed for a minute"
	}
	for _, m := range c.Moves {
		t.notes = append(t.notes, fmt.Sprintf("%s: release %s (%s) of group %s %s", c.Name, m.ReleaseName, m.Namespace, m.ClusterGroup, when[m.Move]))
	}
	if params.DryRun {
		t.notes = append(t.notes, "nothing was changed")
	}
	return t
}

func confirmFlag(cmd *cobra.Command, confirm *bool) {
	cmd.Flags().BoolVar(confirm, "confirm-removals", false, "remove releases even from more targets than a deployment's removal limit")
}

// forgetDead forgets a cluster with what is on it.
func (a *app) forgetDead(forgotten openapi.ClusterForgotten) error {
	if a.output != "table" {
		return show(a, forgotten, func(openapi.ClusterForgotten) *table { return nil })
	}
	a.say("cluster %s is forgotten", forgotten.Name)
	for _, left := range forgotten.LeftBehind {
		a.say("left behind on it: release %s in namespace %s", left.ReleaseName, left.Namespace)
	}
	return nil
}
