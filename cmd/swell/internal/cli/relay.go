package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
)

func (a *app) clusterRelay() *cobra.Command {
	cmd := &cobra.Command{
		Use: "relay", Short: "The watcher inside a cluster: show, install, rotate its key, remove",
		Long: `The watcher inside a cluster. It reports what becomes of releases as it happens, so that Swell looks at once rather than when it is due.
What is asked for is done soon after the answer: swell cluster relay show says when, or why not.`,
	}
	cmd.AddCommand(a.relayShow(), a.relayInstall(), a.relayRotate(), a.relayRemove())
	return cmd
}

func (a *app) relayShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a cluster's relay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := a.cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(a, cluster, relayTable)
		},
	}
}

func (a *app) relayInstall() *cobra.Command {
	params := openapi.InstallRelayParams{Field: openapi.FieldName}
	return &cobra.Command{
		Use: "install NAME", Short: "Install a cluster's relay, or upgrade it to this installation's version", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := once[openapi.Cluster](cmd.Context(), a, func(key client.RequestEditorFn) (*client.InstallRelayResponse, error) {
				return a.api.InstallRelayWithResponse(cmd.Context(), a.org, args[0], &params, key)
			})
			if err != nil {
				return err
			}
			return show(a, cluster, relayTable)
		},
	}
}

func (a *app) relayRotate() *cobra.Command {
	params := openapi.RotateRelayKeyParams{Field: openapi.FieldName}
	return &cobra.Command{
		Use: "rotate NAME", Short: "Give a cluster's relay a new key; the old one is accepted until the relay uses the new one", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := once[openapi.Cluster](cmd.Context(), a, func(key client.RequestEditorFn) (*client.RotateRelayKeyResponse, error) {
				return a.api.RotateRelayKeyWithResponse(cmd.Context(), a.org, args[0], &params, key)
			})
			if err != nil {
				return err
			}
			return show(a, cluster, relayTable)
		},
	}
}

func (a *app) relayRemove() *cobra.Command {
	params := openapi.RemoveRelayParams{Field: openapi.FieldName}
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Uninstall a cluster's relay and forget its key", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := once[openapi.Cluster](cmd.Context(), a, func(key client.RequestEditorFn) (*client.RemoveRelayResponse, error) {
				return a.api.RemoveRelayWithResponse(cmd.Context(), a.org, args[0], &params, key)
			})
			if err != nil {
				return err
			}
			return show(a, cluster, relayTable)
		},
	}
}

func relayTable(c openapi.Cluster) *table {
	t := &table{head: []string{"CLUSTER", "RELAY", "VERSION", "WATCHING", "HEARD", "KEY"}}
	r := c.Relay
	if r == nil {
		t.add(c.Name, "none", "", "", "", "")
		return t
	}
	key := ""
	if !r.KeyRotatedAt.IsZero() {
		key = "made " + ago(r.KeyRotatedAt, time.Now())
	}
	if r.Rotating {
		key += ", rotating"
	}
	t.add(c.Name, relayState(*r), r.Version, strconv.Itoa(r.Watching), heard(*r), key)
	if r.Error != "" {
		t.notes = append(t.notes, fmt.Sprintf("%s: %s", c.Name, oneLine(r.Error)))
	}
	return t
}

func relayState(r openapi.ClusterRelay) string {
	if r.Status == "" {
		return "none"
	}
	return string(r.Status)
}

func heard(r openapi.ClusterRelay) string {
	if r.HeardAt.IsZero() {
		return "never"
	}
	return ago(r.HeardAt, time.Now())
}

// relayNote is what the list of one cluster says of its relay and of what that counted.
func relayNote(c openapi.Cluster) (notes []string) {
	if r := c.Relay; r != nil {
		notes = append(notes, fmt.Sprintf("relay: %s, heard %s", relayState(*r), heard(*r)))
		if r.Error != "" {
			notes = append(notes, "relay: "+oneLine(r.Error))
		}
	}
	if room := c.Capacity; room != nil {
		notes = append(notes, fmt.Sprintf("capacity: %d of %d nodes ready, %.1f of %.1f CPUs asked for, %.1f GiB memory, %d pods",
			room.ReadyNodes, c.Nodes, float64(room.RequestedMilliCPU)/1000, float64(room.MilliCPU)/1000, float64(room.MemoryBytes)/(1<<30), room.Pods))
	}
	return notes
}
