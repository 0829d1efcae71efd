// Command await-report has a task wait until a cluster's relay reports what became of a release.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/sfn"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table string `env:"TABLE_NAME,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store := dynamo.Open(cfg, s.Table)
	h := handler{store: store, answers: callback.Answerer{Store: store, Tasks: sfn.OpenTasks(cfg), Now: time.Now}}
	return task.Expose(log, h.handle)
}
