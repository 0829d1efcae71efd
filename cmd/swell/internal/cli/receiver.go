package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

const maxReceiverFile = 8 << 10

func (a *app) receiverCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "receiver", Aliases: []string{"receivers"}, Short: "Tell people and programs of events, such as a run that failed"}
	cmd.AddCommand(a.receiverCreate(), a.receiverUpdate(), a.receiverTest(), &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List receivers, and whether they took the last", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []openapi.Receiver{}
			for cursor := ""; ; {
				page, err := read[openapi.ReceiverList](a.api.ListReceiversWithResponse(cmd.Context(), a.org, &openapi.ListReceiversParams{Cursor: cursor}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, receiverTable)
				}
			}
		},
	}, &cobra.Command{
		Use: "show NAME", Aliases: []string{"get"}, Short: "Show a receiver: what it is told of, and whether it took the last", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := read[openapi.Receiver](a.api.GetReceiverWithResponse(cmd.Context(), a.org, args[0]))
			if err != nil {
				return err
			}
			return show(a, r, receiverDetails)
		},
	}, &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a receiver; what was not sent yet is not sent", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := read[any](a.api.DeleteReceiverWithResponse(cmd.Context(), a.org, args[0], nil)); err != nil {
				return err
			}
			a.say("receiver %s is deleted", args[0])
			return nil
		},
	})
	return cmd
}

// told is what the command line says of a receiver, but for its name and kind.
type told struct {
	urlStdin                      bool
	secretFile, templateFile      string
	events                        []string
	groups, deployments, clusters []string
}

func (f *told) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.urlStdin, "url-stdin", false, "read the URL from standard input: it is as good as a password")
	flags.StringVar(&f.secretFile, "secret-file", "", "the secret that a webhook's requests are signed with, whsec_…; none: one is made, and shown once")
	flags.StringVar(&f.templateFile, "template", "", "a file with a Go template of the text (docs/events.md)")
	flags.StringSliceVar(&f.events, "event", nil, "an event that it is told of, such as run.failed, run.* or *; may be given again")
	flags.StringSliceVar(&f.groups, "group", nil, "only events about this group; may be given again")
	flags.StringSliceVar(&f.deployments, "release", nil, "only events about this deployment; may be given again")
	flags.StringSliceVar(&f.clusters, "cluster", nil, "only events about this cluster; may be given again")
}

// request makes the body, and the secret if one was made.
func (a *app) receiverRequest(kind string, f told) (request openapi.ReplaceReceiverRequest, made string, err error) {
	request = openapi.ReplaceReceiverRequest{Events: f.events, Filter: openapi.ReceiverFilter{Groups: f.groups, Deployments: f.deployments, Clusters: f.clusters}}
	line := func(path string) (string, error) {
		text, err := a.readFile(path, maxReceiverFile)
		return strings.TrimSpace(string(text)), err
	}
	if f.templateFile != "" {
		text, err := a.readFile(f.templateFile, maxReceiverFile)
		if err != nil {
			return request, "", err
		}
		request.Template = string(text)
	}
	if !f.urlStdin {
		return request, "", nil
	}
	url, err := line("-")
	if err != nil {
		return request, "", err
	}
	if url == "" {
		return request, "", errors.New("there is no URL on standard input")
	}
	request.URL = openapi.Secret(url)
	if f.secretFile != "" {
		secret, err := line(f.secretFile)
		request.Secret = openapi.Secret(secret)
		return request, "", err
	}
	if kind == string(openapi.ReceiverKindWebhook) {
		made = newHookSecret()
		request.Secret = openapi.Secret(made)
	}
	return request, made, nil
}

func (a *app) receiverCreate() *cobra.Command {
	var f told
	var kind string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Have a receiver told of events", Args: cobra.ExactArgs(1),
		Example: `  swell receiver create ops --kind slack --url-stdin <url
  swell receiver create audit --kind webhook --url-stdin --event '*' <url
  swell receiver create oncall --kind email --event run.failed --group prod`,
		RunE: func(cmd *cobra.Command, args []string) error {
			replace, made, err := a.receiverRequest(kind, f)
			if err != nil {
				return err
			}
			replace.Name, replace.Kind = args[0], openapi.ReceiverKind(kind)
			r, err := read[openapi.Receiver](a.api.CreateReceiverWithResponse(cmd.Context(), a.org, openapi.ReceiverRequest(replace)))
			if err != nil {
				return err
			}
			return a.showMade(r, made)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "slack, teams, webhook or email")
	_ = cmd.MarkFlagRequired("kind") // it is there
	f.flags(cmd)
	return cmd
}

func (a *app) showMade(r openapi.Receiver, made string) error {
	if made != "" {
		a.say("secret: %s  (shown this once)", made)
	}
	return show(a, []openapi.Receiver{r}, receiverTable)
}

func (a *app) receiverUpdate() *cobra.Command {
	var f told
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Replace what a receiver is told of; its URL stays if none is given", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			was, err := read[openapi.Receiver](a.api.GetReceiverWithResponse(cmd.Context(), a.org, args[0]))
			if err != nil {
				return err
			}
			request, made, err := a.receiverRequest(string(was.Kind), f)
			if err != nil {
				return err
			}
			r, err := read[openapi.Receiver](a.api.ReplaceReceiverWithResponse(cmd.Context(), a.org, args[0], nil, request))
			if err != nil {
				return err
			}
			return a.showMade(r, made)
		},
	}
	f.flags(cmd)
	return cmd
}

func (a *app) receiverTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Send a receiver a test now, and say whether it took it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			outcome, err := read[openapi.ReceiverTest](a.api.TestReceiverWithResponse(cmd.Context(), a.org, args[0], nil))
			if err != nil {
				return err
			}
			if !outcome.Sent {
				return refusedBy(fmt.Errorf("receiver %s did not take it: %s", args[0], outcome.Error), "put its URL right with swell receiver update "+args[0])
			}
			a.say("receiver %s took it", args[0])
			return nil
		},
	}
}

func receiverTable(all []openapi.Receiver) *table {
	t := &table{head: []string{"RECEIVER", "KIND", "HOST", "EVENTS", "LAST SENT", "FAILING"}}
	for _, r := range all {
		failing := ""
		if !r.FailingSince.IsZero() {
			failing = "since " + ago(r.FailingSince, time.Now()) + ": " + r.LastError
		}
		t.add(r.Name, string(r.Kind), r.Host, strings.Join(r.Events, ","), ago(r.LastSentAt, time.Now()), failing)
	}
	return t
}

func receiverDetails(r openapi.Receiver) *table {
	t := receiverTable([]openapi.Receiver{r})
	only := func(name string, values []string) {
		if len(values) > 0 {
			t.notes = append(t.notes, "only "+name+": "+strings.Join(values, ", "))
		}
	}
	only("groups", r.Filter.Groups)
	only("deployments", r.Filter.Deployments)
	only("clusters", r.Filter.Clusters)
	if r.Template != "" {
		t.notes = append(t.notes, "", strings.TrimRight(r.Template, "\n"))
	}
	return t
}
