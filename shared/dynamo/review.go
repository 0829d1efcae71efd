package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/group"
)

// dueForReview says when reconcile should look whether clusters joined or left the group.
func dueForReview(groupID string, at time.Time) expression.UpdateBuilder {
	var u expression.UpdateBuilder
	return set(set(u, "DuePK", dueGroupsPK(shardOf(groupID))), "DueSK", sortable(at))
}

// KeptGroups are all groups of the org as they are kept: those with a selector without their members.
func (s *Store) KeptGroups(ctx context.Context, org string) ([]group.Group, error) {
	groups, _, err := listAs(ctx, s, query{pk: orgPK(org), prefix: "GROUP#"}, Page{}, fromGroupItem)
	return groups, err
}

// FindSchedule finds how a group is reconciled, without its members.
func (s *Store) FindSchedule(ctx context.Context, org, groupID string) (group.Reconcile, error) {
	item, err := s.findGroupItem(ctx, org, groupID)
	return fromGroupItem(item).Reconcile, err
}

// RequestReview makes a group due at the given time: once its clusters have been left alone so long, what the change means is judged as a whole.
func (s *Store) RequestReview(ctx context.Context, org, id string, at time.Time) error {
	err := s.update(ctx, groupKey(org, id), dueForReview(id, at), exists(), nil)
	if conditionFailed(err) {
		return groupNotFound(id)
	}
	return err
}

// ClaimDueGroups takes up to limit groups, of all orgs, that are due now: of several ticks at once only one gets each. A claimed group is due again
// after ClaimPeriod, unless Reviewed says otherwise. They are as kept: those with a selector are without their members.
func (s *Store) ClaimDueGroups(ctx context.Context, now time.Time, limit int) ([]group.Group, error) {
	var claimed []group.Group
	err := s.listDue(ctx, dueGroupsPK, now, limit, func(k key, due string) (bool, error) {
		_, id, err := k.orgAndID()
		if err != nil {
			return false, err
		}
		var item groupItem
		err = s.update(ctx, k, dueForReview(id, now.Add(ClaimPeriod)), equal("DueSK", due), &item)
		if conditionFailed(err) { // another tick has it, or it is gone
			return false, nil
		}
		if err != nil {
			return false, err
		}
		claimed = append(claimed, fromGroupItem(item))
		return true, nil
	})
	return claimed, err
}

// Reviewed says that the group claimed at that time owes nothing, and when it is due again. A change since then keeps its own time.
func (s *Store) Reviewed(ctx context.Context, org, id string, claimed, next time.Time) error {
	err := s.update(ctx, groupKey(org, id), dueForReview(id, next), equal("DueSK", sortable(claimed.Add(ClaimPeriod))), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}
