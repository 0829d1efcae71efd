package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/swell-sh/swell/shared/release"
)

type catchUpItem struct {
	RunID      string
	Generation int
}

// SetCatchUp says what the owner's release missed, unless a newer run has moved its desired state since.
func (s *Store) SetCatchUp(ctx context.Context, k release.Key, c release.CatchUp) error {
	var u expression.UpdateBuilder
	err := s.update(ctx, keyOf(k), set(u, "CatchUp", catchUpItem(c)), owned().And(equal("Desired.RunID", c.RunID)), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}

// ClearCatchUp says that the release missed nothing of that run any more.
func (s *Store) ClearCatchUp(ctx context.Context, k release.Key, runID string) error {
	u := expression.Remove(expression.Name("CatchUp"))
	err := s.update(ctx, keyOf(k), u, equal("CatchUp.RunID", runID), nil)
	if conditionFailed(err) {
		return nil
	}
	return err
}
