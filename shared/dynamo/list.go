package dynamo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/group"
)

// listNamed lists records in the order of the names that stand for them: q is a query of names, fetch reads the records of ids, and keep
// chooses among them. A page that few are chosen for ends early, with a cursor.
func listNamed[Record any](ctx context.Context, s *Store, q query, page Page, fetch func(context.Context, []string) (map[string]Record, error), keep func(Record) bool) ([]Record, string, error) {
	const rounds, most = 5, 100
	records, cursor := []Record{}, page.Cursor
	for round := 0; page.Limit == 0 || round < rounds; round++ {
		ask := Page{Limit: page.Limit, Cursor: cursor}
		if page.Limit > 0 && keep != nil {
			ask.Limit = max(page.Limit, most)
		}
		var ids, keys []string
		next, err := s.list(ctx, q, ask, func(av map[string]types.AttributeValue) error {
			ids, keys = append(ids, text(av, "ID")), append(keys, text(av, "SK"))
			return nil
		})
		if err != nil {
			return nil, "", err
		}
		found, err := fetch(ctx, ids)
		if err != nil {
			return nil, "", err
		}
		for i, id := range ids {
			record, ok := found[id]
			if !ok || keep != nil && !keep(record) {
				continue
			}
			if page.Limit > 0 && len(records) == page.Limit {
				return records, q.cursor(keys[i-1]), nil
			}
			records = append(records, record)
		}
		if cursor = next; next == "" || page.Limit > 0 && len(records) == page.Limit {
			break
		}
	}
	return records, cursor, nil
}

// fetchAs reads items of one kind by id.
func fetchAs[Item, Record any](s *Store, keyOf func(id string) key, fromItem func(Item) Record, idOf func(Record) string) func(context.Context, []string) (map[string]Record, error) {
	return func(ctx context.Context, ids []string) (map[string]Record, error) {
		keys := make([]key, len(ids))
		for i, id := range ids {
			keys[i] = keyOf(id)
		}
		found := map[string]Record{}
		err := s.getMany(ctx, keys, func(av map[string]types.AttributeValue) error {
			var item Item
			if err := unmarshal(av, &item); err != nil {
				return err
			}
			record := fromItem(item)
			found[idOf(record)] = record
			return nil
		})
		return found, err
	}
}

// kept is a query's keep that asks of the record.
func kept[Item, Record any](fromItem func(Item) Record, keep func(Record) bool) func(map[string]types.AttributeValue) (bool, error) {
	if keep == nil {
		return nil
	}
	return func(av map[string]types.AttributeValue) (bool, error) {
		var item Item
		if err := unmarshal(av, &item); err != nil {
			return false, fmt.Errorf("filtering a list: %w", err)
		}
		return keep(fromItem(item)), nil
	}
}

func (s *Store) listGroups(ctx context.Context, org string, page Page) (groups []group.Group, next string, err error) {
	if page.Sort.named() {
		q := query{pk: orgPK(org), prefix: groupNameKey(org, page.NamePrefix).SK, newest: page.Sort.down()}
		fetch := fetchAs(s, func(id string) key { return groupKey(org, id) }, fromGroupItem, func(g group.Group) string { return g.ID })
		return listNamed(ctx, s, q, page, fetch, nil)
	}
	q := query{pk: orgPK(org), prefix: "GROUP#", newest: page.Sort.down(), by: page.NamePrefix}
	if page.NamePrefix != "" {
		q.keep = kept(fromGroupItem, func(g group.Group) bool { return strings.HasPrefix(g.Name, page.NamePrefix) })
	}
	return listAs(ctx, s, q, page, fromGroupItem)
}

// Intent is a deployment with the generation that it is at.
type Intent struct {
	Deployment deployment.Deployment
	Generation deployment.Generation
}

// IntentFilter says which deployments to list; what is empty matches all.
type IntentFilter struct {
	Chart     string // by the chart's own name
	Namespace string
}

// ListIntents lists a group's deployments by release name, each with the generation that it is at; one that is lost is empty.
func (s *Store) ListIntents(ctx context.Context, org, groupID string, f IntentFilter, page Page) (intents []Intent, next string, err error) {
	q := query{pk: orgPK(org), prefix: deploymentNameKey(org, groupID, page.NamePrefix).SK, newest: page.Sort.down(), by: fmt.Sprintf("%q", f)}
	var keep func(Intent) bool
	if f != (IntentFilter{}) {
		keep = func(i Intent) bool {
			return (f.Chart == "" || i.Generation.Chart.Name == f.Chart) && (f.Namespace == "" || i.Deployment.Namespace == f.Namespace)
		}
	}
	return listNamed(ctx, s, q, page, func(ctx context.Context, ids []string) (map[string]Intent, error) {
		return s.findIntents(ctx, org, ids)
	}, keep)
}

func (s *Store) findIntents(ctx context.Context, org string, ids []string) (map[string]Intent, error) {
	fetch := fetchAs(s, func(id string) key { return deploymentKey(org, id) }, fromDeploymentItem, func(d deployment.Deployment) string { return d.ID })
	deployments, err := fetch(ctx, ids)
	if err != nil {
		return nil, err
	}
	generations, err := s.FindGenerations(ctx, slices.Collect(maps.Values(deployments)))
	if err != nil {
		return nil, err
	}
	found := make(map[string]Intent, len(deployments))
	for id, d := range deployments {
		found[id] = Intent{d, generations[id]}
	}
	return found, nil
}
