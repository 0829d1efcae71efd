// Command swell is the command line of Swell: a thin client of its HTTP API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/swell-sh/swell/cmd/swell/internal/cli"
)

// Set by the linker.
var (
	version = "dev"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, cli.Process{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version, Commit: commit,
	})
	stop()
	os.Exit(code)
}
