// Command next-batch hands out the targets to walk now.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table string `env:"TABLE_NAME,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{store: dynamo.Open(cfg, s.Table), now: time.Now}
	return task.Expose(log, h.handle)
}
