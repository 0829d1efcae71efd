// Command send-notification tells receivers of events: first who is to be told of one, then each of them by itself.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/queue"
	"github.com/swell-sh/swell/shared/secrets"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	Queue    string          `env:"NOTIFICATIONS_QUEUE_URL,required"`
	Topic    string          `env:"MAIL_TOPIC_ARN,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{
		store: dynamo.Open(cfg, s.Table), secrets: secrets.Open(cfg), queue: queue.Open(cfg, s.Queue), consumed: queue.OpenConsumed(cfg, s.Queue),
		senders: notify.Open(cfg, s.Networks, s.Topic), log: log, now: time.Now,
	}
	return h.handle
}
