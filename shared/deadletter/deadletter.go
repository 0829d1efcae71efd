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

// QueueAPI is what is called of SQS: *sqs.Client.
type QueueAPI interface {
	ListQueues(context.Context, *sqs.ListQueuesInput, ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
}

// FunctionAPI is what is called of Lambda: *lambda.Client.
type FunctionAPI interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

var (
	_ QueueAPI    = (*sqs.Client)(nil)
	_ FunctionAPI = (*lambda.Client)(nil)
)

// Installation is a stack of Swell's.
type Installation struct {
	queues    QueueAPI
	functions FunctionAPI
	stack     string
	outputs   map[string]string
}

// Open finds the installation of a stack.
func Open(ctx context.Context, cfg aws.Config, stack string) (*Installation, error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, fmt.Errorf("reading stack %s: %w", stack, err)
	}
	outputs := map[string]string{}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	return New(sqs.NewFromConfig(cfg), lambda.NewFromConfig(cfg), stack, outputs), nil
}

// New makes an Installation of a stack's outputs.
func New(queues QueueAPI, functions FunctionAPI, stack string, outputs map[string]string) *Installation {
	return &Installation{queues: queues, functions: functions, stack: stack, outputs: outputs}
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

// Redriven is what became of a queue's messages.
type Redriven struct {
	Moved  int    // handed on, and deleted from the queue
	Left   int    // that nobody can take again; they stay until the queue forgets them
	Reason string // of one that is left
}

// Redrive hands the messages that lie in the queue now to who gave them up: to the queue that they come from, or, if they are records of the table's
// stream, to the function. Each is deleted once it is handed on; one that fails again comes back. One that can never be handed on stops none of the others.
func (i *Installation) Redrive(ctx context.Context, q Queue) (done Redriven, err error) {
	source, err := i.source(ctx, q.url)
	if err != nil {
		return done, err
	}
	left := map[string]bool{}
	for done.Moved+done.Left < q.Messages {
		messages, err := i.receive(ctx, q.url)
		if err != nil || len(messages) == 0 {
			return done, err
		}
		messages = slices.DeleteFunc(messages, func(m types.Message) bool { return left[aws.ToString(m.MessageId)] })
		if len(messages) == 0 {
			return done, nil // all of them were seen before
		}
		for _, m := range messages {
			err := i.handOn(ctx, source, m)
			if errors.Is(err, errNoRecord) {
				left[aws.ToString(m.MessageId)], done.Left, done.Reason = true, done.Left+1, err.Error()
				continue
			}
			if err != nil {
				return done, fmt.Errorf("handing on message %s of %s: %w", aws.ToString(m.MessageId), q.Name, err)
			}
			if _, err := i.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return done, fmt.Errorf("deleting message %s of %s, which was handed on: %w", aws.ToString(m.MessageId), q.Name, err)
			}
			done.Moved++
		}
	}
	return done, nil
}

func (i *Installation) handOn(ctx context.Context, source string, m types.Message) error {
	if source == "" {
		return i.republish(ctx, aws.ToString(m.Body))
	}
	_, err := i.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &source, MessageBody: m.Body, MessageAttributes: m.MessageAttributes})
	return err
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

// errNoRecord is a message that Lambda itself wrote about records that the stream forgot before they could be told.
var errNoRecord = errors.New("it holds no record, only that Lambda gave records up: what they changed is in the table, and was not told")

// republish hands a record of the stream to the function again. If it still cannot be read, the function puts it aside anew.
func (i *Installation) republish(ctx context.Context, body string) error {
	var l Letter
	if err := json.Unmarshal([]byte(body), &l); err != nil || len(l.Record) == 0 {
		return errNoRecord
	}
	function := i.outputs[republisher]
	payload, err := json.Marshal(map[string]any{"Records": []json.RawMessage{l.Record}})
	if err != nil {
		return err
	}
	out, err := i.functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	if err != nil {
		return err
	}
	if out.FunctionError != nil {
		return fmt.Errorf("function %s failed: %s", function, out.Payload)
	}
	var answer struct {
		Again []json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(out.Payload, &answer); err != nil {
		return fmt.Errorf("reading the answer of function %s: %w", function, err)
	}
	if len(answer.Again) > 0 { // no error of the function's: it has Lambda send the record again, which nobody does here
		return fmt.Errorf("function %s could not tell the bus of it; its log says why", function)
	}
	return nil
}
