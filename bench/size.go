package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sizes is P5's sizes, as `make build GOARCH=arm64` makes them.
func (b *bench) sizes(ctx context.Context) error {
	out := filepath.Join(b.work, "arm64") + string(filepath.Separator)
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	b.note("building the functions for arm64: minutes the first time")
	began := time.Now()
	if err := b.goBuild(ctx, "arm64", out, functionFlags, "./functions/..."); err != nil {
		return err
	}
	b.note("built in %.0f s", time.Since(began).Seconds())
	kinds, err := b.linked(ctx)
	if err != nil {
		return err
	}
	largest := map[string]int64{}
	sizes := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		info, err := os.Stat(filepath.Join(out, name))
		if err != nil {
			return err
		}
		kind := kinds[name]
		largest[kind] = max(largest[kind], info.Size())
		sizes[kind] = append(sizes[kind], fmt.Sprintf("%s %.1f", name, megabytes(info.Size())))
	}
	limits := map[string]float64{"neither": 12, "Helm": 60}
	for _, kind := range []string{"neither", "client-go", "Helm"} {
		r := b.add("P5-size-"+strings.ToLower(kind), "MB", megabytes(largest[kind]), "the largest function that links %s, arm64, stripped: %s", map[string]string{"neither": "neither Helm nor client-go", "client-go": "client-go without Helm", "Helm": "Helm"}[kind], strings.Join(sizes[kind], ", "))
		if limit, ok := limits[kind]; ok {
			r.atMost(limit)
		}
	}
	return nil
}

// linked says of each function which heavy library it links.
func (b *bench) linked(ctx context.Context) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-tags", "lambda.norpc", "-f", `{{if eq .Name "main"}}{{.Dir}} {{join .Deps " "}}{{end}}`, "./functions/...")
	cmd.Dir = b.root
	listed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing what the functions link: %w", err)
	}
	kinds := map[string]string{}
	for line := range strings.Lines(string(listed)) {
		dir, deps, _ := strings.Cut(line, " ")
		kind := "neither"
		switch {
		case strings.Contains(deps, "helm.sh/helm/"):
			kind = "Helm"
		case strings.Contains(deps, "k8s.io/client-go/"):
			kind = "client-go"
		}
		kinds[filepath.Base(dir)] = kind
	}
	return kinds, nil
}
