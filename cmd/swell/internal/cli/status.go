package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) statusCommand() *cobra.Command {
	var group string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status RELEASE --group GROUP",
		Short: "Show the status of every target of a deployment",
		Long: `Show the status of every target of a deployment, as last observed; swell check looks now.
DEPLOYED means that the cluster accepted the release; HEALTH says whether it runs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.deployment(cmd.Context(), group, args[0])
			if err != nil {
				return err
			}
			var failed error
			if watch && d.LastRun != "" {
				failed = a.follow(cmd.Context(), d.LastRun, watchFlags{watch: true})
				if cmd.Context().Err() != nil {
					return failed
				}
				if d, err = a.deployment(cmd.Context(), group, args[0]); err != nil {
					return err
				}
			}
			if err := show(a, d, statusTable); err != nil {
				return err
			}
			return failed
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "the cluster group")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "watch the deployment's last run until it ends, then show the status")
	_ = cmd.MarkFlagRequired("group")
	return cmd
}

const maxDiffers = 40

func statusTable(d openapi.Deployment) *table {
	t := &table{head: []string{"CLUSTER", "CLOUD", "STATUS", "HEALTH", "REVISION", "CHART", "STALE/DIFFERS", "OBSERVED"}}
	for _, target := range d.TargetClusters {
		revision, chart := "", ""
		if target.Observed.Revision > 0 {
			revision = strconv.Itoa(target.Observed.Revision)
			chart = strings.Join(notEmpty(d.ChartName, target.Observed.ChartVersion), "-")
		}
		t.add(target.ClusterName, target.Cloud, string(target.Status), string(target.Health), revision, chart, t.clipped(target.ClusterName, differs(target), maxDiffers),
			ago(target.ObservedAt, time.Now()))
		if why := because(target.Error.Code, target.Error.Cause); why != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s", target.ClusterName, why))
		}
		t.notes = append(t.notes, unsure(target.ClusterName, target.CheckError, target.HeldBack)...)
		if target.HealthMessage != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s", target.ClusterName, oneLine(target.HealthMessage)))
		}
	}
	if policy := onFailure(d.Remediation, d.Atomic); policy != "" {
		t.notes = append(t.notes, "on failure: "+policy)
	}
	t.notes = append(t.notes, requirementsOf(d)...)
	t.notes = append(t.notes, wavesOf(d.Rollout)...)
	if len(d.TargetClusters) == 0 {
		t.notes = append(t.notes, "it has no targets; the group has no members")
	}
	return t
}

func differs(target openapi.TargetCluster) string {
	switch {
	case target.Status == openapi.TargetStatusDRIFTED:
		return many(target.Drift.Objects, "object") + "; see swell drift"
	case target.CheckError.Code != "" && len(target.Differs) == 0:
		return "not known"
	case len(target.Differs) > 0:
		return strings.Join(target.Differs, ", ")
	case target.Stale:
		return "yes"
	default:
		return "no"
	}
}
