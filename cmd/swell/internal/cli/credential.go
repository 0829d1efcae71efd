package cli

import (
	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

func (a *app) clusterCredential() *cobra.Command {
	var path string
	params := openapi.SetClusterCredentialParams{Field: openapi.FieldName}
	cmd := &cobra.Command{
		Use:   "credential NAME --kubeconfig FILE",
		Short: "Replace the credential of a cluster",
		Long: `Replace the credential of a cluster. The kubeconfig has to be as for an import, and is kept once it reached the same cluster.
Runs under way use it from their next step on; after that the credential before can be revoked.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readFile(path, maxKubeconfig)
			if err != nil {
				return err
			}
			request := openapi.ClusterCredentialRequest{Kubeconfig: openapi.Secret(text)}
			cluster, err := once[openapi.Cluster](cmd.Context(), a, func(key client.RequestEditorFn) (*client.SetClusterCredentialResponse, error) {
				return a.api.SetClusterCredentialWithResponse(cmd.Context(), a.org, args[0], &params, request, key)
			})
			if err != nil {
				return err
			}
			return show(a, cluster, func(c openapi.Cluster) *table { return clusterTable(c) })
		},
	}
	cmd.Flags().StringVar(&path, "kubeconfig", "", "the kubeconfig; - for standard input")
	_ = cmd.MarkFlagRequired("kubeconfig")
	return cmd
}
