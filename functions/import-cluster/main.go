// Command import-cluster imports a cluster, once it was reached.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi/server/importcluster"
	"github.com/swell-sh/swell/shared/queue"
	"github.com/swell-sh/swell/shared/secrets"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	APIKey   string          `env:"API_KEY_SECRET,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
	Orders   string          `env:"RELAYS_QUEUE_URL,required"`
	Relays   bool            `env:"INSTALL_RELAYS"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{
		store: store, secrets: keep, orders: queue.Open(cfg, s.Orders), relays: s.Relays, policy: s.Networks, log: log, now: time.Now,
	}
	return apikey.Serve(importcluster.New(h), store, keep, s.APIKey, log)
}
