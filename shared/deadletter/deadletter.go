// Package deadletter finds the messages that an installation gave up, and hands them to be tried again.
package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Queue is a dead-letter queue.
type Queue struct {
	Name     string    `json:"name"`     // as the stack's output has it: DeadChecks
	Messages int       `json:"messages"` // about how many
	Oldest   time.Time `json:"oldest,omitzero"`
	Reason   string    `json:"reason,omitempty"` // what one of them says of itself
	url      string
}

// Installation is a stack of Swell's.
type Installation struct {
	queues    *sqs.Client
	functions *lambda.Client
	stack     string
	outputs   map[string]string
}

// Open finds the installation of a stack.
func Open(ctx context.Context, cfg aws.Config, stack string) (*Installation, error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, fmt.Errorf("reading stack %s: %w", stack, err)
	}
	i := &Installation{queues: sqs.NewFromConfig(cfg), functions: lambda.NewFromConfig(cfg), stack: stack, outputs: map[string]string{}}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			i.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	return i, nil
}

// The outputs of the stack that name its dead-letter queues, and the function whose records lie in one.
const (
	prefix, suffix = "Dead", "Url"
	republisher    = "PublishEventsFunctionName"
)

// List tells of each queue how much lies in it, and looks at one batch for the oldest and the reason. Looking takes nothing away.
func (i *Installation) List(ctx context.Context) ([]Queue, error) {
	var all []Queue
	for output, url := range i.outputs {
		name, isURL := strings.CutSuffix(output, suffix)
		if !isURL || !strings.HasPrefix(name, prefix) {
			continue
		}
		q, err := i.look(ctx, Queue{Name: name, url: url})
		if err != nil {
			return nil, fmt.Errorf("looking at queue %s: %w", name, err)
		}
		all = append(all, q)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("stack %s has no output Dead…Url: it is none of Swell's, or an older one", i.stack)
	}
	slices.SortFunc(all, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (i *Installation) look(ctx context.Context, q Queue) (Queue, error) {
	attributes, err := i.attributes(ctx, q.url)
	if err != nil {
		return q, err
	}
	q.Messages, _ = strconv.Atoi(attributes["ApproximateNumberOfMessages"]) // SQS writes a number
	if q.Messages == 0 {
		return q, nil
	}
	messages, err := i.receive(ctx, q.url)
	for _, m := range messages {
		_, unhidden := i.queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
		err = errors.Join(err, unhidden)
		milliseconds, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64) // as above
		if at := time.UnixMilli(milliseconds).UTC(); q.Oldest.IsZero() || at.Before(q.Oldest) {
			q.Oldest, q.Reason = at, reason(aws.ToString(m.Body))
		}
	}
	return q, err
}

func (i *Installation) attributes(ctx context.Context, url string) (map[string]string, error) {
	out, err := i.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// hiddenFor is how many seconds a message is nobody else's once it is received.
const hiddenFor = 60

func (i *Installation) receive(ctx context.Context, url string) ([]types.Message, error) {
	out, err := i.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: hiddenFor,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// letter is what a dead message may say of itself: a record that could not be read, a notification, or what Lambda says of records that it gave up.
type letter struct {
	Reason   string          `json:"reason"`
	Record   json.RawMessage `json:"record"`
	Receiver string          `json:"receiver"`
	Detail   struct {
		Type string `json:"type"`
	} `json:"detail"`
	RequestContext struct {
		Condition string `json:"condition"`
	} `json:"requestContext"`
}

func reason(body string) string {
	var l letter
	_ = json.Unmarshal([]byte(body), &l) // a body of another kind is shown as it is
	switch {
	case l.Reason != "":
		return l.Reason
	case l.Receiver != "":
		return fmt.Sprintf("receiver %s did not take %s; swell receiver show %s says why", l.Receiver, l.Detail.Type, l.Receiver)
	case l.RequestContext.Condition != "":
		return "Lambda gave up: " + l.RequestContext.Condition
	case len(body) > 200:
		return strings.ToValidUTF8(body[:200], "") + "…"
	}
	return body
}

// Redrive hands the messages that lie in the queue now to who gave them up: to the queue that they come from, or, if they are records of the table's
// stream, to the function. Each is deleted once it is handed on; one that fails again comes back.
func (i *Installation) Redrive(ctx context.Context, q Queue) (moved int, err error) {
	source, err := i.source(ctx, q.url)
	if err != nil {
		return 0, err
	}
	for moved < q.Messages {
		messages, err := i.receive(ctx, q.url)
		if err != nil || len(messages) == 0 {
			return moved, err
		}
		for _, m := range messages {
			if source != "" {
				_, err = i.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &source, MessageBody: m.Body, MessageAttributes: m.MessageAttributes})
			} else {
				err = i.republish(ctx, aws.ToString(m.Body))
			}
			if err != nil {
				return moved, fmt.Errorf("handing on message %s of %s: %w", aws.ToString(m.MessageId), q.Name, err)
			}
			if _, err := i.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return moved, fmt.Errorf("deleting message %s of %s, which was handed on: %w", aws.ToString(m.MessageId), q.Name, err)
			}
			moved++
		}
	}
	return moved, nil
}

// source is the queue whose messages end in the one at url; none: they come from no queue.
func (i *Installation) source(ctx context.Context, url string) (string, error) {
	dead, err := i.attributes(ctx, url)
	if err != nil {
		return "", err
	}
	pages := sqs.NewListQueuesPaginator(i.queues, &sqs.ListQueuesInput{QueueNamePrefix: &i.stack, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("listing the queues of stack %s: %w", i.stack, err)
		}
		for _, candidate := range page.QueueUrls {
			attributes, err := i.attributes(ctx, candidate)
			if err != nil {
				return "", err
			}
			var policy struct {
				DeadLetterTargetArn string `json:"deadLetterTargetArn"`
			}
			_ = json.Unmarshal([]byte(attributes["RedrivePolicy"]), &policy) // most have none
			if policy.DeadLetterTargetArn != "" && policy.DeadLetterTargetArn == dead["QueueArn"] {
				return candidate, nil
			}
		}
	}
	return "", nil
}

// republish hands a record of the stream to the function again. If it still cannot be read, the function puts it aside anew.
func (i *Installation) republish(ctx context.Context, body string) error {
	var l letter
	if err := json.Unmarshal([]byte(body), &l); err != nil || len(l.Record) == 0 {
		return fmt.Errorf("it holds no record, only that Lambda gave records up: they are in the table's stream for 24 hours")
	}
	function := i.outputs[republisher]
	payload, err := json.Marshal(map[string]any{"Records": []json.RawMessage{l.Record}})
	if err != nil {
		return err
	}
	out, err := i.functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	if err == nil && out.FunctionError != nil {
		err = fmt.Errorf("function %s failed: %s", function, out.Payload)
	}
	return err
}
