//go:build stack

package queue_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/queue"
)

func TestSend(t *testing.T) {
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	api := sqs.NewFromConfig(cfg)
	made, err := api.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("swell-test-" + id.New())})
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	url := *made.QueueUrl
	if err := queue.New(api, url).Send(t.Context(), map[string]string{"org": "a", "cluster": "c"}); err != nil {
		t.Fatal(err)
	}
	got, err := api.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 5})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].Body != `{"cluster":"c","org":"a"}` {
		t.Errorf("received %+v, error %v", got, err)
	}
	if _, err := api.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	if queue.New(api, url+"-gone").Send(t.Context(), "x") == nil {
		t.Error("a queue that does not exist took a message")
	}
}
