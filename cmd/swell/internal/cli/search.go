package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

// found is a chart of a repository, as search shows it.
type found struct {
	Chart string `json:"chart"` // repository/name, as deploy takes it
	openapi.ListedChart
}

func (a *app) searchCommand() *cobra.Command {
	var repo string
	cmd := &cobra.Command{
		Use: "search [WORD…]", Short: "Search the charts of all repositories", Args: cobra.ArbitraryArgs,
		Long: `Search the charts of all repositories: each word is in the chart's name, description or keywords.
OCI registries do not list their charts: swell chart versions REPOSITORY/CHART asks for one by name.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, oci, err := a.searched(cmd.Context(), repo)
			if err != nil {
				return err
			}
			all := []found{}
			var failed error // the others are shown all the same
			for _, name := range names {
				charts, err := a.chartsOf(cmd.Context(), name, strings.Join(args, " "))
				if err != nil && len(names) > 1 {
					a.complain("repository %s was not searched: %v", name, err)
				}
				failed = cmp.Or(failed, err)
				all = append(all, charts...)
			}
			for _, name := range oci {
				a.complain("repository %s is in an OCI registry, which does not list its charts", name)
			}
			if failed != nil && len(names) == 1 {
				return failed
			}
			return cmp.Or(show(a, all, foundTable), failed)
		},
	}
	cmd.Flags().StringVar(&repo, "repo", "", "only this repository")
	return cmd
}

// searched are the repositories to search, and those that cannot be.
func (a *app) searched(ctx context.Context, only string) (names, oci []string, err error) {
	if only != "" {
		return []string{only}, nil, nil
	}
	all, err := a.repositories(ctx)
	for _, r := range all {
		if r.Type == openapi.RepositoryTypeOci {
			oci = append(oci, r.Name)
		} else {
			names = append(names, r.Name)
		}
	}
	return names, oci, err
}

func (a *app) repoCharts() *cobra.Command {
	return &cobra.Command{
		Use: "charts NAME", Short: "List the charts of a repository", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			charts, err := a.chartsOf(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			return show(a, charts, foundTable)
		},
	}
}

func (a *app) chartsOf(ctx context.Context, repo, query string) ([]found, error) {
	all := []found{}
	for params := (openapi.ListChartsParams{Query: query, Limit: 500}); ; {
		page, err := read[openapi.ListedChartList](a.api.ListChartsWithResponse(ctx, a.org, repo, &params))
		if err != nil {
			return nil, err
		}
		for _, chart := range page.Items {
			all = append(all, found{repo + "/" + chart.Name, chart})
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			return all, nil
		}
	}
}

func foundTable(all []found) *table {
	t := &table{head: []string{"CHART", "VERSION", "APP VERSION", "DESCRIPTION"}}
	for _, c := range all {
		description := oneLine(c.Description)
		if c.Deprecated {
			description = "DEPRECATED " + description
		}
		t.add(c.Chart, c.Version, c.AppVersion, description)
	}
	return t
}

func (a *app) chartVersions() *cobra.Command {
	var params openapi.ListChartVersionsParams
	cmd := &cobra.Command{
		Use: "versions REPOSITORY/CHART", Short: "List the newest versions of a chart", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			repo, chart, ok := strings.Cut(args[0], "/")
			if !ok || repo == "" || chart == "" {
				return fmt.Errorf("%s is not REPOSITORY/CHART", args[0])
			}
			page, err := read[openapi.ChartVersionList](a.api.ListChartVersionsWithResponse(cmd.Context(), a.org, repo, chart, &params))
			if err != nil {
				return err
			}
			if page.NextCursor != "" {
				a.complain("there are older versions: --cursor %s", page.NextCursor)
			}
			return show(a, page.Items, versionsTable)
		},
	}
	cmd.Flags().IntVar(&params.Limit, "limit", 20, "how many")
	cmd.Flags().StringVar(&params.Cursor, "cursor", "", "where to go on")
	cmd.Flags().BoolVar(&params.Provenance, "provenance", false, "look for the provenance files of the first ten, also in an index repository")
	return cmd
}

func versionsTable(all []openapi.ChartVersion) *table {
	t := &table{head: []string{"VERSION", "APP VERSION", "PROVENANCE", "CREATED", "DIGEST"}}
	for _, v := range all {
		t.add(v.Version, v.AppVersion, string(v.Provenance), ago(v.CreatedAt, time.Now()), v.Digest)
	}
	return t
}
