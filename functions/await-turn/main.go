// Command await-turn keeps what wakes a run that is paused, bakes or stands at a gate, and asks who opens the gate.
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
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/sfn"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	API      string          `env:"API_URL,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	h := handler{store: dynamo.Open(cfg, s.Table), tasks: sfn.OpenTasks(cfg), secrets: secrets.Open(cfg), asker: notify.Asker(s.Networks), api: s.API, now: time.Now}
	return task.Expose(log, h.handle)
}
