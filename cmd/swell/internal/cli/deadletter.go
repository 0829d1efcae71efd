package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/deadletter"
	"github.com/swell-sh/swell/shared/openapi"
)

// deadLettersCommand is for whoever operates the installation: it asks AWS and not the API, whose keys are of one organization each.
func (a *app) deadLettersCommand() *cobra.Command {
	var stack string
	cmd := &cobra.Command{
		Use: "dead-letters", Short: "List what the installation gave up, and have it tried again (for its operator)",
		Long: `List what the installation gave up, and have it tried again.

It asks AWS, with the credentials of the environment: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.`,
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // it needs neither URL nor key
	}
	cmd.PersistentFlags().StringVar(&stack, "stack", "swell", "the stack that Swell was installed as")
	cmd.AddCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the dead-letter queues: how many messages, how old, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, queues, err := deadLetters(cmd.Context(), stack)
			if err != nil {
				return err
			}
			return show(a, queues, deadLetterTable)
		},
	}, &cobra.Command{
		Use: "redrive [QUEUE...]", Short: "Have the messages of all queues, or of those named, tried again",
		RunE: func(cmd *cobra.Command, args []string) error {
			installation, queues, err := deadLetters(cmd.Context(), stack)
			if err != nil {
				return err
			}
			for _, name := range args {
				if !slices.ContainsFunc(queues, func(q deadletter.Queue) bool { return q.Name == name }) {
					return fmt.Errorf("there is no dead-letter queue %q: swell dead-letters list shows them", name)
				}
			}
			for _, q := range queues {
				if len(args) > 0 && !slices.Contains(args, q.Name) || q.Messages == 0 {
					continue
				}
				done, err := installation.Redrive(cmd.Context(), q)
				if done.Moved > 0 {
					a.say("%s: %d tried again", q.Name, done.Moved)
				}
				if done.Left > 0 {
					a.say("%s: %d left: %s", q.Name, done.Left, done.Reason)
				}
				if err != nil {
					return refusedByAWS(err)
				}
			}
			return nil
		},
	})
	return cmd
}

func deadLetters(ctx context.Context, stack string) (*deadletter.Installation, []deadletter.Queue, error) {
	cfg, err := config.AWS(ctx)
	if err != nil {
		return nil, nil, err
	}
	installation, err := deadletter.Open(ctx, cfg, stack)
	if err != nil {
		return nil, nil, refusedByAWS(err)
	}
	queues, err := installation.List(ctx)
	if err != nil {
		return nil, nil, refusedByAWS(err)
	}
	return installation, queues, nil
}

// refusedBy is a refusal of somebody else's than the API.
func refusedBy(err error, remedy string) error {
	return &refusedError{problem: openapi.Problem{Detail: err.Error(), Remedy: remedy}}
}

func refusedByAWS(err error) error {
	return refusedBy(err, "see that the credentials are those of the account, and --stack and AWS_REGION are right")
}

func deadLetterTable(queues []deadletter.Queue) *table {
	t := &table{head: []string{"QUEUE", "MESSAGES", "OLDEST", "REASON"}}
	for _, q := range queues {
		age := ""
		if !q.Oldest.IsZero() {
			age = ago(q.Oldest, time.Now())
		}
		t.add(q.Name, strconv.Itoa(q.Messages), age, strings.TrimSpace(q.Reason))
	}
	return t
}
