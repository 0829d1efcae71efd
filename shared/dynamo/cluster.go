package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/problem"
)

// ClaimPeriod is for how long a claimed cluster is not due: whoever claimed it and died is replaced after it.
const ClaimPeriod = 5 * time.Minute

type clusterItem struct {
	head
	Org, ID, Name                 string
	Cloud, Distribution, Location string
	Labels                        map[string]string
	UID, Version                  string
	Nodes                         int
	AccessMode, Endpoint          string
	CredentialRef, Runner         string
	Status, StatusMessage         string
	StatusSince, CheckedAt        stamp
	NextCheckAt                   stamp
	RelayVersion, RelayKey        string
	RelayHeardAt                  stamp
	RelayWatching                 int
	RelaySetup                    relaySetupItem
	Capacity                      cluster.Capacity
	Revision                      int64
	CreatedAt                     stamp
	CreatedBy                     string
}

// nameItem says which id a name stands for.
type nameItem struct {
	head
	ID string
}

type identityItem struct {
	head
	Org, ID, Name string
}

type memberItem struct {
	head
	ClusterID, GroupID string
}

func toClusterItem(c cluster.Cluster) clusterItem {
	h := headOf(clusterKey(c.Org, c.ID))
	if !c.NextCheckAt.IsZero() {
		h.DuePK, h.DueSK = dueClustersPK(shardOf(c.ID)), sortable(c.NextCheckAt)
	}
	return clusterItem{head: h, Org: c.Org, ID: c.ID, Name: c.Name, Cloud: c.Cloud, Distribution: c.Distribution, Location: c.Location,
		Labels: c.Labels, UID: c.UID, Version: c.Version, Nodes: c.Nodes, AccessMode: c.Access.Mode, Endpoint: c.Access.Endpoint,
		CredentialRef: c.Access.CredentialRef, Runner: c.Runner, Status: string(c.Status), StatusMessage: c.StatusMessage,
		StatusSince: stamp{c.StatusSince}, CheckedAt: stamp{c.CheckedAt}, NextCheckAt: stamp{c.NextCheckAt}, Revision: c.Revision,
		RelayVersion: c.Relay.Version, RelayHeardAt: stamp{c.Relay.HeardAt}, RelayWatching: c.Relay.Watching, Capacity: c.Capacity,
		RelayKey: c.Relay.Key, RelaySetup: toRelaySetupItem(c.RelaySetup),
		CreatedAt: stamp{c.CreatedAt}, CreatedBy: c.CreatedBy}
}

func fromClusterItem(i clusterItem) cluster.Cluster {
	return cluster.Cluster{Org: i.Org, ID: i.ID, Name: i.Name, Cloud: i.Cloud, Distribution: i.Distribution, Location: i.Location,
		Labels: i.Labels, UID: i.UID, Version: i.Version, Nodes: i.Nodes,
		Access: cluster.Access{Mode: i.AccessMode, Endpoint: i.Endpoint, CredentialRef: i.CredentialRef},
		Runner: i.Runner, Status: cluster.Status(i.Status), StatusMessage: i.StatusMessage, StatusSince: i.StatusSince.Time,
		CheckedAt: i.CheckedAt.Time, NextCheckAt: i.NextCheckAt.Time,
		RelaySetup: fromRelaySetupItem(i.RelaySetup),
		Relay:      cluster.Relay{Version: i.RelayVersion, Key: i.RelayKey, HeardAt: i.RelayHeardAt.Time, Watching: i.RelayWatching}, Capacity: i.Capacity, Revision: i.Revision, CreatedAt: i.CreatedAt.Time, CreatedBy: i.CreatedBy}
}

func clusterNotFound(id string) *problem.Problem {
	return problem.NotFound("cluster-not-found", "there is no cluster %q", id).Try("list the clusters; the path takes an id, or a name with field=name")
}

// CreateCluster claims the cluster's name in its org and its identity in the installation, and keeps it.
func (s *Store) CreateCluster(ctx context.Context, c cluster.Cluster) error {
	t := s.transaction()
	name := t.put(nameItem{head: headOf(clusterNameKey(c.Org, c.Name)), ID: c.ID}, absent())
	identity := t.put(identityItem{head: headOf(identityKey(c.UID)), Org: c.Org, ID: c.ID, Name: c.Name}, absent())
	t.put(toClusterItem(c), absent())
	err := t.commit(ctx)
	failed, ok := refused(err)
	switch {
	case !ok:
		return wrap(err, "creating cluster %s", c.Name)
	case failed[identity]:
		return s.alreadyImported(ctx, c)
	case failed[name]:
		return problem.Conflict("cluster-name-taken", "a cluster named %q exists already", c.Name).At("name").Try("choose another name")
	default:
		return fmt.Errorf("creating cluster %s: its id %s is taken: %w", c.Name, c.ID, err)
	}
}

// alreadyImported names the other cluster only to its own org.
func (s *Store) alreadyImported(ctx context.Context, c cluster.Cluster) error {
	var holder identityItem
	found, err := s.get(ctx, identityKey(c.UID), &holder)
	if err != nil {
		return err
	}
	if found && holder.Org == c.Org {
		return problem.Conflict("cluster-already-imported", "this cluster was imported already, as %q", holder.Name).At("kubeconfig").
			Try("use cluster %q, or delete it first", holder.Name)
	}
	return problem.Conflict("cluster-already-imported", "this cluster was imported already").At("kubeconfig").
		Try("have it deleted where it was imported first")
}

// FindCluster finds a cluster of the org, with the group it is a member of.
func (s *Store) FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error) {
	var item clusterItem
	var member memberItem
	err := s.getMany(ctx, []key{clusterKey(org, id), memberKey(org, id)}, func(av map[string]types.AttributeValue) error {
		if text(av, "SK") == memberKey(org, id).SK {
			return unmarshal(av, &member)
		}
		return unmarshal(av, &item)
	})
	if err != nil {
		return cluster.Cluster{}, err
	}
	if item.ID == "" {
		return cluster.Cluster{}, clusterNotFound(id)
	}
	c := fromClusterItem(item)
	c.GroupID = member.GroupID
	return c, nil
}

// HasCluster says whether the org has a cluster of that id. It may lag behind a write by a moment, and costs half of what any other read does.
func (s *Store) HasCluster(ctx context.Context, org, id string) (bool, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: clusterKey(org, id).attributes(), ProjectionExpression: aws.String("PK")})
	if err != nil {
		return false, fmt.Errorf("looking for cluster %s: %w", id, err)
	}
	return out.Item != nil, nil
}

// FindClusterByName finds a cluster of the org by its name.
func (s *Store) FindClusterByName(ctx context.Context, org, name string) (cluster.Cluster, error) {
	var item nameItem
	found, err := s.get(ctx, clusterNameKey(org, name), &item)
	if err != nil {
		return cluster.Cluster{}, err
	}
	if !found {
		return cluster.Cluster{}, clusterNotFound(name)
	}
	return s.FindCluster(ctx, org, item.ID)
}

// FindClusters finds several clusters of the org, by id; one that does not exist is not in the map. Their GroupID is not read.
func (s *Store) FindClusters(ctx context.Context, org string, ids []string) (map[string]cluster.Cluster, error) {
	keys := make([]key, len(ids))
	for i, id := range ids {
		keys[i] = clusterKey(org, id)
	}
	found := map[string]cluster.Cluster{}
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		var item clusterItem
		if err := unmarshal(av, &item); err != nil {
			return err
		}
		found[item.ID] = fromClusterItem(item)
		return nil
	})
	return found, err
}

// ClusterFilter says which clusters to list; what is empty matches all.
type ClusterFilter struct {
	Labels map[string]string
	Status cluster.Status
	Cloud  string
}

func (f ClusterFilter) keep(namePrefix string) func(cluster.Cluster) bool {
	if len(f.Labels) == 0 && f.Status == "" && f.Cloud == "" && namePrefix == "" {
		return nil
	}
	selector := cluster.Selector{MatchLabels: f.Labels}
	return func(c cluster.Cluster) bool {
		return (len(f.Labels) == 0 || selector.Matches(c.Labels)) && (f.Status == "" || c.Status == f.Status) && (f.Cloud == "" || c.Cloud == f.Cloud) &&
			strings.HasPrefix(c.Name, namePrefix)
	}
}

// ListClusters lists the org's clusters, the oldest first unless the page says otherwise, each with the group it is a member of.
func (s *Store) ListClusters(ctx context.Context, org string, f ClusterFilter, page Page) (clusters []cluster.Cluster, next string, err error) {
	by := fmt.Sprintf("%q %q", f, page.NamePrefix)
	if page.Sort.named() {
		q := query{pk: orgPK(org), prefix: clusterNameKey(org, page.NamePrefix).SK, newest: page.Sort.down(), by: by}
		return listNamed(ctx, s, q, page, func(ctx context.Context, ids []string) (map[string]cluster.Cluster, error) {
			return s.findMembers(ctx, org, ids)
		}, f.keep(page.NamePrefix))
	}
	q := query{pk: orgPK(org), prefix: "CLUSTER#", newest: page.Sort.down(), by: by, keep: kept(fromClusterItem, f.keep(page.NamePrefix))}
	clusters, next, err = listAs(ctx, s, q, page, fromClusterItem)
	if err != nil || len(clusters) == 0 {
		return clusters, next, err
	}
	members := make([]key, len(clusters))
	for i, c := range clusters {
		members[i] = memberKey(org, c.ID)
	}
	groups := map[string]string{}
	err = s.getMany(ctx, members, func(av map[string]types.AttributeValue) error {
		groups[text(av, "ClusterID")] = text(av, "GroupID")
		return nil
	})
	for i := range clusters {
		clusters[i].GroupID = groups[clusters[i].ID]
	}
	return clusters, next, err
}

// findMembers finds clusters by id, each with the group it is a member of.
func (s *Store) findMembers(ctx context.Context, org string, ids []string) (map[string]cluster.Cluster, error) {
	keys := make([]key, 0, 2*len(ids))
	for _, id := range ids {
		keys = append(keys, clusterKey(org, id), memberKey(org, id))
	}
	found, groups := map[string]cluster.Cluster{}, map[string]string{}
	err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
		if id := text(av, "ClusterID"); id != "" {
			groups[id] = text(av, "GroupID")
			return nil
		}
		var item clusterItem
		err := unmarshal(av, &item)
		found[item.ID] = fromClusterItem(item)
		return err
	})
	for id, c := range found {
		c.GroupID = groups[id]
		found[id] = c
	}
	return found, err
}

// DeleteCluster forgets a cluster that is no member of a group, if it still has the expected revision, and frees its name and identity.
func (s *Store) DeleteCluster(ctx context.Context, org, id string, expectedRevision int64) error {
	var item clusterItem
	found, err := s.get(ctx, clusterKey(org, id), &item)
	if err != nil {
		return err
	}
	if !found {
		return clusterNotFound(id)
	}
	t := s.transaction()
	gone := t.remove(clusterKey(org, id), atRevision(expectedRevision))
	member := t.check(memberKey(org, id), absent())
	t.remove(clusterNameKey(org, item.Name), equal("ID", id).Or(absent()))
	t.remove(identityKey(item.UID), equal("ID", id).Or(absent()))
	err = t.commit(ctx)
	failed, ok := refused(err)
	switch {
	case !ok:
		return wrap(err, "deleting cluster %s", id)
	case failed[gone]:
		if _, err := s.FindCluster(ctx, org, id); err != nil {
			return err
		}
		return clusterChanged(item.Name)
	case failed[member]:
		return problem.Conflict("cluster-is-member", "cluster %q is a member of a cluster group", item.Name).
			Try("take it out of the group first")
	default:
		return fmt.Errorf("deleting cluster %s: %w", id, err)
	}
}

// MarkClusterChecked records that the cluster answered at the given time, and when it is due again.
func (s *Store) MarkClusterChecked(ctx context.Context, org, id, version string, nodes int, at, next time.Time) error {
	change := set(set(set(s.due(id, next), "Version", version), "Nodes", nodes), "CheckedAt", stamp{at})
	change = set(change, "StatusMessage", "")
	return s.markCluster(ctx, org, id, cluster.Running, change, at)
}

// MarkClusterUnreachable records that the cluster's state is not known, why, and when it is due again. What was seen before stays.
func (s *Store) MarkClusterUnreachable(ctx context.Context, org, id, cause string, at, next time.Time) error {
	return s.markCluster(ctx, org, id, cluster.Unknown, set(s.due(id, next), "StatusMessage", cause), at)
}

// markCluster moves StatusSince only with the status.
func (s *Store) markCluster(ctx context.Context, org, id string, status cluster.Status, change expression.UpdateBuilder, at time.Time) error {
	err := s.update(ctx, clusterKey(org, id), change, equal("Status", string(status)), nil)
	if !conditionFailed(err) {
		return err
	}
	change = set(set(change, "Status", string(status)), "StatusSince", stamp{at})
	if err = s.update(ctx, clusterKey(org, id), change, exists(), nil); conditionFailed(err) {
		return clusterNotFound(id)
	}
	return err
}

func (s *Store) due(id string, next time.Time) expression.UpdateBuilder {
	var u expression.UpdateBuilder
	u = set(set(u, "NextCheckAt", stamp{next}), "DuePK", dueClustersPK(shardOf(id)))
	return set(u, "DueSK", sortable(next))
}

// ClaimDueClusters takes up to limit clusters, of all orgs, that are due now: of several ticks at once only one gets each. A claimed
// cluster is due again after ClaimPeriod unless a Mark says otherwise. GroupID is not read.
func (s *Store) ClaimDueClusters(ctx context.Context, now time.Time, limit int) ([]cluster.Cluster, error) {
	var claimed []cluster.Cluster
	err := s.listDue(ctx, dueClustersPK, now, limit, func(k key, due string) (bool, error) {
		_, id, err := k.orgAndID()
		if err != nil {
			return false, err
		}
		var item clusterItem
		err = s.update(ctx, k, s.due(id, now.Add(ClaimPeriod)), equal("DueSK", due), &item)
		if conditionFailed(err) { // another tick has it, or it is gone
			return false, nil
		}
		if err != nil {
			return false, err
		}
		claimed = append(claimed, fromClusterItem(item))
		return true, nil
	})
	return claimed, err
}

// listDue hands on what is due, from every shard, oldest first in each, until limit were taken.
func (s *Store) listDue(ctx context.Context, pk func(shard int) string, now time.Time, limit int, take func(k key, due string) (bool, error)) error {
	for shard := range dueShards {
		type found struct {
			key
			due string
		}
		var due []found
		_, err := s.list(ctx, query{index: indexDue, pk: pk(shard), upTo: sortable(now)}, Page{Limit: limit}, func(av map[string]types.AttributeValue) error {
			due = append(due, found{key{text(av, "PK"), text(av, "SK")}, text(av, "DueSK")})
			return nil
		})
		if err != nil {
			return err
		}
		for _, d := range due {
			if limit == 0 {
				return nil
			}
			taken, err := take(d.key, d.due)
			if err != nil {
				return err
			}
			if taken {
				limit--
			}
		}
		if limit == 0 {
			return nil
		}
	}
	return nil
}

// wrap says what was being done, if anything went wrong.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
