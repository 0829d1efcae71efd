// Command keep-receivers answers the API's operations on receivers: who is told of events.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apigw"
	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/keepreceivers"
	"github.com/swell-sh/swell/shared/secrets"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	APIKey   string          `env:"API_KEY_SECRET,required"`
	Topic    string          `env:"MAIL_TOPIC_ARN,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{store: store, secrets: keep, senders: notify.Open(cfg, s.Networks, s.Topic), networks: s.Networks, log: log, now: time.Now}
	return apigw.Handle(openapi.Authenticate(openapi.Idempotent(keepreceivers.New(h), store, log), apikey.Open(store, keep, s.APIKey, log).Verify))
}
