// Package dynamo is the store: every item that Swell keeps, in one DynamoDB table whose keys begin with the org.
package dynamo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// API is what the store calls of DynamoDB; *dynamodb.Client has it all.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Store keeps the domain's records. Reads by key are strongly consistent; lists by an index are not, and say so.
type Store struct {
	api   API
	table string
	now   func() time.Time
}

// New makes a Store on the table.
func New(api API, table string, now func() time.Time) *Store {
	return &Store{api: api, table: table, now: now}
}

// Open makes a Store of a configuration.
func Open(cfg aws.Config, table string) *Store {
	return New(callsOf(dynamodb.NewFromConfig(cfg)), table, time.Now)
}

// get reads one item, strongly consistent.
func (s *Store) get(ctx context.Context, k key, item any) (found bool, err error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: k.attributes(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return false, fmt.Errorf("reading item %s %s: %w", k.PK, k.SK, err)
	}
	if out.Item == nil {
		return false, nil
	}
	return true, unmarshal(out.Item, item)
}

// getMany reads items by key, strongly consistent, in no order.
func (s *Store) getMany(ctx context.Context, keys []key, each func(map[string]types.AttributeValue) error) error {
	const most = 100 // of BatchGetItem
	var left []map[string]types.AttributeValue
	for _, k := range keys {
		left = append(left, k.attributes())
	}
	for try := 0; len(left) > 0; {
		n := min(most, len(left))
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			s.table: {Keys: left[:n], ConsistentRead: aws.Bool(true)}}})
		if err != nil {
			return fmt.Errorf("reading %d items: %w", n, err)
		}
		for _, item := range out.Responses[s.table] {
			if err := each(item); err != nil {
				return err
			}
		}
		left = append(left[n:], out.UnprocessedKeys[s.table].Keys...)
		if len(out.UnprocessedKeys) > 0 {
			if try, err = backOff(ctx, try); err != nil {
				return fmt.Errorf("reading %d items: %w", len(left), err)
			}
		}
	}
	return nil
}

// put writes an item if the condition holds; an unset condition always does.
func (s *Store) put(ctx context.Context, item any, condition expression.ConditionBuilder) error {
	write, err := s.putWrite(item, condition)
	if err != nil {
		return err
	}
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: write.TableName, Item: write.Item,
		ConditionExpression: write.ConditionExpression, ExpressionAttributeNames: write.ExpressionAttributeNames,
		ExpressionAttributeValues: write.ExpressionAttributeValues})
	if err != nil {
		return fmt.Errorf("writing item %s %s: %w", text(write.Item, "PK"), text(write.Item, "SK"), err)
	}
	return nil
}

// putEach writes items side by side, each only where the condition holds for it: where it does not, what is there stays.
func (s *Store) putEach(ctx context.Context, items []any, condition expression.ConditionBuilder) error {
	const atOnce = 16
	tasks, taskCtx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	for _, item := range items {
		tasks.Go(func() error {
			err := s.put(taskCtx, item, condition)
			if conditionFailed(err) {
				return nil
			}
			return err
		})
	}
	return tasks.Wait()
}

// update changes an item if the condition holds and reads it as it then is into item, unless that is nil.
func (s *Store) update(ctx context.Context, k key, change expression.UpdateBuilder, condition expression.ConditionBuilder, item any) error {
	write, err := s.updateWrite(k, change, condition)
	if err != nil {
		return err
	}
	in := &dynamodb.UpdateItemInput{TableName: write.TableName, Key: write.Key, UpdateExpression: write.UpdateExpression,
		ConditionExpression: write.ConditionExpression, ExpressionAttributeNames: write.ExpressionAttributeNames,
		ExpressionAttributeValues: write.ExpressionAttributeValues}
	if item != nil {
		in.ReturnValues = types.ReturnValueAllNew
	}
	out, err := s.api.UpdateItem(ctx, in)
	if err != nil {
		return fmt.Errorf("changing item %s %s: %w", k.PK, k.SK, err)
	}
	if item == nil {
		return nil
	}
	return unmarshal(out.Attributes, item)
}

// remove deletes an item if the condition holds.
func (s *Store) remove(ctx context.Context, k key, condition expression.ConditionBuilder) error {
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return fmt.Errorf("building a condition: %w", err)
	}
	_, err = s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: k.attributes(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values()})
	return wrap(err, "deleting item %s %s", k.PK, k.SK)
}

func (s *Store) putWrite(item any, condition expression.ConditionBuilder) (*types.Put, error) {
	attributes, err := marshal(item)
	if err != nil {
		return nil, err
	}
	out := &types.Put{TableName: &s.table, Item: attributes}
	if !condition.IsSet() {
		return out, nil
	}
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return nil, fmt.Errorf("building a condition: %w", err)
	}
	out.ConditionExpression, out.ExpressionAttributeNames, out.ExpressionAttributeValues = e.Condition(), e.Names(), e.Values()
	return out, nil
}

func (s *Store) updateWrite(k key, change expression.UpdateBuilder, condition expression.ConditionBuilder) (*types.Update, error) {
	b := expression.NewBuilder().WithUpdate(change)
	if condition.IsSet() {
		b = b.WithCondition(condition)
	}
	e, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("building a change: %w", err)
	}
	return &types.Update{TableName: &s.table, Key: k.attributes(), UpdateExpression: e.Update(), ConditionExpression: e.Condition(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values()}, nil
}

// transaction gathers writes that happen together or not at all: at most 100, which is DynamoDB's limit.
type transaction struct {
	store  *Store
	writes []types.TransactWriteItem
	err    error
}

func (s *Store) transaction() *transaction { return &transaction{store: s} }

// put, update, remove and check add a write and return its number, by which a refusal is told.
func (t *transaction) put(item any, condition expression.ConditionBuilder) int {
	w, err := t.store.putWrite(item, condition)
	return t.add(types.TransactWriteItem{Put: w}, err)
}

func (t *transaction) update(k key, change expression.UpdateBuilder, condition expression.ConditionBuilder) int {
	w, err := t.store.updateWrite(k, change, condition)
	return t.add(types.TransactWriteItem{Update: w}, err)
}

func (t *transaction) remove(k key, condition expression.ConditionBuilder) int {
	w := &types.Delete{TableName: &t.store.table, Key: k.attributes()}
	if !condition.IsSet() {
		return t.add(types.TransactWriteItem{Delete: w}, nil)
	}
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	w.ConditionExpression, w.ExpressionAttributeNames, w.ExpressionAttributeValues = e.Condition(), e.Names(), e.Values()
	return t.add(types.TransactWriteItem{Delete: w}, err)
}

func (t *transaction) check(k key, condition expression.ConditionBuilder) int {
	e, err := expression.NewBuilder().WithCondition(condition).Build()
	return t.add(types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &t.store.table, Key: k.attributes(),
		ConditionExpression: e.Condition(), ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values()}}, err)
}

func (t *transaction) add(w types.TransactWriteItem, err error) int {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("building a transaction: %w", err)
	}
	t.writes = append(t.writes, w)
	return len(t.writes) - 1
}

// commit writes all or nothing. Two transactions that meet are tried again, with new ones' conditions checked anew.
func (t *transaction) commit(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	for try := 0; ; {
		_, err := t.store.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: t.writes})
		if err == nil {
			return nil
		}
		failed, again := verdict(err)
		if failed != nil {
			return failed
		}
		if !again {
			return fmt.Errorf("writing %d items at once: %w", len(t.writes), err)
		}
		var gaveUp error
		if try, gaveUp = backOff(ctx, try); gaveUp != nil {
			return fmt.Errorf("writing %d items at once: %w", len(t.writes), err)
		}
	}
}

// backOff waits a little before the next try, and gives up after the seventh or with the context.
func backOff(ctx context.Context, try int) (next int, err error) {
	if try >= 7 {
		return try, fmt.Errorf("giving up after %d tries", try)
	}
	most := 20 * time.Millisecond << try
	wait := time.NewTimer(most/2 + rand.N(most/2)) //nolint:gosec // jitter need not be secret
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return try, ctx.Err()
	case <-wait.C:
		return try + 1, nil
	}
}

// batch writes items without conditions, so only such as never change or are no longer read.
func (s *Store) batch(ctx context.Context, writes []types.WriteRequest) error {
	const most = 25 // of BatchWriteItem
	for try := 0; len(writes) > 0; {
		n := min(most, len(writes))
		out, err := s.api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.table: writes[:n]}})
		if err != nil {
			return fmt.Errorf("writing %d items: %w", n, err)
		}
		unprocessed := out.UnprocessedItems[s.table]
		writes = append(unprocessed, writes[n:]...)
		if len(unprocessed) > 0 {
			if try, err = backOff(ctx, try); err != nil {
				return fmt.Errorf("writing %d items: %w", len(writes), err)
			}
		}
	}
	return nil
}

func exists() expression.ConditionBuilder { return expression.AttributeExists(expression.Name("PK")) }
func absent() expression.ConditionBuilder {
	return expression.AttributeNotExists(expression.Name("PK"))
}

func equal(name string, value any) expression.ConditionBuilder {
	return expression.Name(name).Equal(expression.Value(value))
}

// always is the condition that is none.
var always expression.ConditionBuilder

func set(u expression.UpdateBuilder, name string, value any) expression.UpdateBuilder {
	return u.Set(expression.Name(name), expression.Value(value))
}
