package cli

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/openapi"
)

const maxRules = 64 << 10

func (a *app) sourceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "source", Aliases: []string{"sources"}, Short: "Follow Git repositories and image registries: what changes there is deployed"}
	cmd.AddCommand(a.sourceCreate(), a.sourceUpdate(), &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List sources", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []openapi.Source{}
			for cursor := ""; ; {
				page, err := read[openapi.SourceList](a.api.ListSourcesWithResponse(cmd.Context(), a.org, &openapi.ListSourcesParams{Cursor: cursor}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, sourceTable)
				}
			}
		},
	}, &cobra.Command{
		Use: "show NAME", Aliases: []string{"get"}, Short: "Show a source with its rules and its hook's URL", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := read[openapi.Source](a.api.GetSourceWithResponse(cmd.Context(), a.org, args[0]))
			if err != nil {
				return err
			}
			return show(a, source, a.ruleTable)
		},
	}, a.sourceRotate(), a.sourceDeliveries(), &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a source; what it deployed stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := read[any](a.api.DeleteSourceWithResponse(cmd.Context(), a.org, args[0], nil)); err != nil {
				return err
			}
			a.say("source %s is deleted", args[0])
			return nil
		},
	})
	return cmd
}

// following is what the command line says of a source, but for its name and kind.
type following struct {
	apiURL, username  string
	tokenStdin        bool
	rulesFile, caFile string
	rule              openapi.SourceRule
}

func (f *following) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.apiURL, "api-url", "", "the API of a host of your own, where it is not at its usual place")
	flags.StringVar(&f.username, "username", "", "the user that goes with the token, where the host wants one")
	flags.BoolVar(&f.tokenStdin, "token-stdin", false, "read the token that the source is read with from standard input")
	flags.StringVar(&f.caFile, "ca-file", "", "the certificates of the authorities to trust in place of the public ones, PEM")
	flags.StringVar(&f.rulesFile, "rules", "", "a YAML list of rules; or one rule by the flags below")
	flags.StringVar(&f.rule.Group, "group", "", "the group of the deployment that follows")
	flags.StringVar(&f.rule.ReleaseName, "release", "", "the deployment that follows")
	flags.StringVar(&f.rule.Branch, "branch", "", "the branch whose head counts")
	flags.StringVar(&f.rule.Tag, "tag", "", "a pattern such as v*; the highest version that matches counts")
	flags.StringVar(&f.rule.Path, "path", "", "the values file in the repository")
	flags.StringVar(&f.rule.Overrides, "overrides", "", "a directory with <cluster>.yaml for each override")
	flags.StringVar(&f.rule.ChartPath, "chart-path", "", "a directory with the chart; none: the deployment's chart stays")
	flags.StringVar(&f.rule.Image, "image", "", "the image's repository in the registry, such as acme/shop")
	flags.StringVar(&f.rule.Range, "range", "", "the range of versions, such as ^1.2; the highest tag in it counts")
	flags.StringVar(&f.rule.ValuesPath, "value", "", "the value that gets the image's tag, such as image.tag")
	cmd.MarkFlagsRequiredTogether("group", "release")
	cmd.MarkFlagsMutuallyExclusive("rules", "group")
	cmd.MarkFlagsOneRequired("rules", "group")
}

func (a *app) sourceRequest(url string, f following) (openapi.ReplaceSourceRequest, error) {
	request := openapi.ReplaceSourceRequest{URL: url, APIURL: f.apiURL, Username: f.username, Rules: []openapi.SourceRule{f.rule}}
	if f.rulesFile != "" {
		text, err := a.readFile(f.rulesFile, maxRules)
		if err != nil {
			return request, err
		}
		if err := yaml.UnmarshalStrict(text, &request.Rules); err != nil {
			return request, fmt.Errorf("reading %s: %w", f.rulesFile, err)
		}
	}
	if f.caFile != "" {
		text, err := a.readFile(f.caFile, maxRules)
		if err != nil {
			return request, err
		}
		request.CA = string(text)
	}
	if f.tokenStdin {
		if f.rulesFile == "-" {
			return request, errors.New("standard input is the token: give the rules as a file")
		}
		text, err := a.readFile("-", maxPassword)
		if err != nil {
			return request, err
		}
		if request.Token = openapi.Secret(strings.TrimRight(string(text), "\r\n")); request.Token == "" {
			return request, errors.New("there is no token on standard input")
		}
	}
	return request, nil
}

func (a *app) sourceCreate() *cobra.Command {
	var f following
	cmd := &cobra.Command{
		Use: "create NAME KIND URL", Short: "Follow a repository or a registry", Args: cobra.ExactArgs(3),
		Long: `Follow a repository or a registry. KIND is github, gitlab, bitbucket, gitea, dockerhub, ghcr, harbor, ecr or generic.
The hook's URL and its secret are shown for you to set up at the host; the secret is shown this once.`,
		Example: "  swell source create shop github https://github.com/acme/shop --group eu --release shop --branch main --path deploy/values.yaml --token-stdin <token\n" +
			"  swell source create images ghcr https://ghcr.io --group eu --release shop --image acme/shop --range '^1.2' --value image.tag",
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := a.sourceRequest(args[2], f)
			if err != nil {
				return err
			}
			secret := newHookSecret()
			source, err := read[openapi.Source](a.api.CreateSourceWithResponse(cmd.Context(), a.org, openapi.SourceRequest{
				Name: args[0], Kind: openapi.SourceKind(args[1]), URL: request.URL, APIURL: request.APIURL, Username: request.Username, Token: request.Token, CA: request.CA,
				Rules: request.Rules, Secret: openapi.Secret(secret),
			}))
			if err != nil {
				return err
			}
			return a.showHook(source, secret)
		},
	}
	f.flags(cmd)
	return cmd
}

// newHookSecret is made here, so that no answer has one. It is a key of Standard Webhooks, which any host takes for its secret.
func newHookSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(raw[:])
}

// hook is a source's webhook, for a person to set up at the host.
type hook struct {
	openapi.Source
	HookURL string `json:"hookUrl"`
	Secret  string `json:"secret"`
}

func (a *app) showHook(source openapi.Source, secret string) error {
	return show(a, hook{source, a.hookURL(source, secret), secret}, func(h hook) *table {
		t := sourceTable([]openapi.Source{h.Source})
		t.notes = append(t.notes, "", "hook:   "+h.HookURL, "secret: "+h.Secret+"  (shown this once)")
		return t
	})
}

// hookURL is what the host is given. One that signs nothing sends the secret in the URL.
func (a *app) hookURL(source openapi.Source, secret string) string {
	url := strings.TrimRight(a.url, "/") + source.HookPath
	if source.Kind == openapi.SourceKindDockerhub && secret != "" {
		url += "?token=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(secret)
	}
	return url
}

func (a *app) sourceUpdate() *cobra.Command {
	var f following
	cmd := &cobra.Command{
		Use: "update NAME URL", Short: "Replace a source's URL, rules and token; a token that is not given again is taken away", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := a.sourceRequest(args[1], f)
			if err != nil {
				return err
			}
			source, err := read[openapi.Source](a.api.ReplaceSourceWithResponse(cmd.Context(), a.org, args[0], nil, request))
			if err != nil {
				return err
			}
			return show(a, []openapi.Source{source}, sourceTable)
		},
	}
	f.flags(cmd)
	return cmd
}

func (a *app) sourceRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate NAME", Short: "Give a source's hook a new secret; the one before stays good for a day", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret := newHookSecret()
			source, err := read[openapi.Source](a.api.RotateSourceWithResponse(cmd.Context(), a.org, args[0], nil, openapi.RotateSourceRequest{Secret: openapi.Secret(secret)}))
			if err != nil {
				return err
			}
			return a.showHook(source, secret)
		},
	}
}

func (a *app) sourceDeliveries() *cobra.Command {
	var params openapi.ListDeliveriesParams
	cmd := &cobra.Command{
		Use: "deliveries NAME", Short: "List what a source's hook received and what became of it, the newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			page, err := read[openapi.DeliveryList](a.api.ListDeliveriesWithResponse(cmd.Context(), a.org, args[0], &params))
			if err != nil {
				return err
			}
			return show(a, page.Items, deliveryTable)
		},
	}
	cmd.Flags().IntVar(&params.Limit, "limit", 20, "how many, at most 500")
	return cmd
}

func sourceTable(all []openapi.Source) *table {
	t := &table{head: []string{"SOURCE", "KIND", "URL", "TOKEN", "RULES", "CREATED"}}
	for _, s := range all {
		token := ""
		if s.HasCredentials {
			token = "yes"
		}
		t.add(s.Name, string(s.Kind), s.URL, token, strconv.Itoa(len(s.Rules)), ago(s.CreatedAt, time.Now()))
	}
	return t
}

func (a *app) ruleTable(s openapi.Source) *table {
	t := &table{head: []string{"RELEASE", "GROUP", "FOLLOWS", "READS"}}
	for _, r := range s.Rules {
		follows, reads := "branch "+r.Branch, strings.Join(notEmpty(r.Path, r.Overrides, r.ChartPath), " ")
		switch {
		case r.Image != "":
			follows, reads = "image "+r.Image, r.Range+" into "+r.ValuesPath
		case r.Tag != "":
			follows = "tags " + r.Tag
		}
		t.add(r.ReleaseName, r.Group, follows, reads)
	}
	t.notes = append(t.notes, "", "source "+s.Name+", "+string(s.Kind)+" "+s.URL, "hook: "+a.hookURL(s, ""))
	return t
}

func deliveryTable(all []openapi.Delivery) *table {
	t := &table{head: []string{"RECEIVED", "EVENT", "ABOUT", "OUTCOME", "RUN", "WHY"}}
	for _, d := range all {
		about := strings.TrimPrefix(strings.TrimPrefix(d.Ref, "refs/heads/"), "refs/tags/")
		switch {
		case d.Image != "":
			about = strings.Trim(d.Image+":"+d.Tag, ":")
		case d.PullRequest > 0:
			about = "#" + strconv.Itoa(d.PullRequest) + " " + about
		case len(d.Commit) > 8:
			about += " " + d.Commit[:8]
		}
		var runs []string
		for _, rule := range d.Rules {
			runs = append(runs, notEmpty(rule.Run)...)
		}
		t.add(ago(d.ReceivedAt, time.Now()), d.Event, about, string(d.Outcome), strings.Join(runs, " "), t.clipped(d.ID, d.Why, maxCause))
	}
	return t
}

// cameFrom says what in a source a run comes from.
func cameFrom(o openapi.RunOrigin) string {
	if o.Source == "" {
		return ""
	}
	words := "from source " + o.Source + ": " + o.Repository
	if ref := strings.TrimPrefix(strings.TrimPrefix(o.Ref, "refs/heads/"), "refs/tags/"); ref != "" {
		words += " " + ref
	}
	if o.PullRequest > 0 {
		words += ", pull request " + strconv.Itoa(o.PullRequest)
	}
	if o.Commit != "" {
		words += ", commit " + o.Commit
	}
	return strings.TrimSpace(words + " " + o.URL)
}
