// Command check-cluster looks what a cluster holds: for the tick's queue, or as the task of a check run.
package main

import (
	"log"
	"log/slog"
	"time"
	_ "time/tzdata" // windows are in zones, and a function's machine has none

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/sfn"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	Bucket   string          `env:"BUCKET_NAME,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
	Machines string          `env:"MACHINE_ARN_PREFIX,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{
		store: dynamo.Open(cfg, s.Table), machines: sfn.Open(cfg, s.Machines), objects: bucket.Open(cfg, s.Bucket), clusters: kube.Opener{Credentials: secrets.Open(cfg), Policy: s.Networks},
		log: log, now: time.Now, newID: id.New,
	}
	return either{h.handleQueue, task.Expose(log, h.handleTask)}.handle
}
