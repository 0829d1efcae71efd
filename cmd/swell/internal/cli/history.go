package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) historyCommand() *cobra.Command {
	var group string
	cmd := &cobra.Command{
		Use: "history RELEASE --group GROUP", Short: "List the generations of a deployment; show one, or what differs between two", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all := []openapi.Generation{}
			for cursor := ""; ; {
				page, err := read[openapi.GenerationList](a.api.ListGenerationsWithResponse(cmd.Context(), a.org, group, args[0],
					&openapi.ListGenerationsParams{Field: openapi.FieldName, Cursor: cursor}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, generationTable)
				}
			}
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "show RELEASE GENERATION", Short: "Show a generation with its values", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := generationOf(args[1])
			if err != nil {
				return err
			}
			g, err := read[openapi.GenerationDetails](a.api.GetGenerationWithResponse(cmd.Context(), a.org, group, args[0], number,
				&openapi.GetGenerationParams{Field: openapi.FieldName}))
			if err != nil {
				return err
			}
			if a.output == "table" {
				a.output = "yaml" // values have no columns
			}
			return show(a, g, nil)
		},
	}, &cobra.Command{
		Use: "diff RELEASE GENERATION [OTHER]", Short: "Show what another generation has instead; the current one, unless named", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			params := openapi.DiffGenerationsParams{Field: openapi.FieldName}
			number, err := generationOf(args[1])
			if err == nil && len(args) > 2 {
				params.To, err = generationOf(args[2])
			}
			if err != nil {
				return err
			}
			d, err := read[openapi.GenerationDiff](a.api.DiffGenerationsWithResponse(cmd.Context(), a.org, group, args[0], number, &params))
			if err != nil {
				return err
			}
			return show(a, d, diffTable)
		},
	})
	cmd.PersistentFlags().StringVar(&group, "group", "", "the cluster group")
	_ = cmd.MarkPersistentFlagRequired("group")
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	var request openapi.RollbackRequest
	cmd := a.onDeployment("rollback", "Bring every target of a deployment back to another generation",
		func(ctx context.Context, group, release string) (answer, error) {
			return a.api.RollbackDeploymentWithResponse(ctx, a.org, group, release, &openapi.RollbackDeploymentParams{Field: openapi.FieldName}, request)
		})
	run := cmd.RunE
	cmd.Use, cmd.Args = "rollback RELEASE GENERATION --group GROUP", cobra.ExactArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if request.Generation, err = generationOf(args[1]); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

func (a *app) redriveCommand() *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "redrive ID", Short: "Try the targets of an ended run again that failed or were canceled", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := read[openapi.Run](a.api.RedriveRunWithResponse(cmd.Context(), a.org, args[0]))
			if err != nil {
				return err
			}
			if a.output != "table" && !watch.set() {
				return show(a, run, nil)
			}
			a.say("run %s takes up what failed in run %s", run.ID, run.RedriveOf)
			return a.follow(cmd.Context(), run.ID, watch)
		},
	}
	watch.register(cmd)
	return cmd
}

func generationOf(arg string) (int, error) {
	number, err := strconv.Atoi(arg)
	if err != nil || number < 1 {
		return 0, fmt.Errorf("%q is no generation; swell history lists them", arg)
	}
	return number, nil
}

// generationTable is what happened, newest first: a generation was accepted, or the targets were rolled back to one.
func generationTable(all []openapi.Generation) *table {
	type event struct {
		at    time.Time
		cells []string
	}
	var events []event
	for _, g := range all {
		number, chart := strconv.Itoa(g.Number), g.ChartName+"-"+g.ChartVersion
		for _, r := range g.Rollbacks {
			back := number + " (rollback)"
			if r.From > 0 {
				back = fmt.Sprintf("%s (rollback from %d)", number, r.From)
			}
			events = append(events, event{r.CreatedAt, []string{back, chart, string(r.Status), r.Actor, ago(r.CreatedAt, time.Now()), r.ID}})
		}
		if g.Current {
			number += " (current)"
		}
		last := openapi.GenerationRun{ID: g.Run, Status: g.Result}
		if g.LastRun.ID != "" {
			last = g.LastRun
		}
		events = append(events, event{g.CreatedAt, []string{number, chart, string(last.Status), g.CreatorName, ago(g.CreatedAt, time.Now()), last.ID}})
	}
	slices.SortStableFunc(events, func(a, b event) int { return b.at.Compare(a.at) })
	t := &table{head: []string{"GENERATION", "CHART", "RESULT", "BY", "CREATED", "RUN"}}
	for _, e := range events {
		t.add(e.cells...)
	}
	return t
}

func diffTable(d openapi.GenerationDiff) *table {
	t := &table{head: []string{"WHERE", "FIELD", fmt.Sprintf("GENERATION %d", d.Before.Number), fmt.Sprintf("GENERATION %d", d.After.Number)}}
	for _, field := range []struct{ name, before, after string }{
		{"chart", d.Before.ChartName, d.After.ChartName},
		{"version", d.Before.ChartVersion, d.After.ChartVersion},
		{"digest", d.Before.ChartDigest, d.After.ChartDigest},
		{"remediation", onFailure(d.Before.Remediation, d.Before.Atomic), onFailure(d.After.Remediation, d.After.Atomic)},
		{"timeoutSeconds", strconv.Itoa(d.Before.TimeoutSeconds), strconv.Itoa(d.After.TimeoutSeconds)},
	} {
		if field.before != field.after {
			t.add("deployment", field.name, field.before, field.after)
		}
	}
	changes := func(where string, all []openapi.ValueChange) {
		for _, c := range all {
			t.add(where, c.Path, inJSON(c.Before, c.Op == openapi.ChangeOpAdded), inJSON(c.After, c.Op == openapi.ChangeOpRemoved))
		}
	}
	changes("values", d.Values)
	for _, cluster := range slices.Sorted(maps.Keys(d.ValueOverrides)) {
		changes(cluster, d.ValueOverrides[cluster])
	}
	if len(t.rows) == 0 {
		return &table{head: []string{fmt.Sprintf("generations %d and %d are the same", d.Before.Number, d.After.Number)}}
	}
	return t
}

// inJSON is a value as JSON, so that a text and a number differ; nothing, where there is none.
func inJSON(value any, none bool) string {
	if none {
		return ""
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(raw)
}
