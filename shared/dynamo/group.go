package dynamo

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/group"
	"github.com/swell-sh/swell/shared/problem"
)

// joinsAtOnce and leavesAtOnce are what fits one transaction beside the group and its names. Each such transaction changes the group's
// list of members and the members' own items together, so the two never differ, wherever a larger change is killed.
const (
	joinsAtOnce  = 45 // two writes each: the membership, and that the cluster exists
	leavesAtOnce = 90
)

type groupItem struct {
	head
	Org, ID, Name string
	Members       []string
	Selector      *selectorItem `dynamodbav:",omitempty"`
	EverySeconds  int
	Windows       []windowItem `dynamodbav:",omitempty"`
	Deployments   int          // on the group; it cannot be deleted while there are any
	Version       int64
	CreatedAt     stamp
	CreatedBy     string
}

type selectorItem struct {
	MatchLabels      map[string]string
	MatchExpressions []requirementItem
}

type requirementItem struct {
	Key, Operator string
	Values        []string
}

type windowItem struct {
	Deny           bool
	Days           []int
	From, To, Zone string
}

func toGroupItem(g group.Group) groupItem {
	item := groupItem{head: headOf(groupKey(g.Org, g.ID)), Org: g.Org, ID: g.ID, Name: g.Name, Members: g.Members,
		EverySeconds: int(g.Reconcile.Every / time.Second), Version: g.Version, CreatedAt: stamp{g.CreatedAt}, CreatedBy: g.CreatedBy}
	if s := g.Selector; s != nil {
		item.Selector = &selectorItem{MatchLabels: s.MatchLabels}
		for _, r := range s.MatchExpressions {
			item.Selector.MatchExpressions = append(item.Selector.MatchExpressions, requirementItem{r.Key, string(r.Operator), r.Values})
		}
	}
	for _, w := range g.Reconcile.Windows {
		item.Windows = append(item.Windows, toWindowItem(w))
	}
	return item
}

func toWindowItem(w group.Window) windowItem {
	item := windowItem{Deny: w.Deny, From: w.From, To: w.To, Zone: w.Zone}
	for _, d := range w.Days {
		item.Days = append(item.Days, int(d))
	}
	return item
}

func fromGroupItem(i groupItem) group.Group {
	g := group.Group{Org: i.Org, ID: i.ID, Name: i.Name, Members: i.Members, Version: i.Version,
		Reconcile: group.Reconcile{Every: time.Duration(i.EverySeconds) * time.Second}, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy}
	if s := i.Selector; s != nil {
		g.Selector = &cluster.Selector{MatchLabels: s.MatchLabels}
		for _, r := range s.MatchExpressions {
			g.Selector.MatchExpressions = append(g.Selector.MatchExpressions, cluster.Requirement{Key: r.Key, Operator: cluster.Operator(r.Operator), Values: r.Values})
		}
	}
	for _, w := range i.Windows {
		window := group.Window{Deny: w.Deny, From: w.From, To: w.To, Zone: w.Zone}
		for _, d := range w.Days {
			window.Days = append(window.Days, time.Weekday(d))
		}
		g.Reconcile.Windows = append(g.Reconcile.Windows, window)
	}
	return g
}

func groupNotFound(id string) *problem.Problem {
	return problem.NotFound("group-not-found", "there is no cluster group %q", id).Try("list the cluster groups; the path takes an id, or a name with field=name")
}

// CreateGroup claims the group's name and its members, each of which must exist and be in no group. A group with a selector claims no member.
func (s *Store) CreateGroup(ctx context.Context, g group.Group) (group.Group, error) {
	members := slices.Sorted(slices.Values(named(g)))
	if err := s.checkJoin(ctx, g, members); err != nil {
		return group.Group{}, err
	}
	first := members[:min(len(members), joinsAtOnce)]
	rest := members[len(first):]
	g.Members, g.Version = slices.Clone(first), 1
	t := s.transaction()
	name := t.put(nameItem{head: headOf(groupNameKey(g.Org, g.Name)), ID: g.ID}, absent())
	item := toGroupItem(g)
	item.DuePK, item.DueSK = dueGroupsPK(shardOf(g.ID)), sortable(s.now().Add(group.ReviewEvery))
	t.put(item, absent())
	joins := t.join(g, first)
	err := t.commit(ctx)
	if failed, ok := refused(err); ok {
		if failed[name] {
			return group.Group{}, groupNameTaken(g.Name)
		}
		return group.Group{}, s.joinRefused(ctx, g, joins, failed)
	}
	if err != nil {
		return g, wrap(err, "creating cluster group %s", g.Name)
	}
	if len(rest) == 0 {
		return s.ResolveMembers(ctx, g)
	}
	whole := g
	whole.Members = members
	grown, err := s.UpdateGroup(ctx, whole, g.Version)
	if err != nil { // somebody took a member in between: what the user did not get is not kept
		if undo := s.DeleteGroup(context.WithoutCancel(ctx), g.Org, g.ID, 0); undo != nil {
			return group.Group{}, fmt.Errorf("creating cluster group %s: %w (and taking it back: %w)", g.Name, err, undo)
		}
		return group.Group{}, err
	}
	return grown, nil
}

func groupNameTaken(name string) *problem.Problem {
	return problem.Conflict("group-name-taken", "a cluster group named %q exists already", name).At("name").Try("choose another name")
}

// join adds the writes of clusters that join, and returns them by their number.
func (t *transaction) join(g group.Group, clusterIDs []string) map[int]string {
	writes := map[int]string{}
	for _, id := range clusterIDs {
		writes[t.put(memberItem{head: headOf(memberKey(g.Org, id)), ClusterID: id, GroupID: g.ID}, absent().Or(equal("GroupID", g.ID)))] = id
		writes[t.check(clusterKey(g.Org, id), exists())] = id
	}
	return writes
}

// checkJoin finds, before anything is written, a cluster that does not exist or is in another group.
func (s *Store) checkJoin(ctx context.Context, g group.Group, clusterIDs []string) error {
	var keys []key
	for _, id := range clusterIDs {
		keys = append(keys, clusterKey(g.Org, id), memberKey(g.Org, id))
	}
	names, groups := map[string]string{}, map[string]string{}
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		if id := text(av, "ClusterID"); id != "" {
			groups[id] = text(av, "GroupID")
		} else {
			names[text(av, "ID")] = text(av, "Name")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range clusterIDs {
		name, ok := names[id]
		if !ok {
			p := clusterNotFound(id).At("members")
			p.Status = 422 // the group's path was found; what its body names was not
			return p.Try("name clusters of this organization")
		}
		if other := groups[id]; other != "" && other != g.ID {
			return problem.Conflict("cluster-in-other-group", "cluster %q is a member of another cluster group", name).At("members").
				Try("take it out of that group first: a cluster is in at most one")
		}
	}
	return nil
}

// joinRefused says which join did not hold.
func (s *Store) joinRefused(ctx context.Context, g group.Group, joins map[int]string, failed map[int]bool) error {
	for write, id := range joins {
		if failed[write] {
			if err := s.checkJoin(ctx, g, []string{id}); err != nil {
				return err
			}
		}
	}
	return groupChanged(g.Name)
}

func groupChanged(name string) *problem.Problem {
	return problem.Conflict("group-changed", "cluster group %q was changed by somebody else meanwhile", name).Try("read it again and repeat the change")
}

// FindGroup finds a group of the org with the members that it has now.
func (s *Store) FindGroup(ctx context.Context, org, id string) (group.Group, error) {
	item, err := s.findGroupItem(ctx, org, id)
	if err != nil {
		return group.Group{}, err
	}
	return s.ResolveMembers(ctx, fromGroupItem(item))
}

// ResolveMembers returns the group with the clusters that its selector chooses now, however many they are; a group without one as it is. It
// reads every cluster of the org, strongly consistent: less than all would be an empty or a smaller group, so any fault is an error.
func (s *Store) ResolveMembers(ctx context.Context, g group.Group) (group.Group, error) {
	groups := []group.Group{g}
	err := s.resolveMembers(ctx, groups)
	return groups[0], err
}

func (s *Store) resolveMembers(ctx context.Context, groups []group.Group) error {
	if !slices.ContainsFunc(groups, func(g group.Group) bool { return g.Selector != nil }) {
		return nil
	}
	org := groups[0].Org
	clusters, _, err := listAs(ctx, s, query{pk: orgPK(org), prefix: "CLUSTER#"}, Page{}, fromClusterItem)
	if err != nil {
		return fmt.Errorf("listing the clusters that a selector chooses from: %w", err)
	}
	for i, g := range groups {
		if g.Selector != nil {
			groups[i].Members = chosen(g, clusters)
		}
	}
	return nil
}

func chosen(g group.Group, clusters []cluster.Cluster) []string {
	ids := []string{}
	for _, c := range clusters { // by id
		if g.Has(c) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (s *Store) findGroupItem(ctx context.Context, org, id string) (groupItem, error) {
	var item groupItem
	found, err := s.get(ctx, groupKey(org, id), &item)
	if err == nil && !found {
		err = groupNotFound(id)
	}
	return item, err
}

// IsMember says whether the cluster, as FindCluster found it, is a member of the group now. It asks for no other cluster.
func (s *Store) IsMember(ctx context.Context, c cluster.Cluster, groupID string) (bool, error) {
	if c.GroupID == groupID {
		return true, nil
	}
	item, err := s.findGroupItem(ctx, c.Org, groupID)
	g := fromGroupItem(item)
	return err == nil && g.Selector != nil && g.Has(c), err
}

// FindGroupByName finds a group of the org by its name.
func (s *Store) FindGroupByName(ctx context.Context, org, name string) (group.Group, error) {
	var item nameItem
	found, err := s.get(ctx, groupNameKey(org, name), &item)
	if err != nil {
		return group.Group{}, err
	}
	if !found {
		return group.Group{}, groupNotFound(name)
	}
	return s.FindGroup(ctx, org, item.ID)
}

// ListGroups lists the org's groups, the oldest first unless the page says otherwise, with the members that they have now.
func (s *Store) ListGroups(ctx context.Context, org string, page Page) (groups []group.Group, next string, err error) {
	groups, next, err = s.listGroups(ctx, org, page)
	if err != nil {
		return nil, "", err
	}
	return groups, next, s.resolveMembers(ctx, groups)
}

// UpdateGroup gives the group g's name, members, selector and schedule, if it still has the expected version. A change of more members than fit
// one transaction is made in several; if it is refused in between, what was done stays and the problem says so by the group's new version.
func (s *Store) UpdateGroup(ctx context.Context, g group.Group, expectedVersion int64) (group.Group, error) {
	item, err := s.findGroupItem(ctx, g.Org, g.ID)
	if err != nil {
		return group.Group{}, err
	}
	current := fromGroupItem(item)
	if current.Version != expectedVersion {
		return group.Group{}, groupChanged(current.Name)
	}
	join, leave := current.Change(named(g)) // as kept: the members that a selector chose are in no item
	if err := s.checkJoin(ctx, g, join); err != nil {
		return group.Group{}, err
	}
	same := g.Name == current.Name && reflect.DeepEqual(g.Selector, current.Selector) && reflect.DeepEqual(g.Reconcile, current.Reconcile)
	if same && len(join) == 0 && len(leave) == 0 {
		return s.ResolveMembers(ctx, current)
	}
	for {
		step := change{becomes: g, leave: leave[:min(len(leave), leavesAtOnce)]}
		leave = leave[len(step.leave):]
		if len(step.leave) == 0 {
			step.join = join[:min(len(join), joinsAtOnce)]
			join = join[len(step.join):]
		}
		if current, err = s.changeGroup(ctx, current, step); err != nil {
			return group.Group{}, err
		}
		if len(join) == 0 && len(leave) == 0 {
			return s.ResolveMembers(ctx, current)
		}
	}
}

// named are the members that a group names, which its selector does not choose.
func named(g group.Group) []string {
	if g.Selector != nil {
		return nil
	}
	return g.Members
}

// change is what one transaction does to a group.
type change struct {
	becomes     group.Group // its name, selector and schedule
	join, leave []string
}

func (s *Store) changeGroup(ctx context.Context, g group.Group, c change) (group.Group, error) {
	after := g
	after.Name, after.Selector, after.Reconcile, after.Version = c.becomes.Name, c.becomes.Selector, c.becomes.Reconcile, g.Version+1
	after.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return slices.Contains(c.leave, m) })
	after.Members = slices.Compact(slices.Sorted(slices.Values(append(after.Members, c.join...))))
	t := s.transaction()
	item := toGroupItem(after)
	u := dueForReview(g.ID, s.now().Add(group.QuietFor))
	u = set(set(set(u, "Name", item.Name), "Members", item.Members), "Version", item.Version)
	u = set(set(set(u, "Selector", item.Selector), "EverySeconds", item.EverySeconds), "Windows", item.Windows)
	t.update(groupKey(g.Org, g.ID), u, equal("Version", g.Version))
	joins := t.join(g, c.join)
	for _, id := range c.leave {
		t.remove(memberKey(g.Org, id), absent().Or(equal("GroupID", g.ID)))
	}
	name := -1
	if after.Name != g.Name {
		name = t.put(nameItem{head: headOf(groupNameKey(g.Org, after.Name)), ID: g.ID}, absent())
		t.remove(groupNameKey(g.Org, g.Name), equal("ID", g.ID))
	}
	err := t.commit(ctx)
	failed, ok := refused(err)
	switch {
	case !ok:
		return after, wrap(err, "changing cluster group %s", g.Name)
	case failed[name]:
		return group.Group{}, groupNameTaken(after.Name)
	default:
		return group.Group{}, s.joinRefused(ctx, g, joins, failed)
	}
}

// DeleteGroup forgets a group that has no deployments, and frees its name and members. Version 0 is any.
func (s *Store) DeleteGroup(ctx context.Context, org, id string, expectedVersion int64) error {
	item, err := s.findGroupItem(ctx, org, id)
	if err != nil {
		return err
	}
	g := fromGroupItem(item)
	if expectedVersion != 0 && g.Version != expectedVersion {
		return groupChanged(g.Name)
	}
	if item.Deployments > 0 {
		return groupHasDeployments(g.Name)
	}
	for len(g.Members) > leavesAtOnce {
		if g, err = s.changeGroup(ctx, g, change{becomes: g, leave: g.Members[:leavesAtOnce]}); err != nil {
			return err
		}
	}
	t := s.transaction()
	none := expression.Name("Deployments").LessThanEqual(expression.Value(0))
	t.remove(groupKey(org, id), equal("Version", g.Version).And(none))
	t.remove(groupNameKey(org, g.Name), equal("ID", id))
	for _, m := range g.Members {
		t.remove(memberKey(org, m), absent().Or(equal("GroupID", id)))
	}
	err = t.commit(ctx)
	if _, ok := refused(err); !ok {
		return wrap(err, "deleting cluster group %s", g.Name)
	}
	item, findErr := s.findGroupItem(ctx, org, id)
	switch {
	case findErr != nil: // gone meanwhile, or no answer
		return findErr
	case item.Deployments > 0:
		return groupHasDeployments(item.Name)
	default:
		return groupChanged(item.Name)
	}
}

func groupHasDeployments(name string) *problem.Problem {
	return problem.Conflict("group-has-deployments", "cluster group %q has deployments", name).Try("remove its deployments first")
}
