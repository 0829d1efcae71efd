// Command deploy-release runs one Helm verb on one release, in a child, under the release's lease.
package main

import (
	"log"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/boot"
	"github.com/swell-sh/swell/shared/bucket"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/lease"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/task"
)

type settings struct {
	Table    string          `env:"TABLE_NAME,required"`
	Bucket   string          `env:"BUCKET_NAME,required"`
	Networks netguard.Policy `env:"ALLOWED_NETWORKS"`
}

func main() {
	helm.ServeChildren()
	log.Fatal(boot.Start(wire))
}

func wire(s settings, cfg aws.Config, log *slog.Logger) any {
	store := dynamo.Open(cfg, s.Table)
	h := handler{
		store: store, objects: bucket.Open(cfg, s.Bucket), clusters: kube.Opener{Credentials: secrets.Open(cfg), Policy: s.Networks},
		leases: lease.Holder{Store: store, Log: log, Invocation: task.Invocation}, log: log,
	}
	return task.Expose(log, task.Record(store, "DeployRelease", h.handle))
}
