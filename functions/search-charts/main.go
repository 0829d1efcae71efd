// Command search-charts answers what repositories and registries have.
package main

import (
	"log"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/apigw"
	"github.com/swell-sh/swell/shared/apikey"
	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/catalog"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/server/searchcharts"
	"github.com/swell-sh/swell/shared/secrets"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	APIKey   string          `env:"API_KEY_SECRET,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store, keep := dynamo.Open(cfg, s.Table), secrets.Open(cfg)
	h := handler{store: store, credentials: keep, charts: catalog.Open(s.Networks), log: log}
	return apigw.Handle(openapi.Authenticate(searchcharts.New(h), apikey.Open(store, keep, s.APIKey, log).Verify))
}
