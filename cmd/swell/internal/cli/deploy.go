package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

// deployFlags are the flags of deploy.
type deployFlags struct {
	group, chart, version, namespace, mode string
	timeout                                time.Duration
	reuse, reset, dryRun, acceptMoved      bool
	values                                 valueFlags
	secret                                 []string
	installOnJoin                          bool
	removalLimit                           int
	remediation                            remediationFlags
	requirements                           requirementFlags
	rollout                                rolloutFlags
	watch                                  watchFlags
}

func (a *app) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy RELEASE --group GROUP --chart CHART",
		Short: "Deploy a chart to the members of a group, or update it",
		Long: `Deploy a chart to the members of a group, or update the deployment where there is one.

CHART is repository/chart, oci://…, sha256:… of a pushed chart, or a local folder or archive, which is pushed first. An update
that leaves it out keeps the chart it has.
As with helm upgrade, an update without any values keeps those it has; with some, they replace what was, unless --reuse-values is given.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accepted, err := a.deploy(cmd, args[0], f)
			if err != nil {
				return err
			}
			return a.accepted(cmd.Context(), accepted, f.watch)
		},
	}
	f.register(cmd)
	f.watch.register(cmd)
	return cmd
}

// register adds the flags that say what to deploy.
func (f *deployFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "the cluster group")
	flags.StringVar(&f.chart, "chart", "", "the chart")
	flags.StringVar(&f.version, "version", "", "the chart's version, or a range of versions")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "the namespace of the release; it does not change later")
	flags.StringVar(&f.mode, "mode", "", "what a difference leads to: detect records it, correct corrects it")
	flags.BoolVar(&f.installOnJoin, "install-on-join", false, "a cluster that joins the group gets the deployment at once, not with the next update")
	flags.IntVar(&f.removalLimit, "removal-limit", 0, "the percentage of its targets that the deployment may lose at once, 1 to 100; 50 if never said")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long a target may take to become ready, such as 10m")
	flags.BoolVar(&f.reuse, "reuse-values", false, "merge the values over those of the deployment")
	flags.BoolVar(&f.acceptMoved, "accept-moved-chart", false, "take a version that was published anew since this deployment had it")
	flags.BoolVar(&f.reset, "reset-values", false, "begin from the chart's values, also where no value is given")
	f.values.register(cmd)
	f.remediation.register(cmd)
	f.requirements.register(cmd)
	f.rollout.register(cmd)
	flags.StringArrayVar(&f.secret, "secret-path", nil, "the path of a value that is masked when it is read, such as auth.password; may be repeated; replaces those it has")
	cmd.MarkFlagsMutuallyExclusive("reuse-values", "reset-values")
	_ = cmd.MarkFlagRequired("group")
}

// deploy sends what the flags ask for: a POST where there is no such deployment, else a PUT.
func (a *app) deploy(cmd *cobra.Command, release string, f deployFlags) (accepted openapi.DeploymentAccepted, err error) {
	ctx := cmd.Context()
	request, err := a.deployRequest(cmd, f)
	if err == nil {
		err = f.requirements.set(a, cmd, &request)
	}
	if err != nil {
		return accepted, err
	}
	was, err := a.deployment(ctx, f.group, release)
	isNew := isProblem(err, http.StatusNotFound)
	if err != nil && !isNew {
		return accepted, err
	}
	if isNew && f.chart == "" {
		return accepted, fmt.Errorf("there is no deployment %s on group %s yet; give --chart to make it", release, f.group)
	}
	f.remediation.set(cmd, &request, was.Remediation)
	if err := f.rollout.set(a, cmd, &request, was.Rollout); err != nil {
		return accepted, err
	}
	if request.Name, err = a.chartRef(ctx, f.chart); err != nil {
		return accepted, err
	}
	if isNew {
		request.ReleaseName, request.ReuseValues = release, false
		return once[openapi.DeploymentAccepted](ctx, a, func(key client.RequestEditorFn) (*client.CreateDeploymentResponse, error) {
			return a.api.CreateDeploymentWithResponse(ctx, a.org, f.group, &openapi.CreateDeploymentParams{Field: openapi.FieldName}, request, key)
		})
	}
	return once[openapi.DeploymentAccepted](ctx, a, func(key client.RequestEditorFn) (*client.UpdateDeploymentResponse, error) {
		return a.api.UpdateDeploymentWithResponse(ctx, a.org, f.group, release, &openapi.UpdateDeploymentParams{Field: openapi.FieldName}, request, key)
	})
}

func (a *app) deployRequest(cmd *cobra.Command, f deployFlags) (openapi.DeploymentRequest, error) {
	common, overrides, err := f.values.read(a)
	if err != nil {
		return openapi.DeploymentRequest{}, err
	}
	request := openapi.DeploymentRequest{
		Version: f.version, Namespace: f.namespace, Mode: openapi.Mode(f.mode), Values: common, ValueOverrides: overrides,
		ReuseValues: f.reuse || !f.reset && common == nil && overrides == nil, DryRun: f.dryRun, SecretPaths: f.secret,
		AcceptMovedChart: f.acceptMoved,
	}
	if cmd.Flags().Changed("install-on-join") {
		request.InstallOnJoin = &f.installOnJoin
	}
	if cmd.Flags().Changed("removal-limit") {
		request.RemovalLimitPercent = &f.removalLimit
	}
	if cmd.Flags().Changed("timeout") {
		request.TimeoutSeconds = new(int(f.timeout / time.Second))
	}
	return request, nil
}

// accepted says what a call started, and follows it as asked.
func (a *app) accepted(ctx context.Context, d openapi.DeploymentAccepted, watch watchFlags) error {
	if a.output != "table" && !watch.set() {
		return show(a, d, func(openapi.DeploymentAccepted) *table { return nil })
	}
	names := make([]string, len(d.TargetClusters))
	for i, t := range d.TargetClusters {
		names[i] = t.ClusterName
	}
	a.say("%s, generation %d, on %s", d.ReleaseName, d.Generation, orDefault(strings.Join(names, ", "), "no cluster"))
	return a.follow(ctx, d.Run, watch)
}

func (a *app) deployment(ctx context.Context, group, release string) (openapi.Deployment, error) {
	return read[openapi.Deployment](a.api.GetDeploymentWithResponse(ctx, a.org, group, release, &openapi.GetDeploymentParams{Field: openapi.FieldName}))
}

// onDeployment is a command that starts a run of a deployment by one call.
func (a *app) onDeployment(use, short string, call func(ctx context.Context, group, release string) (answer, error)) *cobra.Command {
	var group string
	var watch watchFlags
	cmd := &cobra.Command{
		Use: use + " RELEASE --group GROUP", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accepted, err := read[openapi.DeploymentAccepted](call(cmd.Context(), group, args[0]))
			if err != nil {
				return err
			}
			return a.accepted(cmd.Context(), accepted, watch)
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "the cluster group")
	_ = cmd.MarkFlagRequired("group")
	watch.register(cmd)
	return cmd
}

func (a *app) checkCommand() *cobra.Command {
	return a.onDeployment("check", "Look at every target of a deployment now; change nothing",
		func(ctx context.Context, group, release string) (answer, error) {
			return a.api.CheckDeploymentWithResponse(ctx, a.org, group, release, &openapi.CheckDeploymentParams{Field: openapi.FieldName})
		})
}

func (a *app) syncCommand() *cobra.Command {
	params := openapi.SyncDeploymentParams{Field: openapi.FieldName}
	cmd := a.onDeployment("sync", "Bring every target of a deployment to its desired state",
		func(ctx context.Context, group, release string) (answer, error) {
			return a.api.SyncDeploymentWithResponse(ctx, a.org, group, release, &params)
		})
	confirmFlag(cmd, &params.ConfirmRemovals)
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	params := openapi.DeleteDeploymentParams{Field: openapi.FieldName}
	cmd := a.onDeployment("delete", "Uninstall a deployment from every target, then forget it",
		func(ctx context.Context, group, release string) (answer, error) {
			return a.api.DeleteDeploymentWithResponse(ctx, a.org, group, release, &params)
		})
	cmd.Flags().BoolVar(&params.Force, "force", false, "forget it even where a release could not be uninstalled")
	return cmd
}

func (a *app) listCommand() *cobra.Command {
	var group string
	cmd := &cobra.Command{
		Use: "list --group GROUP", Aliases: []string{"ls"}, Short: "List the deployments of a group", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []openapi.DeploymentSummary{}
			for cursor := ""; ; {
				page, err := read[openapi.DeploymentList](a.api.ListDeploymentsWithResponse(cmd.Context(), a.org, group,
					&openapi.ListDeploymentsParams{Field: openapi.FieldName, Cursor: cursor, Health: true}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, deploymentTable)
				}
			}
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "the cluster group")
	_ = cmd.MarkFlagRequired("group")
	return cmd
}

func deploymentTable(all []openapi.DeploymentSummary) *table {
	t := &table{head: []string{"RELEASE", "NAMESPACE", "CHART", "GENERATION", "HEALTHY", "MODE", "UPDATED", "LAST RUN"}}
	for _, d := range all {
		generation := fmt.Sprint(d.Generation)
		if d.NewestGeneration > d.Generation {
			generation += fmt.Sprintf(" of %d", d.NewestGeneration) // rolled back
		}
		t.add(d.ReleaseName, d.Namespace, d.ChartName+"-"+d.ChartVersion, generation, healthText(d.Health), string(d.Mode), ago(d.UpdatedAt, time.Now()), d.LastRun)
	}
	return t
}

// valueFlags are the flags that make values.
type valueFlags struct {
	files, sets, texts, overrides []string
	overrideFiles                 []string
}

func (v *valueFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&v.files, "values", "f", nil, "a YAML file of values; may be repeated, the last one wins; - for standard input")
	flags.StringArrayVar(&v.sets, "set", nil, "a value, key=value, over the files; may be repeated; as helm's --set")
	flags.StringArrayVar(&v.texts, "set-string", nil, "as --set, but a text always")
	flags.StringArrayVar(&v.overrides, "override", nil, "a value for one cluster, cluster:key=value; may be repeated")
	flags.StringArrayVar(&v.overrideFiles, "override-file", nil, "a YAML file of values for one cluster, cluster=file; may be repeated")
}

// read returns the common values and the overrides; nil where no flag gives any.
func (v *valueFlags) read(a *app) (openapi.Values, openapi.ValueOverrides, error) {
	var common openapi.Values
	for _, path := range v.files {
		values, err := a.readValues(path)
		if err != nil {
			return nil, nil, err
		}
		common = merge(common, values)
	}
	for i, set := range slices.Concat(v.sets, v.texts) {
		if common == nil {
			common = openapi.Values{}
		}
		if err := setValues(common, set, i >= len(v.sets)); err != nil {
			return nil, nil, err
		}
	}
	overrides, err := v.readOverrides(a)
	return common, overrides, err
}

func (v *valueFlags) readOverrides(a *app) (openapi.ValueOverrides, error) {
	overrides := openapi.ValueOverrides{}
	for _, flag := range v.overrideFiles {
		cluster, path, ok := strings.Cut(flag, "=")
		if !ok || cluster == "" {
			return nil, fmt.Errorf("--override-file is %q; write cluster=file", flag)
		}
		values, err := a.readValues(path)
		if err != nil {
			return nil, err
		}
		overrides[cluster] = merge(overrides[cluster], values)
	}
	for _, flag := range v.overrides {
		cluster, set, ok := strings.Cut(flag, ":")
		if !ok || cluster == "" || strings.Contains(cluster, "=") {
			return nil, errors.New("--override is cluster:key=value")
		}
		if overrides[cluster] == nil {
			overrides[cluster] = openapi.Values{}
		}
		if err := setValues(overrides[cluster], set, false); err != nil {
			return nil, err
		}
	}
	if len(overrides) == 0 {
		return nil, nil
	}
	return overrides, nil
}

// merge lays over on base, objects deeply.
func merge(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range over {
		below, ok := out[key].(map[string]any)
		if above, both := value.(map[string]any); ok && both {
			out[key] = merge(below, above)
			continue
		}
		out[key] = value
	}
	return out
}
