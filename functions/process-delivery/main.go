// Command process-delivery does what a source's delivery is about: it asks the host itself, and changes the deployments that follow.
package main

import (
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/secrets"
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
	h := handler{
		store: dynamo.Open(cfg, s.Table), secrets: secrets.Open(cfg), hosts: hosts{s.Networks, ecrOf(cfg)}, api: s.API, client: &http.Client{Timeout: 30 * time.Second},
		log: log, now: time.Now,
	}
	return h.handle
}
