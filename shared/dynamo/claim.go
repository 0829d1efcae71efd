package dynamo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/idempotency"
)

// claimItem is the record of an idempotency key. Answered says that it has an answer; Body is compressed, for an item has 400 KB at most.
type claimItem struct {
	head
	Fingerprint, Attempt string
	Answered             bool
	Status               int
	Header               map[string]string `dynamodbav:",omitempty"`
	Body                 []byte            `dynamodbav:",omitempty"`
	ExpiresAt            int64             `dynamodbav:"expiresAt"` // the table's TTL takes it away some time after
}

// packers are kept: one costs a megabyte to make. An answer is small, so speed counts.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // it fails for a level that there is not
	return w
}}

func toClaimItem(c idempotency.Claim) (claimItem, error) {
	item := claimItem{head: headOf(idempotencyKey(c.Org, c.ID)), Fingerprint: c.Fingerprint, Attempt: c.Attempt, ExpiresAt: c.ExpiresAt.Unix()}
	if c.Answer == nil {
		return item, nil
	}
	var packed bytes.Buffer
	zip, _ := packers.Get().(*gzip.Writer)
	defer packers.Put(zip)
	zip.Reset(&packed)
	_, err := zip.Write(c.Answer.Body)
	if err = errors.Join(err, zip.Close()); err != nil {
		return item, fmt.Errorf("packing an answer: %w", err)
	}
	item.Answered, item.Status, item.Header, item.Body = true, c.Answer.Status, c.Answer.Header, packed.Bytes()
	return item, nil
}

func fromClaimItem(org, id string, i claimItem) (idempotency.Claim, error) {
	c := idempotency.Claim{Org: org, ID: id, Fingerprint: i.Fingerprint, Attempt: i.Attempt, ExpiresAt: time.Unix(i.ExpiresAt, 0).UTC()}
	if !i.Answered {
		return c, nil
	}
	zip, err := gzip.NewReader(bytes.NewReader(i.Body))
	if err != nil {
		return c, fmt.Errorf("unpacking an answer: %w", err)
	}
	body, err := io.ReadAll(zip)
	if err != nil {
		return c, fmt.Errorf("unpacking an answer: %w", err)
	}
	c.Answer = &idempotency.Answer{Status: i.Status, Header: i.Header, Body: body}
	return c, nil
}

// ClaimKey keeps the claim unless another that has not expired has the key: then it returns that one. One round trip either way.
func (s *Store) ClaimKey(ctx context.Context, c idempotency.Claim) (held idempotency.Claim, ours bool, err error) {
	item, err := toClaimItem(c)
	if err != nil {
		return idempotency.Claim{}, false, err
	}
	expired := expression.Name("expiresAt").LessThanEqual(expression.Value(s.now().Unix()))
	write, err := s.putWrite(item, absent().Or(expired))
	if err != nil {
		return idempotency.Claim{}, false, err
	}
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: write.TableName, Item: write.Item,
		ConditionExpression: write.ConditionExpression, ExpressionAttributeNames: write.ExpressionAttributeNames,
		ExpressionAttributeValues: write.ExpressionAttributeValues, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	var failed *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return c, true, nil
	case !errors.As(err, &failed):
		return idempotency.Claim{}, false, fmt.Errorf("claiming an idempotency key: %w", err)
	}
	var other claimItem
	if err := unmarshal(failed.Item, &other); err != nil {
		return idempotency.Claim{}, false, err
	}
	held, err = fromClaimItem(c.Org, c.ID, other)
	return held, false, err
}

// SettleKey replaces the claim of the same attempt. One that another attempt has taken meanwhile stays.
func (s *Store) SettleKey(ctx context.Context, c idempotency.Claim) error {
	item, err := toClaimItem(c)
	if err != nil {
		return err
	}
	if err = s.put(ctx, item, equal("Attempt", c.Attempt)); conditionFailed(err) {
		return nil
	}
	return wrap(err, "settling an idempotency key")
}
