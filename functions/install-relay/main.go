// Command install-relay installs, upgrades and removes the relays inside clusters, for the queue of what is ordered.
package main

import (
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/charts"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/queue"
	"github.com/swell-sh/swell/shared/secrets"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	Orders   string          `env:"RELAYS_QUEUE_URL,required"`
	Endpoint string          `env:"API_ENDPOINT,required"`
	Image    string          `env:"RELAY_IMAGE"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
	Logs     bool            `env:"RELAY_LOGS"`
}

func main() {
	helm.ServeChildren()
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	keep := secrets.Open(cfg)
	return handler{
		store: dynamo.Open(cfg, s.Table), secrets: keep, orders: queue.Open(cfg, s.Orders), chart: charts.Relay,
		clusters: kube.Opener{Credentials: keep, Policy: s.Networks}, endpoint: s.Endpoint, image: s.Image, logs: s.Logs, log: log, now: time.Now}.handle
}
