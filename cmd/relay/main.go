// Command relay runs inside a cluster: it watches the workloads of Helm releases and reports to Swell what becomes of them.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/swell-sh/swell/cmd/relay/internal/follow"
	"github.com/swell-sh/swell/cmd/relay/internal/outbox"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/webhook"
)

var version = "dev" // set by the linker

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	err := run(ctx, log)
	failed := err != nil && ctx.Err() == nil
	stop()
	if failed {
		log.Error("the relay ends", "error", err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	address := os.Getenv("SWELL_REPORTS_URL")
	if err := outbox.CheckURL(address); err != nil {
		return err
	}
	clients, err := kube.NewInCluster(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"), or("SERVICE_ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount"))
	if err != nil {
		return err
	}
	box := outbox.New()
	follower, err := follow.New(clients, box.Add, os.Getenv("SWELL_TELL_LOGS") != "false", log)
	if err != nil {
		return err
	}
	sender := outbox.Sender{
		Outbox: box, URL: address, Key: keyIn(or("SWELL_KEY_FILE", "/etc/swell-relay/key")), Transport: http.DefaultTransport,
		Cluster: follower.Cluster, Follows: follower.Follows, Version: version, Log: log,
	}
	log.Info("following the workloads of Helm releases", "version", version, "reportsTo", address)
	if err := follower.Start(ctx); err != nil {
		return err
	}
	debug.FreeOSMemory() // the first lists took more than is ever needed again
	go sender.Run(ctx)
	return follower.Run(ctx)
}

// keyIn reads the key each time it is needed, so that a new one is used as soon as it is there.
func keyIn(file string) func() (webhook.Key, error) {
	return func() (webhook.Key, error) {
		text, err := os.ReadFile(file) //nolint:gosec // the installation says where its key is
		if err != nil {
			return webhook.Key{}, err
		}
		return webhook.ParseKey(strings.TrimSpace(string(text)))
	}
}

func or(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
