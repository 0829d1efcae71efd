package dynamo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/problem"
)

// Page asks for a part of a list. Cursor is what the list before returned as next, or empty for the first part.
type Page struct {
	Limit      int // 0: everything
	Cursor     string
	Sort       Sort
	NamePrefix string
}

// Sort is the order of a list; none is the list's own.
type Sort string

// The orders there are.
const (
	ByName        Sort = "name"
	ByNameDown    Sort = "-name"
	ByCreated     Sort = "createdAt"
	ByCreatedDown Sort = "-createdAt"
)

func (s Sort) named() bool { return s == ByName || s == ByNameDown }
func (s Sort) down() bool  { return strings.HasPrefix(string(s), "-") }

// query is one partition of the table or of an index, read in the order of its sort key.
type query struct {
	index  string // empty: the table, strongly consistent
	pk     string
	prefix string // of the sort key
	from   string // smallest sort key; with upTo
	upTo   string // greatest sort key, unless empty
	newest bool   // backwards
	filter expression.ConditionBuilder
	keep   func(map[string]types.AttributeValue) (bool, error)     // what filter cannot say; nil: all
	by     string                                                  // what else the list depends on, in words: a cursor holds for the same query alone
	resume func(sk string) (map[string]types.AttributeValue, bool) // where a page of an index goes on; nil: the table
}

func (q query) keys() (pk, sk string) {
	switch q.index {
	case indexGSI1:
		return "GSI1PK", "GSI1SK"
	case indexGSI2:
		return "GSI2PK", "GSI2SK"
	case indexDue:
		return "DuePK", "DueSK"
	}
	return "PK", "SK"
}

func (q query) input(table string) (*dynamodb.QueryInput, error) {
	pk, sk := q.keys()
	condition := expression.Key(pk).Equal(expression.Value(q.pk))
	switch {
	case q.prefix != "":
		condition = condition.And(expression.Key(sk).BeginsWith(q.prefix))
	case q.from != "":
		condition = condition.And(expression.Key(sk).Between(expression.Value(q.from), expression.Value(q.upTo)))
	case q.upTo != "":
		condition = condition.And(expression.Key(sk).LessThanEqual(expression.Value(q.upTo)))
	}
	b := expression.NewBuilder().WithKeyCondition(condition)
	if q.filter.IsSet() {
		b = b.WithFilter(q.filter)
	}
	e, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("building a query: %w", err)
	}
	in := &dynamodb.QueryInput{TableName: &table, KeyConditionExpression: e.KeyCondition(), FilterExpression: e.Filter(),
		ExpressionAttributeNames: e.Names(), ExpressionAttributeValues: e.Values(), ScanIndexForward: aws.Bool(!q.newest)}
	if q.index == "" {
		in.ConsistentRead = aws.Bool(true)
	} else {
		in.IndexName = &q.index
	}
	return in, nil
}

// list reads one page and hands each item on. next is the cursor of the page after, or empty.
func (s *Store) list(ctx context.Context, q query, page Page, each func(map[string]types.AttributeValue) error) (next string, err error) {
	in, err := q.input(s.table)
	if err != nil {
		return "", err
	}
	if in.ExclusiveStartKey, err = q.start(page.Cursor); err != nil {
		return "", err
	}
	_, sk := q.keys()
	const rounds = 5 // a filter that lets little through ends the page early, with a cursor
	taken, last := 0, ""
	for round := 0; page.Limit == 0 || round < rounds; round++ {
		if page.Limit > 0 {
			in.Limit = q.limit(page.Limit - taken)
		}
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return "", fmt.Errorf("listing items of %s: %w", q.pk, err)
		}
		for _, item := range out.Items {
			if kept, err := q.keeps(item); err != nil {
				return "", err
			} else if !kept {
				last = text(item, sk)
				continue
			}
			if page.Limit > 0 && taken == page.Limit {
				return q.cursor(last), nil
			}
			if err := each(item); err != nil {
				return "", err
			}
			taken, last = taken+1, text(item, sk)
		}
		if out.LastEvaluatedKey == nil {
			return "", nil
		}
		in.ExclusiveStartKey, last = out.LastEvaluatedKey, text(out.LastEvaluatedKey, sk)
	}
	return q.cursor(last), nil
}

// limit is how many items to read for so many that are wanted: one more, to know whether there is a next page, and more for a filter.
func (q query) limit(wanted int) *int32 {
	const most, filtered = 1000, 400
	limit := int32(max(0, min(wanted, most))) + 1
	if q.filter.IsSet() || q.keep != nil {
		limit = max(limit, filtered)
	}
	return &limit
}

func (q query) keeps(item map[string]types.AttributeValue) (bool, error) {
	if q.keep == nil {
		return true, nil
	}
	return q.keep(item)
}

// cursor is where the page after the item with this sort key begins, for this query alone.
func (q query) cursor(sk string) string {
	return base64.RawURLEncoding.EncodeToString(append(q.mark(), sk...))
}

// mark tells queries apart.
func (q query) mark() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %t %q", q.index, q.pk, q.prefix, q.from, q.upTo, q.newest, q.by))
	return sum[:6]
}

// start is where a cursor's page begins. A cursor holds the mark of its query and a sort key; the org is the caller's.
func (q query) start(cursor string) (map[string]types.AttributeValue, error) {
	if cursor == "" {
		return nil, nil
	}
	invalid := problem.Malformed("cursor-invalid", "the cursor was not made by this list with these filters and this order").At("cursor").
		Try("use the cursor of the page before with the same parameters, or none")
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) > 1024 || !bytes.HasPrefix(raw, q.mark()) {
		return nil, invalid
	}
	if raw = raw[len(q.mark()):]; len(raw) == 0 || !strings.HasPrefix(string(raw), q.prefix) {
		return nil, invalid
	}
	if q.resume == nil {
		return key{q.pk, string(raw)}.attributes(), nil
	}
	start, ok := q.resume(string(raw))
	if !ok {
		return nil, invalid
	}
	return start, nil
}

// listAs lists items of one kind as what fromItem makes of them.
func listAs[Item, Record any](ctx context.Context, s *Store, q query, page Page, fromItem func(Item) Record) (records []Record, next string, err error) {
	records = []Record{}
	next, err = s.list(ctx, q, page, func(av map[string]types.AttributeValue) error {
		var item Item
		if err := unmarshal(av, &item); err != nil {
			return err
		}
		records = append(records, fromItem(item))
		return nil
	})
	return records, next, err
}
