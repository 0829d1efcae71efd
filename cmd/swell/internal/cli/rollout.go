package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/rollout"
)

const maxRollout = 64 << 10

// rolloutFlags say how a generation goes to its targets.
type rolloutFlags struct {
	file                                        string
	canary                                      []string
	bake                                        time.Duration
	maxConcurrency, maxFailures, maxUnreachable string
}

func (f *rolloutFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "rollout", "", "a YAML file with waves and budgets, as in docs/rollout.md; {} for all targets at once; kept if never said again")
	flags.StringSliceVar(&f.canary, "canary", nil, "the cluster that is first; with commas, several; the other waves stay")
	flags.DurationVar(&f.bake, "bake", 0, "how long the canary must have been well before the others begin, such as 5m")
	flags.StringVar(&f.maxConcurrency, "max-concurrency", "", "how many targets are walked side by side: a number or a percentage")
	flags.StringVar(&f.maxFailures, "max-failures", "", "how many targets of a wave may fail before the run stops: a number or a percentage")
	flags.StringVar(&f.maxUnreachable, "max-unreachable", "", "how many targets may be unreachable before the run stops: a number or a percentage; they stop nobody if left out")
	for _, simple := range []string{"canary", "bake", "max-concurrency", "max-failures", "max-unreachable"} {
		cmd.MarkFlagsMutuallyExclusive("rollout", simple)
	}
}

// set puts into request what the flags say; the parts of the roll-out that none names stay as they were.
func (f rolloutFlags) set(a *app, cmd *cobra.Command, request *openapi.DeploymentRequest, was *openapi.Rollout) error {
	if f.file != "" {
		raw, err := a.readFile(f.file, maxRollout)
		if err != nil {
			return fmt.Errorf("reading the roll-out: %w", err)
		}
		request.Rollout = &openapi.Rollout{}
		if err := yaml.UnmarshalStrict(raw, request.Rollout); err != nil {
			return fmt.Errorf("reading the roll-out of %s: %w", f.file, err)
		}
		return nil
	}
	changed := cmd.Flags().Changed
	if changed("bake") && len(f.canary) == 0 {
		return fmt.Errorf("--bake needs --canary; for more, write a file for --rollout")
	}
	simple := []string{"canary", "max-concurrency", "max-failures", "max-unreachable"}
	if !slices.ContainsFunc(simple, changed) {
		return nil
	}
	request.Rollout = &openapi.Rollout{}
	if was != nil {
		*request.Rollout = *was
	}
	if f.maxConcurrency != "" {
		request.Rollout.MaxConcurrency = f.maxConcurrency
	}
	if f.maxFailures != "" {
		request.Rollout.MaxFailures = f.maxFailures
	}
	if f.maxUnreachable != "" {
		request.Rollout.MaxUnreachable = f.maxUnreachable
	}
	if len(f.canary) > 0 {
		request.Rollout.Waves = f.waves(request.Rollout.Waves)
	}
	return nil
}

// waves are those that there were, with the flags' clusters in the one that is called canary; where there was none, it is the first.
func (f rolloutFlags) waves(were []openapi.Wave) []openapi.Wave {
	const canary = "canary"
	waves := slices.Clone(were)
	i := slices.IndexFunc(waves, func(w openapi.Wave) bool { return w.Name == canary })
	if i < 0 {
		i, waves = 0, slices.Insert(waves, 0, openapi.Wave{Name: canary, MaxFailures: 0})
	}
	waves[i].Clusters, waves[i].Selector = f.canary, nil
	if f.bake > 0 {
		waves[i].MinSuccessTime = rollout.Text(f.bake)
	}
	return waves
}

// withWave adds a column for the waves, if there are any.
func (t *table) withWave(waves []string) {
	if !slices.ContainsFunc(waves, func(wave string) bool { return wave != "" }) {
		return
	}
	t.head = slices.Insert(t.head, 1, "WAVE")
	for i, row := range t.rows {
		t.rows[i] = slices.Insert(row, 1, orDefault(waves[i], "last"))
	}
}

// onRun is a command that changes where a run goes.
func (a *app) onRun(use, short, said string, call func(ctx context.Context, id string) (answer, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := read[openapi.Run](call(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if a.output != "table" {
				return show(a, run, nil)
			}
			a.say("run %s %s", run.ID, said)
			return nil
		},
	}
}

func (a *app) pauseCommand() *cobra.Command {
	return a.onRun("pause", "Let a run begin no further target until it is resumed", "is paused; what a target is in the middle of goes on",
		func(ctx context.Context, id string) (answer, error) {
			return a.api.PauseRunWithResponse(ctx, a.org, id)
		})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.onRun("resume", "Let a paused run go on", "goes on",
		func(ctx context.Context, id string) (answer, error) {
			return a.api.ResumeRunWithResponse(ctx, a.org, id)
		})
}

func (a *app) cancelCommand() *cobra.Command {
	var params openapi.CancelRunParams
	cmd := a.onRun("cancel", "Ask a run to stop, also where it is paused or bakes", "is asked to stop; what a target is in the middle of is finished first",
		func(ctx context.Context, id string) (answer, error) {
			return a.api.CancelRunWithResponse(ctx, a.org, id, &params)
		})
	cmd.Aliases = []string{"abort"}
	cmd.Flags().BoolVar(&params.RollBack, "roll-back", false, "bring the targets that it has changed back to what they were, the last wave first")
	return cmd
}

// wavesOf tells a deployment's waves in a line.
func wavesOf(r *openapi.Rollout) []string {
	if r == nil {
		return nil
	}
	words := []string{}
	for _, w := range r.Waves {
		text := w.Name
		if w.MinSuccessTime != "" {
			text += " (" + w.MinSuccessTime + ")"
		}
		words = append(words, text)
	}
	return []string{"roll-out: " + strings.Join(append(words, "the rest"), ", then ")}
}
