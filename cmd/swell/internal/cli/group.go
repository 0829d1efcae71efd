package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/swell-sh/swell/shared/openapi"
)

func (a *app) groupCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "group", Aliases: []string{"groups"}, Short: "Group clusters"}
	cmd.AddCommand(a.groupCreate(), a.groupList(), a.groupGet(), a.groupUpdate(), a.groupDelete())
	return cmd
}

func (a *app) groupCreate() *cobra.Command {
	var members []string
	cmd := &cobra.Command{
		Use: "create NAME --member CLUSTER…", Short: "Create a cluster group", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := a.clusterIDs(cmd.Context(), members)
			if err != nil {
				return err
			}
			group, err := read[openapi.ClusterGroup](a.api.CreateClusterGroupWithResponse(cmd.Context(), a.org, openapi.ClusterGroupRequest{Name: args[0], Members: ids}))
			if err != nil {
				return err
			}
			return show(a, group, func(g openapi.ClusterGroup) *table { return groupTable(g) })
		},
	}
	cmd.Flags().StringSliceVar(&members, "member", nil, "the name of a cluster; may be repeated")
	return cmd
}

func (a *app) groupList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List cluster groups", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []openapi.ClusterGroup{}
			for cursor := ""; ; {
				page, err := read[openapi.ClusterGroupList](a.api.ListClusterGroupsWithResponse(cmd.Context(), a.org, &openapi.ListClusterGroupsParams{Cursor: cursor}))
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if cursor = page.NextCursor; cursor == "" {
					return show(a, all, func(all []openapi.ClusterGroup) *table { return groupTable(all...) })
				}
			}
		},
	}
}

func (a *app) groupGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Show a cluster group and its members", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			group, err := a.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(a, group, memberTable)
		},
	}
}

func (a *app) groupUpdate() *cobra.Command {
	var name string
	var add, remove []string
	var watch watchFlags
	cmd := &cobra.Command{
		Use:   "update NAME [--name NEW] [--add CLUSTER] [--remove CLUSTER]",
		Short: "Rename a cluster group, or change its members",
		Long: `Rename a cluster group, or change its members. A cluster that leaves has the group's releases removed by runs; one that joins gets
a deployment with its next update.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" && len(add) == 0 && len(remove) == 0 {
				return errors.New("nothing is to be changed; give --name, --add or --remove")
			}
			group, err := a.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			members, err := a.changeMembers(cmd.Context(), group, add, remove)
			if err != nil {
				return err
			}
			request := openapi.ClusterGroupRequest{Name: orDefault(name, group.Name), Members: members}
			accepted, err := read[openapi.ClusterGroupAccepted](a.api.UpdateClusterGroupWithResponse(cmd.Context(), a.org, group.ID, nil, request))
			if err != nil {
				return err
			}
			a.say("group %s is changed", request.Name)
			return a.followAll(cmd.Context(), accepted, watch)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the new name")
	cmd.Flags().StringSliceVar(&add, "add", nil, "the name of a cluster that joins; may be repeated")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "the name of a cluster that leaves; may be repeated")
	watch.register(cmd)
	return cmd
}

// changeMembers returns the ids of all members after the change.
func (a *app) changeMembers(ctx context.Context, group openapi.ClusterGroup, add, remove []string) ([]string, error) {
	members := []string{}
	for _, m := range group.Members {
		if !slices.Contains(remove, m.Name) {
			members = append(members, m.ID)
		}
	}
	for _, name := range remove {
		if !slices.ContainsFunc(group.Members, func(m openapi.Member) bool { return m.Name == name }) {
			return nil, fmt.Errorf("cluster %s is no member of group %s", name, group.Name)
		}
	}
	ids, err := a.clusterIDs(ctx, add)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !slices.Contains(members, id) {
			members = append(members, id)
		}
	}
	return members, nil
}

func (a *app) groupDelete() *cobra.Command {
	var params openapi.DeleteClusterGroupParams
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a cluster group; its clusters stay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params.Field = openapi.FieldName
			accepted, err := read[openapi.ClusterGroupAccepted](a.api.DeleteClusterGroupWithResponse(cmd.Context(), a.org, args[0], &params))
			if err != nil {
				return err
			}
			if len(accepted.Runs) == 0 {
				a.say("group %s is deleted", args[0])
			}
			return a.followAll(cmd.Context(), accepted, watch)
		},
	}
	cmd.Flags().BoolVar(&params.RemoveDeployments, "remove-deployments", false, "remove its deployments from every cluster first")
	watch.register(cmd)
	return cmd
}

// followAll follows the runs that a change of a group started, one after the other.
func (a *app) followAll(ctx context.Context, accepted openapi.ClusterGroupAccepted, watch watchFlags) error {
	if a.output != "table" && !watch.set() {
		return show(a, accepted, func(openapi.ClusterGroupAccepted) *table { return &table{} })
	}
	var first error
	for _, id := range accepted.Runs {
		if err := a.follow(ctx, id, watch); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (a *app) group(ctx context.Context, name string) (openapi.ClusterGroup, error) {
	return read[openapi.ClusterGroup](a.api.GetClusterGroupWithResponse(ctx, a.org, name, &openapi.GetClusterGroupParams{Field: openapi.FieldName}))
}

func groupTable(all ...openapi.ClusterGroup) *table {
	t := &table{head: []string{"GROUP", "MEMBERS", "CREATED"}}
	for _, g := range all {
		names := make([]string, len(g.Members))
		for i, m := range g.Members {
			names[i] = m.Name
		}
		t.add(g.Name, strings.Join(names, ","), ago(g.CreatedAt, time.Now()))
	}
	return t
}

func memberTable(g openapi.ClusterGroup) *table {
	t := &table{head: []string{"CLUSTER", "CLOUD", "DISTRIBUTION", "STATUS"}}
	for _, m := range g.Members {
		t.add(m.Name, m.Cloud, m.Distribution, string(m.Status))
		if m.StatusMessage != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s", m.Name, oneLine(m.StatusMessage)))
		}
	}
	return t
}
