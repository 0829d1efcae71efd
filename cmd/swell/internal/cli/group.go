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
	var selector string
	var schedule scheduleFlags
	cmd := &cobra.Command{
		Use:   "create NAME {--member CLUSTER… | --selector SELECTOR}",
		Short: "Create a cluster group of named clusters, or of those that a selector chooses",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := openapi.ClusterGroupRequest{Name: args[0]}
			var err error
			if selector != "" {
				request.Selector, err = parseSelector(selector)
			} else {
				request.Members, err = a.clusterIDs(cmd.Context(), members)
			}
			if err != nil {
				return err
			}
			if schedule.given() {
				if request.Reconcile, err = schedule.over(nil); err != nil {
					return err
				}
			}
			group, err := read[openapi.ClusterGroup](a.api.CreateClusterGroupWithResponse(cmd.Context(), a.org, request))
			if err != nil {
				return err
			}
			return show(a, group, func(g openapi.ClusterGroup) *table { return groupTable(g) })
		},
	}
	cmd.Flags().StringSliceVar(&members, "member", nil, "the name of a cluster; may be repeated")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", selectorUsage)
	cmd.MarkFlagsMutuallyExclusive("member", "selector")
	schedule.register(cmd)
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

const selectorUsage = `choose clusters by their labels, as kubectl does, such as "env=prod,region in (eu,us)"`

// groupFlags say what of a group is to be changed.
type groupFlags struct {
	name, selector string
	add, remove    []string
	schedule       scheduleFlags
}

func (f *groupFlags) given() bool {
	return f.name != "" || f.selector != "" || len(f.add) > 0 || len(f.remove) > 0 || f.schedule.given()
}

func (a *app) groupUpdate() *cobra.Command {
	var f groupFlags
	var params openapi.UpdateClusterGroupParams
	var watch watchFlags
	cmd := &cobra.Command{
		Use:   "update NAME [--name NEW] [--add CLUSTER] [--remove CLUSTER] [--selector SELECTOR]",
		Short: "Rename a cluster group, or change its members or its schedule",
		Long: `Rename a cluster group, or change its members or its schedule. A cluster that leaves has the group's releases removed by runs; one that
joins gets a deployment with its next update, or at once where the deployment installs on joining.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.given() {
				return errors.New("nothing is to be changed; give --name, --add, --remove, --selector, --check-every, --window or --no-windows")
			}
			group, tag, err := a.groupWithTag(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			request, err := a.changeGroup(cmd.Context(), group, f)
			if err != nil {
				return err
			}
			params.IfMatch = tag
			accepted, err := read[openapi.ClusterGroupAccepted](a.api.UpdateClusterGroupWithResponse(cmd.Context(), a.org, group.ID, &params, request))
			if err != nil {
				return err
			}
			a.say("group %s is changed", request.Name)
			return a.followAll(cmd.Context(), accepted, watch)
		},
	}
	cmd.Flags().StringVar(&f.name, "name", "", "the new name")
	cmd.Flags().StringSliceVar(&f.add, "add", nil, "the name of a cluster that joins; may be repeated")
	cmd.Flags().StringSliceVar(&f.remove, "remove", nil, "the name of a cluster that leaves; may be repeated")
	cmd.Flags().StringVarP(&f.selector, "selector", "l", "", selectorUsage)
	cmd.MarkFlagsMutuallyExclusive("add", "selector")
	cmd.MarkFlagsMutuallyExclusive("remove", "selector")
	f.schedule.register(cmd)
	confirmFlag(cmd, &params.ConfirmRemovals)
	watch.register(cmd)
	return cmd
}

// changeGroup is the group as it shall be.
func (a *app) changeGroup(ctx context.Context, group openapi.ClusterGroup, f groupFlags) (openapi.ClusterGroupRequest, error) {
	request := openapi.ClusterGroupRequest{Name: orDefault(f.name, group.Name), Selector: group.Selector}
	var err error
	if request.Reconcile, err = f.schedule.over(group.Reconcile); err != nil {
		return request, err
	}
	switch {
	case f.selector != "":
		request.Selector, err = parseSelector(f.selector)
	case group.Selector == nil:
		request.Members, err = a.changeMembers(ctx, group, f.add, f.remove)
	case len(f.add)+len(f.remove) > 0:
		err = fmt.Errorf("group %s chooses its members by %s; label the clusters instead, or give --selector", group.Name, selectorText(group.Selector))
	}
	return request, err
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
			} else {
				a.say("group %s stays until these runs have ended; then delete it again", args[0])
			}
			return a.followAll(cmd.Context(), accepted, watch)
		},
	}
	cmd.Flags().BoolVar(&params.RemoveDeployments, "remove-deployments", false, "remove its deployments from every cluster first; the group is deleted by asking again")
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
	group, _, err := a.groupWithTag(ctx, name)
	return group, err
}

// groupWithTag reads a group to change it: with its tag the change is refused where somebody else was faster.
func (a *app) groupWithTag(ctx context.Context, name string) (group openapi.ClusterGroup, tag string, err error) {
	got, err := a.api.GetClusterGroupWithResponse(ctx, a.org, name, &openapi.GetClusterGroupParams{Field: openapi.FieldName})
	if group, err = read[openapi.ClusterGroup](got, err); err != nil {
		return group, "", err
	}
	return group, got.HTTPResponse.Header.Get("ETag"), nil
}

func groupTable(all ...openapi.ClusterGroup) *table {
	t := &table{head: []string{"GROUP", "MEMBERS", "SELECTOR", "CREATED"}}
	for _, g := range all {
		names := make([]string, len(g.Members))
		for i, m := range g.Members {
			names[i] = m.Name
		}
		t.add(g.Name, strings.Join(names, ","), selectorText(g.Selector), ago(g.CreatedAt, time.Now()))
	}
	return t
}

func memberTable(g openapi.ClusterGroup) *table {
	t := &table{head: []string{"CLUSTER", "CLOUD", "DISTRIBUTION", "STATUS"}, notes: scheduleNotes(g.Reconcile)}
	for _, m := range g.Members {
		t.add(m.Name, m.Cloud, m.Distribution, string(m.Status))
		if m.StatusMessage != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s", m.Name, oneLine(m.StatusMessage)))
		}
	}
	return t
}
