package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) runsCommand() *cobra.Command {
	var params openapi.ListRunsParams
	var status, kind, release, group, trigger string
	var since time.Duration
	cmd := &cobra.Command{
		Use: "runs", Short: "List runs, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			params.Type, params.Status, params.Trigger = openapi.RunType(kind), openapi.RunStatus(status), openapi.RunTrigger(trigger)
			if since > 0 {
				params.CreatedAfter = new(time.Now().Add(-since).UTC())
			}
			if (release == "") != (group == "") {
				return fmt.Errorf("--release and --group go together")
			}
			if release != "" {
				d, err := a.deployment(cmd.Context(), group, release)
				if err != nil {
					return err
				}
				params.DeploymentID = d.ID
			}
			runs, err := read[openapi.RunList](a.api.ListRunsWithResponse(cmd.Context(), a.org, &params))
			if err != nil {
				return err
			}
			return show(a, runs.Items, runTable)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kind, "type", "", "only of this type: deploy, rollback, sync, remove, check, leave, plan or join")
	flags.StringVar(&status, "status", "", "only in this status, such as Running")
	flags.StringVar(&trigger, "trigger", "", "only what this started: api, reconcile or source")
	flags.DurationVar(&since, "since", 0, "only what was accepted in this time, such as 24h")
	flags.StringVar(&release, "release", "", "only of this deployment; needs --group")
	flags.StringVar(&group, "group", "", "the deployment's group")
	flags.IntVar(&params.Limit, "limit", 20, "how many, at most 500")
	return cmd
}

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Show, watch, pause, resume, cancel or redrive a run"}
	cmd.AddCommand(&cobra.Command{
		Use: "get ID", Aliases: []string{"show"}, Short: "Show a run with its targets and steps", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := read[openapi.RunDetails](a.api.GetRunWithResponse(cmd.Context(), a.org, args[0], nil))
			if err != nil {
				return err
			}
			return show(a, run, stepTable)
		},
	}, &cobra.Command{
		Use: "watch ID", Short: "Watch a run until it ends", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.follow(cmd.Context(), args[0], watchFlags{watch: true})
		},
	}, a.pauseCommand(), a.resumeCommand(), a.cancelCommand(), a.redriveCommand())
	return cmd
}

func runTable(runs []openapi.Run) *table {
	t := &table{head: []string{"RUN", "TYPE", "RELEASE", "GENERATION", "STATUS", "TARGETS", "BY", "CREATED", "TOOK"}}
	for _, r := range runs {
		generation := ""
		if r.Deployment.Generation > 0 {
			generation = strconv.Itoa(r.Deployment.Generation)
		}
		t.add(r.ID, string(r.Type), r.Deployment.ReleaseName, generation, string(r.Status), counts(r.Counts),
			r.Actor, ago(r.CreatedAt, time.Now()), took(r.StartedAt, r.EndedAt, time.Now()))
	}
	return t
}

func stepTable(r openapi.RunDetails) *table {
	t := targetTable(r)
	if len(r.Steps) == 0 {
		return t
	}
	steps := &table{head: []string{"STEP", "CLUSTER", "ATTEMPT", "STATUS", "STARTED", "TOOK", "CAUSE"}}
	for _, s := range r.Steps {
		steps.add(s.State, s.ClusterName, strconv.Itoa(s.Attempt), string(s.Status), s.StartedAt.Local().Format(time.TimeOnly),
			took(s.StartedAt, s.EndedAt, time.Now()), clip(because(s.Code, s.Cause), maxCause))
	}
	t.notes = append(t.notes, "", strings.TrimSuffix(steps.String(), "\n"))
	return t
}

const maxCause = 70 // letters of a cause in a table

// targetTable has one line a target; the run itself stands below.
func targetTable(r openapi.RunDetails) *table {
	t := &table{head: []string{"CLUSTER", "ACTION", "STATUS", "REVISION", "TOOK", "LEARNED BY", "CAUSE"}}
	for _, target := range r.Targets {
		revision := ""
		if target.Revision > 0 {
			revision = strconv.Itoa(target.Revision)
		}
		t.add(target.ClusterName, string(target.Action), string(target.Status), revision,
			took(target.StartedAt, target.EndedAt, time.Now()), string(target.LearnedBy), t.clipped(target.ClusterName, causeOf(target), maxCause))
	}
	waves := make([]string, len(r.Targets))
	for i, target := range r.Targets {
		waves[i] = target.Wave
	}
	t.withWave(waves)
	t.notes = append(t.notes, "", title(r)+": "+ending(r, time.Now()))
	t.notes = append(t.notes, notEmpty(cameFrom(r.Origin))...)
	return t
}

func causeOf(target openapi.RunTarget) string {
	words := notEmpty(because(target.Code, target.Cause), oneLine(target.Warning), remedied(target.Remedy))
	if target.LeftBehind {
		words = append(words, "something was left behind")
	}
	return strings.Join(words, "; ")
}

func because(code, cause string) string {
	return oneLine(strings.Join(notEmpty(code, cause), ": "))
}

func title(r openapi.RunDetails) string {
	words := "run " + r.ID + ", " + string(r.Type)
	if r.Deployment.ReleaseName != "" {
		words += fmt.Sprintf(" %s, generation %d", r.Deployment.ReleaseName, r.Deployment.Generation)
	}
	return words
}

func ending(r openapi.RunDetails, now time.Time) string {
	words := string(r.Status)
	if !ended(r.Status) && r.Paused {
		words += ", paused"
	}
	if !ended(r.Status) && r.Reverting {
		words += ", taking back what it did"
	}
	if why := because(r.Code, r.Cause); why != "" {
		words += ", " + why
	}
	if all := counts(r.Counts); all != "" {
		words += " (" + all + ")"
	}
	if !r.StartedAt.IsZero() {
		words += " in " + took(r.StartedAt, r.EndedAt, now)
	}
	return words
}

func counts(c openapi.RunCounts) string {
	if c.Total == 0 {
		return ""
	}
	words := []string{}
	for _, part := range []struct {
		n    int
		word string
	}{{c.Waiting, "waiting"}, {c.Running, "running"}, {c.Succeeded, "succeeded"}, {c.Failed, "failed"}, {c.Canceled, "canceled"}, {c.Superseded, "superseded"}, {c.Reverted, "reverted"}, {c.Unreachable, "unreachable"}} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(words, ", ")
}

func took(from, to, now time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = now
	}
	return short(to.Sub(from))
}

func ended(s openapi.RunStatus) bool {
	return s != openapi.RunStatusPending && s != openapi.RunStatusRunning
}
