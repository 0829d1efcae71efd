// Command comment-run tells the Git host how a run ended that came from it.
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
	return handler{
		store: dynamo.Open(cfg, s.Table), secrets: secrets.Open(cfg), networks: s.Networks, api: s.API,
		client: &http.Client{Timeout: 25 * time.Second}, log: log,
	}.handle
}
