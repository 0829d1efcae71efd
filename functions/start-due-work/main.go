// Command start-due-work is the tick: due clusters to their check, changed groups to their deployments, runs that never started to their machine.
package main

import (
	"log"
	"log/slog"
	"time"
	_ "time/tzdata" // windows are in zones, and a function's machine has none

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/queue"
	"github.com/swell-sh/swell/shared/sfn"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table    string `env:"TABLE_NAME,required"`
	Machines string `env:"MACHINE_ARN_PREFIX,required"`
	Checks   string `env:"CHECKS_QUEUE_URL,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{store: dynamo.Open(cfg, s.Table), machines: sfn.Open(cfg, s.Machines), waiters: sfn.OpenTasks(cfg), checks: queue.Open(cfg, s.Checks), log: log, now: time.Now, newID: id.New}
	return task.Expose(log, h.handle)
}
