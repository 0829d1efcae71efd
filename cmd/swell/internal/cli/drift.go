package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

func (a *app) driftCommand() *cobra.Command {
	var group, cluster string
	cmd := &cobra.Command{
		Use: "drift RELEASE --group GROUP", Short: "Show in what the live objects of a deployment differ; put it right, ignore it, or adopt it", Args: cobra.ExactArgs(1),
		Long: `Show each field in which a live object differs from the manifest of its release, as last observed; swell check looks now.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.drift(cmd.Context(), group, args[0], cluster)
			if err != nil {
				return err
			}
			return show(a, report, driftTable)
		},
	}
	cmd.PersistentFlags().StringVar(&group, "group", "", "the cluster group")
	_ = cmd.MarkPersistentFlagRequired("group")
	cmd.PersistentFlags().StringVar(&cluster, "cluster", "", "only this target")
	cmd.AddCommand(a.driftIgnoreCommand(&group, &cluster), a.driftAdoptCommand(&group, &cluster))
	return cmd
}

func (a *app) drift(ctx context.Context, group, release, cluster string) (openapi.DriftReport, error) {
	return read[openapi.DriftReport](a.api.GetDriftWithResponse(ctx, a.org, group, release, &openapi.GetDriftParams{Field: openapi.FieldName, Cluster: cluster}))
}

const maxDriftCell = 40

func driftTable(report openapi.DriftReport) *table {
	t := &table{head: []string{"CLUSTER", "OBJECT", "FIELD", "WANT", "LIVE", "BY", "SINCE"}}
	for _, target := range report.Targets {
		for _, f := range target.Findings {
			field := f.Path
			if f.Op == openapi.DriftOpMissing {
				field = "missing"
			}
			t.add(target.ClusterName, f.Kind+"/"+f.Name, field, clip(plain(f.Want), maxDriftCell), clip(plain(f.Live), maxDriftCell), f.Manager, ago(target.Since, time.Now()))
		}
		t.notes = append(t.notes, unsure(target.ClusterName, target.CheckError, target.HeldBack)...)
	}
	if len(t.rows)+len(t.notes) == 0 {
		t.notes = append(t.notes, "nothing differs")
	}
	return t
}

// plain is a value as a cell has it.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// driftFlags choose findings.
type driftFlags struct{ kind, name, path string }

func (f *driftFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kind, "kind", "", "the object's kind, such as Deployment")
	cmd.Flags().StringVar(&f.name, "name", "", "the object's name")
	cmd.Flags().StringVar(&f.path, "path", "", "the field, as swell drift shows it")
}

func (f *driftFlags) match(finding openapi.DriftFinding) bool {
	fits := func(want, got string) bool { return want == "" || want == got }
	return fits(f.kind, finding.Kind) && fits(f.name, finding.Name) && fits(f.path, finding.Path)
}

func (a *app) driftIgnoreCommand(group, cluster *string) *cobra.Command {
	var flags driftFlags
	var apply bool
	cmd := &cobra.Command{
		Use: "ignore RELEASE --group GROUP", Short: "Make rules that ignore what differs now", Args: cobra.ExactArgs(1),
		Long: `Make rules that ignore what differs now, or the part of it that the flags name, and print them. With --apply they are added to the deployment;
the next look finds no drift there.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.drift(cmd.Context(), *group, args[0], *cluster)
			if err != nil {
				return err
			}
			rules := rulesFor(report, flags)
			if apply && len(rules) > 0 {
				if err := a.ignore(cmd.Context(), *group, args[0], rules); err != nil {
					return err
				}
			}
			return show(a, rules, func(rules []openapi.DriftIgnoreRule) *table { return ruleTable(rules, apply) })
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&apply, "apply", false, "add the rules to the deployment")
	return cmd
}

// rulesFor are rules for the findings, each once however many clusters have it.
func rulesFor(report openapi.DriftReport, flags driftFlags) []openapi.DriftIgnoreRule {
	rules := []openapi.DriftIgnoreRule{}
	for _, target := range report.Targets {
		for _, f := range target.Findings {
			rule := openapi.DriftIgnoreRule{Kind: f.Kind, Name: f.Name, Path: f.Path}
			if flags.match(f) && !slices.Contains(rules, rule) {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// ignore adds rules to those that the deployment has, unless somebody changes it meanwhile.
func (a *app) ignore(ctx context.Context, group, release string, rules []openapi.DriftIgnoreRule) error {
	got, err := a.api.GetDeploymentWithResponse(ctx, a.org, group, release, &openapi.GetDeploymentParams{Field: openapi.FieldName})
	d, err := read[openapi.Deployment](got, err)
	if err != nil {
		return err
	}
	all := slices.Clone(d.DriftIgnore)
	for _, rule := range rules {
		if !slices.Contains(all, rule) {
			all = append(all, rule)
		}
	}
	params := openapi.SetDeploymentParams{Field: openapi.FieldName, IfMatch: got.HTTPResponse.Header.Get("ETag")}
	_, err = once[openapi.DeploymentSummary](ctx, a, func(key client.RequestEditorFn) (answer, error) {
		return a.api.SetDeploymentWithResponse(ctx, a.org, group, release, &params, openapi.DeploymentSettings{DriftIgnore: &all}, key)
	})
	return err
}

func ruleTable(rules []openapi.DriftIgnoreRule, applied bool) *table {
	t := &table{head: []string{"KIND", "NAME", "PATH"}}
	for _, r := range rules {
		t.add(r.Kind, r.Name, r.Path)
	}
	switch {
	case len(rules) == 0:
		t.notes = append(t.notes, "nothing of that differs")
	case applied:
		t.notes = append(t.notes, "added to the deployment")
	default:
		t.notes = append(t.notes, "--apply adds them to the deployment")
	}
	return t
}

func (a *app) driftAdoptCommand(group, cluster *string) *cobra.Command {
	var flags driftFlags
	var request openapi.AdoptRequest
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "adopt RELEASE --group GROUP --cluster CLUSTER --kind KIND --name NAME --path PATH", Short: "Make a live value the desired one", Args: cobra.ExactArgs(1),
		Long: `Make the live value of a field the desired one: find the chart value that makes the field, set it for that cluster, and bring it there.
That is an update of the whole deployment: it may put other differences right too, on any target, so first ignore or adopt what is to stay.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Cluster, request.Kind, request.Name, request.Path = *cluster, flags.kind, flags.name, flags.path
			adoption, err := once[openapi.Adoption](cmd.Context(), a, func(key client.RequestEditorFn) (answer, error) {
				return a.api.AdoptDriftWithResponse(cmd.Context(), a.org, *group, args[0], &openapi.AdoptDriftParams{Field: openapi.FieldName}, request, key)
			})
			if err != nil {
				return err
			}
			if a.output != "table" && !watch.set() {
				return show(a, adoption, nil)
			}
			a.say("%s on %s is %s", adoption.ValuePath, adoption.ClusterName, plain(adoption.Value))
			if request.DryRun {
				return nil
			}
			return a.follow(cmd.Context(), adoption.Run, watch)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&request.Namespace, "namespace", "", "the object's namespace, where two objects differ in it alone")
	cmd.Flags().StringVar(&request.ValuePath, "value-path", "", "the value to set, where several make the field")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "only show which value it is")
	for _, name := range []string{"kind", "name", "path"} {
		_ = cmd.MarkFlagRequired(name)
	}
	watch.register(cmd)
	return cmd
}

func (a *app) settingsCommand() *cobra.Command {
	var group, mode string
	var install bool
	var limit int
	cmd := &cobra.Command{
		Use: "settings RELEASE --group GROUP", Short: "Show how a deployment is treated, or change it at once, without a new generation", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings := openapi.DeploymentSettings{Mode: openapi.Mode(mode)}
			if cmd.Flags().Changed("install-on-join") {
				settings.InstallOnJoin = &install
			}
			if cmd.Flags().Changed("removal-limit") {
				settings.RemovalLimitPercent = &limit
			}
			d, err := once[openapi.DeploymentSummary](cmd.Context(), a, func(key client.RequestEditorFn) (answer, error) {
				return a.api.SetDeploymentWithResponse(cmd.Context(), a.org, group, args[0], &openapi.SetDeploymentParams{Field: openapi.FieldName}, settings, key)
			})
			if err != nil {
				return err
			}
			return show(a, d, settingsTable)
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "the cluster group")
	_ = cmd.MarkFlagRequired("group")
	cmd.Flags().StringVar(&mode, "mode", "", "what a difference leads to: detect or correct")
	cmd.Flags().BoolVar(&install, "install-on-join", false, "a cluster that joins the group gets the deployment at once")
	cmd.Flags().IntVar(&limit, "removal-limit", 0, "the percentage of its targets that the deployment may lose at once")
	return cmd
}

func settingsTable(d openapi.DeploymentSummary) *table {
	limit := "50 %" // what holds if never said
	if d.RemovalLimitPercent > 0 {
		limit = fmt.Sprintf("%d %%", d.RemovalLimitPercent)
	}
	t := &table{head: []string{"RELEASE", "MODE", "INSTALL ON JOIN", "REMOVAL LIMIT", "IGNORED"}}
	t.add(d.ReleaseName, string(d.Mode), fmt.Sprint(d.InstallOnJoin), limit, many(len(d.DriftIgnore), "rule"))
	for _, r := range d.DriftIgnore {
		t.notes = append(t.notes, "ignored: "+strings.Join(notEmpty(r.Kind, r.Namespace, r.Name, r.Path), " "))
	}
	return t
}
