package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const clusterTimeout = 2 * time.Minute

var clusterName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

func (s *stack) kubernetesBinary() string { return s.local("bin", "local-kubernetes") }

// buildKubernetes builds the clusters' binary from the nested module.
func (s *stack) buildKubernetes(ctx context.Context) (string, error) {
	source := filepath.Join(s.root, "localstack", "kubernetes")
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	flags, err := linkerFlags(string(mod))
	if err != nil {
		return "", err
	}
	key, err := hashOf([]string{flags}, s.root, "localstack/kubernetes")
	if err != nil {
		return "", err
	}
	keyFile := s.kubernetesBinary() + ".key"
	if _, err := os.Stat(s.kubernetesBinary()); err == nil && keyIs(keyFile, key) {
		return "unchanged", nil
	}
	s.note("building a Kubernetes control plane: several minutes the first time, then seconds")
	if err := s.run(ctx, tool{
		name: "local-kubernetes", dir: source, env: environ("CGO_ENABLED=0", "GOWORK=off"),
		args: []string{"go", "build", "-trimpath", "-ldflags", flags, "-o", s.kubernetesBinary(), "."},
	}); err != nil {
		return "", err
	}
	if err := s.linkKubectl(); err != nil {
		return "", err
	}
	return "built", writeFile(keyFile, key)
}

// buildRelay builds the program that the clusters run for Swell's relay.
func (s *stack) buildRelay(ctx context.Context) (string, error) {
	return "built", s.run(ctx, tool{
		name: "relay", env: environ("CGO_ENABLED=0"), args: []string{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", s.local("bin", "relay"), "./cmd/relay"},
	})
}

// linkKubectl names the binary kubectl too: called so, it is.
func (s *stack) linkKubectl() error {
	link := s.local("bin", "kubectl")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(filepath.Base(s.kubernetesBinary()), link)
}

// linkerFlags gives the control plane the version that the module requires: without it, it calls itself v0.0.0-master, which Helm cannot parse.
func linkerFlags(mod string) (string, error) {
	m := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)$`).FindStringSubmatch(mod)
	if m == nil {
		return "", fmt.Errorf("localstack/kubernetes/go.mod requires no release of k8s.io/kubernetes")
	}
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags, "-X "+pkg+".gitVersion="+m[1], "-X "+pkg+".gitMajor="+m[2], "-X "+pkg+".gitMinor="+m[3])
	}
	return strings.Join(flags, " "), nil
}

// cluster starts a Kubernetes cluster, unless it runs, waits until pods can run in it, and prints its kubeconfig's path.
func (s *stack) cluster(ctx context.Context, name string) error {
	if !clusterName.MatchString(name) {
		return fmt.Errorf("%q is no name for a cluster: small letters, digits and hyphens, 32 at most", name)
	}
	if err := s.checkDisk(); err != nil {
		return err
	}
	if err := s.stage(ctx, "local-kubernetes", s.buildKubernetes); err != nil {
		return err
	}
	if err := s.stage(ctx, "relay", s.buildRelay); err != nil {
		return err
	}
	dir := s.local("clusters", name)
	if err := s.stage(ctx, "cluster "+name, func(ctx context.Context) (string, error) {
		return s.startCluster(ctx, name, dir)
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.answer, dir+".kubeconfig")
	return err
}

func (s *stack) startCluster(ctx context.Context, name, dir string) (string, error) {
	process, done, ready := "cluster-"+name, "unchanged", filepath.Join(dir, "ready")
	if _, ok := s.running(ctx, process); !ok {
		done = "started"
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		// Left by a cluster that was killed; the new one would remove it a moment too late.
		_ = os.Remove(ready)
		if err := s.start(ctx, program{
			name: process, dir: s.root, env: environ(),
			args: []string{s.kubernetesBinary(), "run", "--dir", dir, "--name", name},
		}); err != nil {
			return "", err
		}
	}
	return done, s.waitFor(ctx, process, clusterTimeout, func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
}
