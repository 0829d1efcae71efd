// Package queue sends messages to an SQS queue.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// API is what is called of SQS: *sqs.Client.
type API interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

var _ API = (*sqs.Client)(nil)

// Queue is one queue.
type Queue struct {
	api API
	url string
}

// New makes a Queue of its URL.
func New(api API, url string) *Queue { return &Queue{api: api, url: url} }

// Open makes a Queue of a configuration.
func Open(cfg aws.Config, url string) *Queue { return New(sqs.NewFromConfig(cfg), url) }

// Send sends one message, as JSON.
func (q *Queue) Send(ctx context.Context, body any) error { return q.SendLater(ctx, body, 0) }

// SendLater sends one message, as JSON, that nobody receives before so long: whole seconds, 15 minutes at most.
func (q *Queue) SendLater(ctx context.Context, body any, wait time.Duration) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("sending a message: %w", err)
	}
	const most = 15 * time.Minute                                       // of SQS
	seconds := int32((min(wait, most) + time.Second - 1) / time.Second) //nolint:gosec // 900 at most
	if _, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(raw)), DelaySeconds: seconds}); err != nil {
		return fmt.Errorf("sending a message: %w", err)
	}
	return nil
}
