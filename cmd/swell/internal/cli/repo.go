package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) repoCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "repo", Aliases: []string{"repos"}, Short: "Name chart repositories"}
	cmd.AddCommand(&cobra.Command{
		Use: "add NAME URL", Short: "Add a chart repository", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			repository, err := read[openapi.Repository](a.api.AddRepositoryWithResponse(cmd.Context(), a.org, openapi.RepositoryRequest{Name: args[0], URL: args[1]}))
			if err != nil {
				return err
			}
			return show(a, []openapi.Repository{repository}, repoTable)
		},
	}, &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List chart repositories", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []openapi.Repository{}
			for cursor := ""; ; {
				page, err := read[openapi.RepositoryList](a.api.ListRepositoriesWithResponse(cmd.Context(), a.org, &openapi.ListRepositoriesParams{Cursor: cursor}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, repoTable)
				}
			}
		},
	}, &cobra.Command{
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

func repoTable(all []openapi.Repository) *table {
	t := &table{head: []string{"REPOSITORY", "URL", "ADDED"}}
	for _, r := range all {
		t.add(r.Name, r.URL, ago(r.CreatedAt, time.Now()))
	}
	return t
}
