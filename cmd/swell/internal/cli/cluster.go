package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

// maxKubeconfig is more than a kubeconfig of one cluster needs.
const maxKubeconfig = 1 << 20

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Aliases: []string{"clusters"}, Short: "Import clusters, and look at them"}
	cmd.AddCommand(a.clusterImport(), a.clusterList(), a.clusterGet(), a.clusterLabel(), a.clusterCredential(), a.clusterRelay(), a.clusterDelete())
	return cmd
}

func (a *app) clusterImport() *cobra.Command {
	var request openapi.ImportClusterRequest
	var path string
	var noRelay bool
	var labels map[string]string
	cmd := &cobra.Command{
		Use:   "import NAME --kubeconfig FILE",
		Short: "Import a cluster",
		Long: `Import a cluster. Swell reaches it once before it is accepted, and keeps the kubeconfig in Secrets Manager.
The kubeconfig has to be self-contained (kubectl config view --raw --flatten --minify), without exec and auth provider.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readFile(path, maxKubeconfig)
			if err != nil {
				return err
			}
			request.Name, request.Kubeconfig, request.Labels = args[0], openapi.Secret(text), labels
			if noRelay {
				request.Relay = &openapi.RelayRequest{Enabled: false}
			}
			cluster, err := read[openapi.Cluster](a.api.ImportClusterWithResponse(cmd.Context(), a.org, request))
			if err != nil {
				return err
			}
			return show(a, cluster, func(c openapi.Cluster) *table { return clusterTable(c) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&path, "kubeconfig", "", "the kubeconfig; - for standard input")
	flags.StringVar(&request.Cloud, "cloud", "", "where it runs, such as amazon")
	flags.StringVar(&request.Distribution, "distribution", "", "which Kubernetes it is, such as eks")
	flags.StringVar(&request.Location, "location", "", "its region or site")
	flags.BoolVar(&noRelay, "no-relay", false, "without the watcher inside the cluster")
	flags.StringToStringVar(&labels, "label", nil, "a label, key=value; may be repeated")
	_ = cmd.MarkFlagRequired("kubeconfig")
	return cmd
}

func (a *app) clusterList() *cobra.Command {
	var params openapi.ListClustersParams
	var status, sort string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List clusters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			params.Status, params.Sort = openapi.ClusterStatus(status), openapi.ListClustersParamsSort(sort)
			clusters, err := a.clusters(cmd.Context(), params)
			if err != nil {
				return err
			}
			return show(a, clusters, func(all []openapi.Cluster) *table { return clusterTable(all...) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&params.LabelSelector, "selector", "l", "", "only with these labels, key=value with commas between")
	flags.StringVar(&status, "status", "", "only in this status: RUNNING or UNKNOWN")
	flags.StringVar(&params.Cloud, "cloud", "", "only of this cloud")
	flags.StringVar(&params.NamePrefix, "name-prefix", "", "only those whose name begins so")
	flags.StringVar(&sort, "sort", "", "name, -name, createdAt or -createdAt")
	return cmd
}

func (a *app) clusterGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Aliases: []string{"show"}, Short: "Show a cluster", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := a.cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(a, cluster, func(c openapi.Cluster) *table {
				t := clusterTable(c)
				t.notes = append(t.notes, relayNote(c)...)
				return t
			})
		},
	}
}

func (a *app) clusterDelete() *cobra.Command {
	params := openapi.DeleteClusterParams{Field: openapi.FieldName}
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a cluster; the cluster itself stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			forgotten, err := read[openapi.ClusterForgotten](a.api.DeleteClusterWithResponse(cmd.Context(), a.org, args[0], &params))
			if err != nil {
				return err
			}
			if params.Force {
				return a.forgetDead(forgotten)
			}
			a.say("cluster %s is forgotten; what runs on it stays", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&params.Force, "force", false, "for a cluster that is dead: take it out of its group, and forget its releases without uninstalling them")
	return cmd
}

func (a *app) cluster(ctx context.Context, name string) (openapi.Cluster, error) {
	return read[openapi.Cluster](a.api.GetClusterWithResponse(ctx, a.org, name, &openapi.GetClusterParams{Field: openapi.FieldName}))
}

func (a *app) clusters(ctx context.Context, params openapi.ListClustersParams) ([]openapi.Cluster, error) {
	all := []openapi.Cluster{}
	for {
		page, err := read[openapi.ClusterList](a.api.ListClustersWithResponse(ctx, a.org, &params))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			return all, nil
		}
	}
}

// clusterIDs resolves names.
func (a *app) clusterIDs(ctx context.Context, names []string) ([]string, error) {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		c, err := a.cluster(ctx, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

func clusterTable(all ...openapi.Cluster) *table {
	t := &table{head: []string{"CLUSTER", "CLOUD", "DISTRIBUTION", "LOCATION", "VERSION", "NODES", "STATUS", "LABELS", "OBSERVED"}}
	for _, c := range all {
		labels := make([]string, 0, len(c.Labels))
		for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
			labels = append(labels, key+"="+c.Labels[key])
		}
		t.add(c.Name, c.Cloud, c.Distribution, c.Location, c.Version, strconv.Itoa(c.Nodes), string(c.Status), strings.Join(labels, ","),
			ago(c.ObservedAt, time.Now()))
		if c.StatusMessage != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s", c.Name, oneLine(c.StatusMessage)))
		}
	}
	return t
}

// readFile reads a file of at most limit bytes, or standard input where path is "-".
func (a *app) readFile(path string, limit int64) ([]byte, error) {
	source := a.In
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the user names it
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	text, err := io.ReadAll(io.LimitReader(source, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is over %d MiB", path, limit>>20)
	}
	return text, nil
}
