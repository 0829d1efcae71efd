package notify

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/receiver"
)

// Open makes the senders of an installation: URLs are reached through the policy, mail goes to the topic.
func Open(cfg aws.Config, p netguard.Policy, topicARN string) Senders {
	client := p.HTTPClient(timeout)
	return Senders{
		receiver.Slack:   slack{Client: client},
		receiver.Teams:   teams{Client: client},
		receiver.Webhook: Webhook{Client: client},
		receiver.Email:   Email{Topic: sns.NewFromConfig(cfg), ARN: topicARN},
	}
}
