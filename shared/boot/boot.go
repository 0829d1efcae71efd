// Package boot is what every function's main does first: it reads the settings and makes the logger and the way to AWS.
package boot

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/logging"
)

// Version and Commit are set by the build.
var (
	Version = "dev"
	Commit  = ""
)

// Start makes a function's handler with its settings and serves it. It returns only if it could not start.
func Start[S any](wire func(settings S, cfg aws.Config, log *slog.Logger) (handler any)) error {
	var settings S
	cfg, log, err := load(context.Background(), &settings)
	if err != nil {
		return err
	}
	lambda.Start(wire(settings, cfg, log))
	return nil
}

func load(ctx context.Context, settings any) (aws.Config, *slog.Logger, error) {
	var common struct {
		Level slog.Level `env:"LOG_LEVEL" default:"info"`
	}
	if err := config.Load(ctx, &common); err != nil {
		return aws.Config{}, nil, err
	}
	if err := config.Load(ctx, settings); err != nil {
		return aws.Config{}, nil, err
	}
	cfg, err := config.AWS(ctx)
	if err != nil {
		return aws.Config{}, nil, err
	}
	log := logging.New(os.Stdout, common.Level)
	slog.SetDefault(log)
	return cfg, log, nil
}
