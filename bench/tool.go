package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/swell-sh/swell/shared/chart"
)

// functionFlags are those of `make build`.
var functionFlags = []string{"-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w"}

// goBuild builds packages into a folder (with a slash at its end) or file.
func (b *bench) goBuild(ctx context.Context, arch, out string, flags []string, packages ...string) error {
	args := slices.Concat([]string{"build"}, flags, []string{"-o", out}, packages)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own packages
	cmd.Dir = b.root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+arch)
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", strings.Join(packages, " "), err, said)
	}
	return nil
}

// bootstrap is a function as `make build` left it for this machine.
func (b *bench) bootstrap(function string) (string, error) {
	path := filepath.Join(b.root, "build", "functions", function, "bootstrap")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("function %s is not built (make up builds it): %w", function, err)
	}
	return path, nil
}

// helmCLI is Helm's own command line, built from the same version of Helm that Swell links.
type helmCLI struct {
	path string
	home string // its caches and settings
}

func (b *bench) helmCLI(ctx context.Context) (helmCLI, error) {
	h := helmCLI{path: filepath.Join(b.root, ".local", "bin", "helm"), home: filepath.Join(b.work, "helm-home")}
	if _, err := os.Stat(h.path); err == nil {
		return h, nil
	}
	b.note("building Helm's command line")
	return h, b.goBuild(ctx, "", h.path, []string{"-trimpath"}, "helm.sh/helm/v3/cmd/helm")
}

// run runs helm against the cluster of that kubeconfig and returns how long it took.
func (h helmCLI) run(ctx context.Context, kubeconfig string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, h.path, append(args, "--kubeconfig", kubeconfig)...) //nolint:gosec // our own binary
	cmd.Env = []string{"HOME=" + h.home, "PATH=/usr/bin:/bin"}
	began := time.Now()
	said, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, said)
	}
	return time.Since(began), nil
}

// configMaps is the packed chart of n ConfigMaps, numbered from first, that hold the value `text`.
func configMaps(version string, first, n int, more map[string]string) ([]byte, error) {
	files := fstest.MapFS{
		"Chart.yaml":  {Data: []byte("apiVersion: v2\nname: bench\nversion: " + version + "\n")},
		"values.yaml": {Data: []byte("text: plain\n")},
	}
	for i := first; i < first+n; i++ {
		files[fmt.Sprintf("templates/map-%02d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-%02d\n  labels: {app: {{ .Release.Name }}}\ndata:\n  text: {{ .Values.text | quote }}\n", i)}
	}
	for name, content := range more {
		files[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return chart.Pack(files)
}

// file keeps bytes for a command line that wants a path.
func (b *bench) keep(name string, content []byte) (string, error) {
	path := filepath.Join(b.work, name)
	return path, os.WriteFile(path, content, 0o600)
}

// median is the middle one; the slice is sorted by it.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func seconds(d time.Duration) float64      { return float64(d.Milliseconds()) / 1000 }
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
func megabytes(bytes int64) float64        { return float64(bytes) / 1e6 }
