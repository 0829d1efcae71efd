// Command api answers every read and every small write of the HTTP API.
package main

import (
	"log"
	"log/slog"
	"time"
	_ "time/tzdata" // windows are in zones, and a function's machine has none

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/api"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/sfn"
)

type settings struct {
	Table    string `env:"TABLE_NAME,required"`
	Bucket   string `env:"BUCKET_NAME,required"`
	Machines string `env:"MACHINE_ARN_PREFIX,required"`
	APIKey   string `env:"API_KEY_SECRET,required"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{
		store: store, values: bucket.Open(cfg, s.Bucket), secrets: keep, sourceSecrets: keep, machines: sfn.Open(cfg, s.Machines), waiters: sfn.OpenTasks(cfg), log: log, now: time.Now,
		version: openapi.Version{Version: boot.Version, Commit: boot.Commit},
	}
	return apikey.Serve(api.New(h), store, keep, s.APIKey, log)
}
