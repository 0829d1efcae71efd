package deadletter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/swell-sh/swell/shared/deadletter"
)

// stack is queues in memory, and the function that tells the bus.
type stack struct {
	deadletter.QueueAPI
	queues map[string][]types.Message // by URL
	feeds  map[string]string          // a queue's dead-letter queue
	answer func(payload string) lambda.InvokeOutput
	told   []string
	soon   bool // what is received is there again at once, before the others
}

func (s *stack) ListQueues(context.Context, *sqs.ListQueuesInput, ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error) {
	out := &sqs.ListQueuesOutput{}
	for url := range s.queues {
		out.QueueUrls = append(out.QueueUrls, url)
	}
	return out, nil
}

func (s *stack) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	attributes := map[string]string{"QueueArn": "arn:" + *in.QueueUrl, "ApproximateNumberOfMessages": fmt.Sprint(len(s.queues[*in.QueueUrl]))}
	if dead := s.feeds[*in.QueueUrl]; dead != "" {
		attributes["RedrivePolicy"] = `{"deadLetterTargetArn": "arn:` + dead + `"}`
	}
	return &sqs.GetQueueAttributesOutput{Attributes: attributes}, nil
}

// ReceiveMessage hides what it gives for no longer than one call: the queue goes round.
func (s *stack) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	all := s.queues[*in.QueueUrl]
	n := min(2, len(all))
	given := slices.Clone(all[:n])
	if s.soon {
		return &sqs.ReceiveMessageOutput{Messages: given}, nil
	}
	s.queues[*in.QueueUrl] = append(slices.Clone(all[n:]), given...)
	return &sqs.ReceiveMessageOutput{Messages: given}, nil
}

func (*stack) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (s *stack) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	s.queues[*in.QueueUrl] = append(s.queues[*in.QueueUrl], types.Message{Body: in.MessageBody})
	return &sqs.SendMessageOutput{}, nil
}

func (s *stack) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	s.queues[*in.QueueUrl] = slices.DeleteFunc(s.queues[*in.QueueUrl], func(m types.Message) bool { return *m.MessageId == *in.ReceiptHandle })
	return &sqs.DeleteMessageOutput{}, nil
}

func (s *stack) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	out := s.answer(string(in.Payload))
	if out.FunctionError == nil && !strings.Contains(string(out.Payload), "itemIdentifier") {
		s.told = append(s.told, string(in.Payload))
	}
	return &out, nil
}

func (s *stack) put(url string, bodies ...string) {
	for _, body := range bodies {
		id := fmt.Sprint("m", len(s.queues[url]))
		s.queues[url] = append(s.queues[url], types.Message{MessageId: &id, ReceiptHandle: &id, Body: aws.String(body), Attributes: map[string]string{"SentTimestamp": "1"}})
	}
}

// redrive hands on what lies in the queue DeadEvents.
func (s *stack) redrive(t *testing.T) (deadletter.Redriven, error) {
	t.Helper()
	i := deadletter.New(s, s, "swell", map[string]string{"DeadEventsUrl": "dead", "PublishEventsFunctionName": "publish"})
	all, err := i.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "DeadEvents" {
		t.Fatalf("%+v, %v", all, err)
	}
	return i.Redrive(t.Context(), all[0])
}

func letter(t *testing.T, n int) string {
	t.Helper()
	raw, err := json.Marshal(deadletter.Letter{Reason: "unreadable", Record: json.RawMessage(fmt.Sprint(n))})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const gaveUp = `{"requestContext": {"condition": "RecordAgeExceeded"}, "DDBStreamBatchInfo": {}}`

func TestRedriveRecords(t *testing.T) {
	taken := lambda.InvokeOutput{Payload: []byte(`{"batchItemFailures": []}`)}
	cases := map[string]struct {
		bodies []string
		answer lambda.InvokeOutput
		moved  int
		left   int // reported as such
		stays  int // in the queue
		fails  string
	}{
		"none":                            {answer: taken},
		"taken":                           {bodies: []string{letter(t, 1), letter(t, 2), letter(t, 3)}, answer: taken, moved: 3},
		"the bus refuses":                 {bodies: []string{letter(t, 1)}, answer: lambda.InvokeOutput{Payload: []byte(`{"batchItemFailures": [{"itemIdentifier": "7"}]}`)}, stays: 1, fails: "could not tell the bus"},
		"the function fails":              {bodies: []string{letter(t, 1)}, answer: lambda.InvokeOutput{FunctionError: aws.String("Unhandled"), Payload: []byte(`"boom"`)}, stays: 1, fails: "boom"},
		"it says nothing":                 {bodies: []string{letter(t, 1)}, answer: lambda.InvokeOutput{}, stays: 1, fails: "reading the answer"},
		"what Lambda gave up stops none":  {bodies: []string{gaveUp, letter(t, 1), gaveUp, letter(t, 2)}, answer: taken, moved: 2, left: 2, stays: 2},
		"nor does what nobody can read":   {bodies: []string{"x", letter(t, 1)}, answer: taken, moved: 1, left: 1, stays: 1},
		"and alone it is gone round once": {bodies: []string{gaveUp, gaveUp, gaveUp}, answer: taken, left: 3, stays: 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &stack{queues: map[string][]types.Message{}, answer: func(string) lambda.InvokeOutput { return c.answer }}
			s.put("dead", c.bodies...)
			done, err := s.redrive(t)
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Fatal(err)
			}
			if done.Moved != c.moved || done.Left != c.left || (done.Reason != "") != (c.left > 0) || len(s.queues["dead"]) != c.stays || c.fails == "" && len(s.told) != c.moved {
				t.Errorf("%+v, %d stay, told %v", done, len(s.queues["dead"]), s.told)
			}
		})
	}
}

// What cannot be handed on comes back before the others, where handing on takes longer than it is hidden.
func TestRedriveGoesPastWhatComesBack(t *testing.T) {
	s := &stack{queues: map[string][]types.Message{}, soon: true, answer: func(string) lambda.InvokeOutput {
		return lambda.InvokeOutput{Payload: []byte(`{"batchItemFailures": []}`)}
	}}
	s.put("dead", gaveUp, letter(t, 1), letter(t, 2), letter(t, 3))
	if done, err := s.redrive(t); err != nil || done.Moved != 3 || done.Left != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

// What came from a queue goes back to it, as it is.
func TestRedriveToAQueue(t *testing.T) {
	s := &stack{queues: map[string][]types.Message{"orders": nil, "other": nil}, feeds: map[string]string{"orders": "dead", "other": "elsewhere"}}
	s.put("dead", "one", gaveUp)
	done, err := s.redrive(t)
	if err != nil || done != (deadletter.Redriven{Moved: 2}) || len(s.queues["orders"]) != 2 || len(s.queues["dead"]) != 0 || len(s.queues["other"]) != 0 {
		t.Errorf("%+v, %v: %v", done, err, s.queues)
	}
}
