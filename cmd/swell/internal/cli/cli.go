// Package cli is the commands of swell: each translates its flags to one call or two of the HTTP API, and the answer to lines for a person.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi/client"
)

// Process is what a command line gets of its process.
type Process struct {
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Version  string
}

// The exit codes.
const (
	exitOK          = 0
	exitRunFailed   = 1 // a run ended otherwise than Succeeded
	exitUsage       = 2
	exitProblem     = 3 // the API answered a problem, or nothing
	exitInterrupted = 130
)

// app is what the commands share.
type app struct {
	Process
	url, key, org string
	output        string // table, json or yaml
	interval      time.Duration
	api           *client.ClientWithResponses
}

// Main runs a command line and returns its exit code.
func Main(ctx context.Context, p Process) int {
	a := &app{Process: p}
	root := a.root() //nolint:contextcheck // cobra gives each command the context
	root.SetArgs(p.Args)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	a.explain(ctx, cmd, err)
	var unanswered *unansweredError
	var refused *refusedError
	var ended *endedError
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &ended):
		return exitRunFailed
	case errors.As(err, &refused), errors.As(err, &unanswered):
		return exitProblem
	default:
		return exitUsage
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "swell",
		Short: "Deploy Helm charts to groups of Kubernetes clusters",
		Long: `Deploy Helm charts to groups of Kubernetes clusters.

The installation is named by SWELL_URL, the key by SWELL_TOKEN, the organization by SWELL_ORG, or by the flags.
Exit codes: 0 done; 1 a run did not succeed on every target; 2 the command line is wrong; 3 the API refused it or did not answer.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.connect(cmd)
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.url, "url", a.Getenv("SWELL_URL"), "the installation's URL (SWELL_URL)")
	flags.StringVar(&a.org, "org", orDefault(a.Getenv("SWELL_ORG"), "default"), "the organization (SWELL_ORG)")
	flags.StringVar(&a.key, "token", "", "the key; better given as SWELL_TOKEN, which other users of the machine cannot see")
	flags.StringVarP(&a.output, "output", "o", "table", "table, json or yaml")
	flags.DurationVar(&a.interval, "interval", time.Second, "how often a watch asks")
	root.AddCommand(a.clusterCommand(), a.groupCommand(), a.chartCommand(), a.repoCommand(), a.sourceCommand(), a.searchCommand(),
		a.deployCommand(), a.planCommand(), a.applyCommand(), a.statusCommand(), a.valuesCommand(), a.listCommand(), a.checkCommand(), a.syncCommand(), a.driftCommand(), a.settingsCommand(), a.deleteCommand(),
		a.historyCommand(), a.rollbackCommand(),
		a.runsCommand(), a.runCommand(), a.receiverCommand(), a.deadLettersCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		noArgumentsWithoutCommand(c)
	}
	return root
}

// noArgumentsWithoutCommand makes a mistyped subcommand an error: cobra shows the help and ends well.
func noArgumentsWithoutCommand(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
			}
			return cmd.Help()
		}
		c.Annotations = map[string]string{offline: "yes"}
	}
}

// offline marks a command that calls no API.
const offline = "offline"

// connect makes the client. Commands that are not ours (help, completion) and offline ones need none.
func (a *app) connect(cmd *cobra.Command) error {
	if a.output != "table" && a.output != "json" && a.output != "yaml" {
		return fmt.Errorf("--output is %q; use table, json or yaml", a.output)
	}
	if a.key == "" {
		a.key = a.Getenv("SWELL_TOKEN")
	}
	if a.url == "" {
		if cmd.Annotations[offline] != "" || cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion" {
			return nil
		}
		return errors.New("no installation is named; set SWELL_URL, or give --url")
	}
	if !strings.HasPrefix(a.url, "http://") && !strings.HasPrefix(a.url, "https://") {
		return fmt.Errorf("SWELL_URL is %q; it begins with https:// (or http:// on this machine)", a.url)
	}
	var err error
	a.api, err = client.New(a.url, a.key, &http.Client{Timeout: 60 * time.Second, Transport: transport()})
	return err
}

// transport resolves names under localhost to this machine, as RFC 6761 says and not every resolver does.
func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		return dialer.DialContext(ctx, network, address)
	}
	return t
}

// terminal says whether Out is one, so that lines can be drawn again.
func (a *app) terminal() bool {
	file, ok := a.Out.(*os.File)
	if !ok || a.Getenv("TERM") == "dumb" || a.Getenv("TERM") == "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
