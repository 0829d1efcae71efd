// Command publish-events tells the bus what changed in the table.
package main

import (
	"log"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/eventbus"
	"github.com/swell-sh/swell/shared/queue"
)

type settings struct {
	Table string `env:"TABLE_NAME,required"`
	Bus   string `env:"EVENT_BUS_NAME,required"`
	Dead  string `env:"DEAD_EVENTS_QUEUE_URL,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{store: dynamo.Open(cfg, s.Table), bus: eventbus.Open(cfg, s.Bus), dead: queue.Open(cfg, s.Dead), log: log}
	return h.handle
}
