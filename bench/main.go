// Command bench measures Swell beside Helm's own command line, on the same clusters and in the same run.
//
// It prints a table and writes build/bench.json; -write also writes docs/figures.md. It needs the local stack (`make bench` starts it).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/helm"
)

// parts are in the order in which they run: what loads the machine comes before or after what is timed, never beside it.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"sizes", (*bench).sizes}, // arm64 builds
	{"P2", (*bench).calls},
	{"P3", (*bench).distance},
	{"diff", (*bench).previews},
	{"checks", (*bench).checks}, // P4, P10, P12
	{"flux", (*bench).besideFlux},
	{"P5", (*bench).coldStarts},
	{"P8", (*bench).apiTime},
	{"P9", (*bench).transitions},
	{"P11", (*bench).webhooks},
	{"P1", (*bench).fanOut},
	{"waves", (*bench).waves},
	{"kills", (*bench).kills},
	{"chaos", (*bench).chaos},
	{"demo", (*bench).demo},
}

func main() {
	helm.RegisterChildren()
	child.Main() // does not return in a child
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	only := flag.String("only", "", "which parts, with commas between: "+strings.Join(names, ","))
	write := flag.Bool("write", false, "write docs/figures.md too")
	flux := flag.String("flux", "", "a folder with Flux's helm-controller and, in crds/, the CRDs of it and of source-controller, to measure beside; built elsewhere")
	helmDiff := flag.String("helm-diff", "", "the program of the helm-diff plugin, to measure beside; built elsewhere")
	seed := flag.Uint64("seed", 1, "of the moments of the kills")
	flag.Parse()
	if err := start(ctx, *only, names, *write, &bench{seed: *seed, flux: *flux, helmDiff: *helmDiff}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func start(ctx context.Context, only string, names []string, write bool, b *bench) error {
	wanted := names
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return fmt.Errorf("there is no part %q; there are %s", w, strings.Join(names, ", "))
		}
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "swell-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	b.root, b.work, b.notes, b.some = root, work, os.Stderr, only != ""
	var failed []error
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		b.note("%s …", p.name)
		if err := p.run(b, ctx); err != nil {
			failed = append(failed, fmt.Errorf("measuring %s: %w", p.name, err))
			b.note("%s: %v", p.name, err)
		}
		b.note("%s took %.0f s", p.name, time.Since(began).Seconds())
	}
	return errors.Join(append(failed, b.report(context.WithoutCancel(ctx), os.Stdout, write))...)
}

// findRoot answers the nearest folder upwards that holds the module.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "template.yaml")); statErr == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run it in Swell's repository: there is no template.yaml here or above")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
