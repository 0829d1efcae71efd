package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

// versions are those of the command and of the installation.
type versions struct {
	Client openapi.Version  `json:"client"`
	Server *openapi.Version `json:"server,omitempty"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of swell, and of the installation where one is named", Args: cobra.NoArgs,
		Annotations: map[string]string{offline: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			both := versions{Client: openapi.Version{Version: a.Version}}
			if a.api != nil {
				server, err := read[openapi.Version](a.api.GetVersionWithResponse(cmd.Context()))
				if err != nil {
					return err
				}
				both.Server = &server
			}
			return show(a, both, func(v versions) *table {
				t := &table{head: []string{"COMPONENT", "VERSION"}}
				t.add("swell", words(v.Client))
				if v.Server != nil {
					t.add("installation", words(*v.Server))
				}
				return t
			})
		},
	}
}

func words(v openapi.Version) string {
	return strings.Join(notEmpty(v.Version, v.Commit), " ")
}
