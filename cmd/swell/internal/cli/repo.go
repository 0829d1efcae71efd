package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

const maxPassword = 64 << 10

func (a *app) repoCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "repo", Aliases: []string{"repos"}, Short: "Name chart repositories"}
	cmd.AddCommand(a.repoAdd(), a.repoUpdate(), &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List chart repositories", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.repositories(cmd.Context())
			if err != nil {
				return err
			}
			return show(a, all, repoTable)
		},
	}, a.repoCharts(), &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a chart repository; deployments keep the charts they have", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := read[any](a.api.RemoveRepositoryWithResponse(cmd.Context(), a.org, args[0], nil)); err != nil {
				return err
			}
			a.say("repository %s is removed", args[0])
			return nil
		},
	})
	return cmd
}

// access is what a repository is read with, as the command line gives it.
type access struct {
	username                  string
	passwordStdin             bool
	caFile, certFile, keyFile string
}

func (f *access) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.username, "username", "", "the user that the repository is read as")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the user's password or token from standard input")
	flags.StringVar(&f.caFile, "ca-file", "", "the certificates of the authorities to trust in place of the public ones, PEM")
	flags.StringVar(&f.certFile, "cert-file", "", "the client's certificate, PEM")
	flags.StringVar(&f.keyFile, "key-file", "", "the client's private key, PEM")
	cmd.MarkFlagsRequiredTogether("username", "password-stdin")
	cmd.MarkFlagsRequiredTogether("cert-file", "key-file")
}

func (a *app) repoRequest(url string, f access) (openapi.ReplaceRepositoryRequest, error) {
	request := openapi.ReplaceRepositoryRequest{URL: url, Username: f.username}
	if f.passwordStdin {
		text, err := a.readFile("-", maxPassword)
		if err != nil {
			return request, err
		}
		if request.Password = openapi.Secret(strings.TrimRight(string(text), "\r\n")); request.Password == "" {
			return request, errors.New("there is no password on standard input")
		}
	}
	var key string
	for path, into := range map[string]*string{f.caFile: &request.TLS.CA, f.certFile: &request.TLS.Certificate, f.keyFile: &key} {
		if path == "" {
			continue
		}
		text, err := a.readFile(path, maxPassword)
		if err != nil {
			return request, err
		}
		*into = string(text)
	}
	request.TLS.Key = openapi.Secret(key)
	return request, nil
}

func (a *app) repoAdd() *cobra.Command {
	var f access
	cmd := &cobra.Command{
		Use: "add NAME URL", Short: "Add a chart repository, https://… or oci://…", Args: cobra.ExactArgs(2),
		Example: "  swell repo add podinfo https://stefanprodan.github.io/podinfo\n  swell repo add acme oci://registry.acme.example/charts --username robot --password-stdin <token",
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := a.repoRequest(args[1], f)
			if err != nil {
				return err
			}
			request.Name = args[0]
			repository, err := read[openapi.Repository](a.api.AddRepositoryWithResponse(cmd.Context(), a.org, openapi.RepositoryRequest(request)))
			if err != nil {
				return err
			}
			return show(a, []openapi.Repository{repository}, repoTable)
		},
	}
	f.flags(cmd)
	return cmd
}

func (a *app) repoUpdate() *cobra.Command {
	var f access
	cmd := &cobra.Command{
		Use: "update NAME URL", Short: "Replace a repository's URL and credentials; those that are not given again are taken away", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := a.repoRequest(args[1], f)
			if err != nil {
				return err
			}
			repository, err := read[openapi.Repository](a.api.ReplaceRepositoryWithResponse(cmd.Context(), a.org, args[0], nil, request))
			if err != nil {
				return err
			}
			return show(a, []openapi.Repository{repository}, repoTable)
		},
	}
	f.flags(cmd)
	return cmd
}

func (a *app) repositories(ctx context.Context) ([]openapi.Repository, error) {
	all := []openapi.Repository{}
	for cursor := ""; ; {
		page, err := read[openapi.RepositoryList](a.api.ListRepositoriesWithResponse(ctx, a.org, &openapi.ListRepositoriesParams{Cursor: cursor}))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

func repoTable(all []openapi.Repository) *table {
	t := &table{head: []string{"REPOSITORY", "URL", "CREDENTIALS", "ADDED"}}
	for _, r := range all {
		t.add(r.Name, r.URL, credentialsOf(r), ago(r.CreatedAt, time.Now()))
	}
	return t
}

func credentialsOf(r openapi.Repository) string {
	switch {
	case r.HasCredentials && r.HasTLS:
		return "password,tls"
	case r.HasCredentials:
		return "password"
	case r.HasTLS:
		return "tls"
	}
	return ""
}
