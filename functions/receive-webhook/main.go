// Command receive-webhook takes what other programs say has happened: the relays inside clusters, Git hosts and registries.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apigw"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/queue"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/sfn"
)

type settings struct {
	Table      string `env:"TABLE_NAME,required"`
	Checks     string `env:"CHECKS_QUEUE_URL,required"`
	Deliveries string `env:"DELIVERIES_QUEUE_URL,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{
		store: store, keys: newKeyring(keep, store, time.Now), heard: newHeard(), checks: queue.Open(cfg, s.Checks),
		answers: callback.Answerer{Store: store, Tasks: sfn.OpenTasks(cfg), Now: time.Now}, log: log, now: time.Now,
	}
	h.sources = sources{store: store, secrets: keep, deliveries: queue.Open(cfg, s.Deliveries)}
	h.gates = gates{store: store, secrets: keep, tasks: sfn.OpenTasks(cfg)}
	return apigw.Handle(receivewebhook.New(h))
}
