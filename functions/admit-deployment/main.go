// Command admit-deployment checks and accepts intents, and takes chart archives.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi/server/admitdeployment"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/sfn"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	Bucket   string          `env:"BUCKET_NAME,required"`
	Machines string          `env:"MACHINE_ARN_PREFIX,required"`
	APIKey   string          `env:"API_KEY_SECRET,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	helm.ServeChildren()
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{store: store, objects: bucket.Open(cfg, s.Bucket), charts: catalog.Open(s.Networks), credentials: keep, machines: sfn.Open(cfg, s.Machines), log: log, now: time.Now}
	return apikey.Serve(admitdeployment.New(h), store, keep, s.APIKey, log)
}
