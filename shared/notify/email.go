package notify

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
)

// Topic is what is called of SNS: *sns.Client.
type Topic interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

var _ Topic = (*sns.Client)(nil)

// Email sends to the installation's topic. Who subscribes an address filters by the attributes org and receiver.
type Email struct {
	Topic Topic
	ARN   string
}

// Send implements Sender.
func (s Email) Send(ctx context.Context, d Delivery) error {
	attribute := func(value string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	_, err := s.Topic.Publish(ctx, &sns.PublishInput{TopicArn: &s.ARN, Subject: aws.String(subject(d.Message.Title)), Message: aws.String(d.Message.Plain()),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"org": attribute(d.Receiver.Org), "receiver": attribute(d.Receiver.Name), "type": attribute(string(d.Event.Type)),
		}})
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return errors.New("the topic did not take it: " + refused.ErrorCode() + ": " + refused.ErrorMessage())
	}
	return err
}

// subject is what SNS takes for one: at most 100 printable ASCII characters.
func subject(title string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, title)
	if len(plain) > 100 {
		plain = plain[:97] + "..."
	}
	return plain
}
