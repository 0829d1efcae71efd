package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

func (a *app) planCommand() *cobra.Command {
	f := deployFlags{dryRun: true}
	cmd := &cobra.Command{
		Use:   "plan RELEASE --group GROUP --chart CHART",
		Short: "Show what a deploy would change on every cluster; change nothing",
		Long: `Show what deploy with the same flags would change on every cluster, object by object and field by field. Nothing is changed.

The plan has a hash: swell apply HASH carries out exactly what is shown, or refuses and says what moved since.
Each line begins with what happens to the object or field: + it is added, ~ it changes, - it goes away.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accepted, err := a.deploy(cmd, args[0], f)
			if err != nil {
				return err
			}
			return a.planned(cmd.Context(), accepted.Run)
		},
	}
	f.register(cmd)
	cmd.AddCommand(a.planShow())
	return cmd
}

// planned waits for the run of a plan and shows what it found.
func (a *app) planned(ctx context.Context, runID string) error {
	run, err := a.poll(ctx, runID, silent{})
	if err != nil {
		return err
	}
	if run.PlanHash == "" {
		if err := show(a, run, targetTable); err != nil {
			return err
		}
	} else if err := a.showPlan(ctx, run.PlanHash, ""); err != nil {
		return err
	}
	if run.Status != openapi.RunStatusSucceeded {
		return &endedError{openapi.Run{ID: run.ID, Status: run.Status}}
	}
	return nil
}

func (a *app) planShow() *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "show HASH", Short: "Show a plan that was made", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.showPlan(cmd.Context(), args[0], cluster)
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only this cluster, with the objects that stay as they are")
	return cmd
}

func (a *app) applyCommand() *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "apply HASH", Short: "Carry out a plan exactly as it was shown, or say what moved since", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accepted, err := once[openapi.DeploymentAccepted](cmd.Context(), a, func(key client.RequestEditorFn) (*client.ApplyPlanResponse, error) {
				return a.api.ApplyPlanWithResponse(cmd.Context(), a.org, args[0], key)
			})
			if err != nil {
				return err
			}
			return a.accepted(cmd.Context(), accepted, watch)
		},
	}
	watch.register(cmd)
	return cmd
}

func (a *app) showPlan(ctx context.Context, hash, cluster string) error {
	if cluster != "" {
		target, err := a.planTarget(ctx, hash, cluster, false)
		if err != nil {
			return err
		}
		if a.output != "table" {
			return show(a, target, func(openapi.PlanTargetDetails) *table { return nil })
		}
		a.sayDiff([]string{target.ClusterName}, diffOf(target.Objects))
		return nil
	}
	plan, err := read[openapi.Plan](a.api.GetPlanWithResponse(ctx, a.org, hash))
	if err != nil {
		return err
	}
	if err := show(a, plan, planTable); err != nil || a.output != "table" {
		return err
	}
	var diffs []string
	clusters := map[string][]string{} // by diff: clusters alike are shown once
	for _, t := range plan.Targets {
		target, err := a.planTarget(ctx, hash, t.ClusterName, true)
		if err != nil {
			return err
		}
		if text := diffOf(target.Objects); text != "" {
			if clusters[text] == nil {
				diffs = append(diffs, text)
			}
			clusters[text] = append(clusters[text], t.ClusterName)
		}
	}
	for _, text := range diffs {
		a.say("")
		a.sayDiff(clusters[text], text)
	}
	a.say("\n%s", planSummary(plan))
	return nil
}

// planTarget reads all pages of a target.
func (a *app) planTarget(ctx context.Context, hash, cluster string, changed bool) (openapi.PlanTargetDetails, error) {
	var all openapi.PlanTargetDetails
	params := openapi.GetPlanTargetParams{Field: openapi.FieldName, Changed: changed, Limit: 500}
	for {
		page, err := read[openapi.PlanTargetDetails](a.api.GetPlanTargetWithResponse(ctx, a.org, hash, cluster, &params))
		if err != nil {
			return all, err
		}
		page.Objects = append(all.Objects, page.Objects...)
		all = page
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			return all, nil
		}
	}
}

func planTable(p openapi.Plan) *table {
	t := &table{head: []string{"CLUSTER", "ACTION", "REVISION", "CREATE", "CHANGE", "DELETE", "SAME", "DESTRUCTIVE", "CAUSE"}}
	for _, target := range p.Targets {
		revision := ""
		if target.Revision > 0 {
			revision = strconv.Itoa(target.Revision)
		}
		cause := because(target.Code, target.Cause)
		if !target.Reproducible {
			cause = strings.Join(notEmpty(cause, "another render may differ"), "; ")
		}
		c := target.Counts
		t.add(target.ClusterName, string(target.Action), revision, strconv.Itoa(c.Created), strconv.Itoa(c.Changed), strconv.Itoa(c.Deleted),
			strconv.Itoa(c.Unchanged), strconv.Itoa(c.Destructive), cause)
	}
	waves := make([]string, len(p.Targets))
	for i, target := range p.Targets {
		waves[i] = target.Wave
	}
	t.withWave(waves)
	return t
}

// planSummary says what a plan comes to, and how to go on.
func planSummary(p openapi.Plan) string {
	c := p.Counts
	words := fmt.Sprintf("%s, generation %d, %s-%s: %d to create, %d to change, %d to delete, %d unchanged", p.Deployment.ReleaseName, p.Deployment.Generation,
		p.ChartName, p.ChartVersion, c.Created, c.Changed, c.Deleted, c.Unchanged)
	if c.Destructive > 0 {
		words += fmt.Sprintf("\n%d of these changes lose something or cannot be done in place", c.Destructive)
	}
	if !p.Reproducible {
		words += "\nanother render may differ from what is shown: the chart uses random values, the time or lookups"
	}
	if p.Status != openapi.RunStatusSucceeded {
		return words + "\nit cannot be applied: the plan's run is " + string(p.Status)
	}
	return words + "\nswell apply " + p.PlanHash + " carries it out"
}

// sayDiff prints the diff of clusters alike.
func (a *app) sayDiff(clusters []string, text string) {
	if a.terminal() && a.Getenv("NO_COLOR") == "" {
		text = colorDiff(text)
	}
	a.say("on %s:\n%s", strings.Join(clusters, ", "), orDefault(strings.TrimSuffix(text, "\n"), "  nothing changes"))
}

// marks are how a line of a diff begins.
var marks = map[string]string{
	"create": "+", "update": "~", "delete": "-", "keep": "=", "unchanged": " ", "hook": "*", // of objects
	"added": "+", "changed": "~", "removed": "-", // of fields
}

// diffOf prints what would happen to objects.
func diffOf(objects []openapi.PlannedObject) string {
	var out strings.Builder
	for _, o := range objects {
		name := oneLine(strings.Join(notEmpty(o.Namespace, o.Name), "/"))
		_, _ = fmt.Fprintf(&out, "  %s %s %s", marks[string(o.Action)], oneLine(o.Kind), name)
		note := o.Note
		if o.Action == openapi.ObjectActionKeep || o.Action == openapi.ObjectActionHook {
			note = strings.Join(notEmpty(string(o.Action), o.Note), ": ")
		}
		if note != "" {
			_, _ = fmt.Fprintf(&out, " (%s)", oneLine(note))
		}
		if len(o.Destructive) > 0 {
			_, _ = fmt.Fprintf(&out, " ! %s", oneLine(strings.Join(o.Destructive, "; ")))
		}
		out.WriteString("\n")
		for _, c := range o.Changes {
			_, _ = fmt.Fprintf(&out, "      %s %s: %s\n", marks[string(c.Op)], oneLine(c.Path), fieldText(c))
		}
	}
	return out.String()
}

func fieldText(c openapi.PlannedChange) string {
	switch c.Op {
	case openapi.ChangeOpAdded:
		return valueText(c.After)
	case openapi.ChangeOpRemoved:
		return valueText(c.Before)
	default:
		return valueText(c.Before) + " → " + valueText(c.After)
	}
}

const maxValueText = 300 // letters of a value; -o json shows all

func valueText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	text := oneLine(string(raw))
	if utf8.RuneCountInString(text) > maxValueText {
		text = string([]rune(text)[:maxValueText]) + "…"
	}
	return text
}

func colorDiff(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		code := map[string]string{"+": "32", "-": "31", "~": "33"}[strings.TrimLeft(line, " ")[:1]]
		if code == "" {
			out.WriteString(line)
			continue
		}
		_, _ = fmt.Fprintf(&out, "\x1b[%sm%s\x1b[0m\n", code, strings.TrimSuffix(line, "\n"))
	}
	return out.String()
}
