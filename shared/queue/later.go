package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// LaterAPI is what is called of SQS to put a message off: *sqs.Client.
type LaterAPI interface {
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

var _ LaterAPI = (*sqs.Client)(nil)

// Consumed is a queue that Lambda hands a function messages of.
type Consumed struct {
	api LaterAPI
	url string
}

// OpenConsumed makes a Consumed of a configuration.
func OpenConsumed(cfg aws.Config, url string) *Consumed {
	return &Consumed{api: sqs.NewFromConfig(cfg), url: url}
}

// Later says when a message that was received, and that the function gives back, is received again: at most 12 hours from now.
func (c *Consumed) Later(ctx context.Context, receiptHandle string, after time.Duration) error {
	const most = 12 * time.Hour
	_, err := c.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &c.url, ReceiptHandle: &receiptHandle, VisibilityTimeout: int32(min(after, most) / time.Second), //nolint:gosec // at most 43,200
	})
	if err != nil {
		return fmt.Errorf("putting a message off: %w", err)
	}
	return nil
}
