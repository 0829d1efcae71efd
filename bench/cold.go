package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

const coldRounds = 20

// coldStarts is P5's times: from the start of a process to its first call for work.
func (b *bench) coldStarts(ctx context.Context) error {
	hello := filepath.Join(b.work, "hello")
	if err := b.goBuild(ctx, "", hello, functionFlags, "./bench/hello"); err != nil {
		return err
	}
	programs := map[string]string{"hello": hello}
	for _, function := range []string{"api", "deploy-release"} {
		path, err := b.bootstrap(function)
		if err != nil {
			return err
		}
		programs[function] = path
	}
	times := map[string][]time.Duration{}
	for range coldRounds { // in turns, so that all see the same machine
		for name, path := range programs {
			took, err := coldStart(ctx, path)
			if err != nil {
				return fmt.Errorf("starting %s: %w", name, err)
			}
			times[name] = append(times[name], took)
		}
	}
	anchor := milliseconds(median(times["hello"]))
	for _, name := range []string{"api", "deploy-release"} {
		limit := map[string]float64{"api": 60, "deploy-release": 150}[name]
		slices.Sort(times[name])
		b.add("P5-cold-"+name, "ms", milliseconds(median(times[name])), "%s: exec to its first call for work, p50 of %d (p90 %.0f ms); anchor: a function that does nothing",
			name, coldRounds, milliseconds(times[name][coldRounds*9/10])).against(anchor).atMost(limit)
	}
	return nil
}

func coldStart(ctx context.Context, path string) (time.Duration, error) {
	w, err := startWorker(ctx, path, functionEnvironment("none", "none"))
	if err != nil {
		return 0, err
	}
	defer w.kill()
	select {
	case at := <-w.ready:
		return at.Sub(w.began), nil
	case <-w.gone:
		return 0, w.died()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
