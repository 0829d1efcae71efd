package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	stackName     = "swell"
	settleTimeout = 2 * time.Minute
)

//go:embed stack.py
var stackScript string

// deployed is what the local AWS says of the stack; the status is empty if there is none.
type deployed struct {
	Status  string            `json:"status"`
	Outputs map[string]string `json:"outputs"`
	Token   string            `json:"token"`
}

func (d deployed) complete() bool {
	return strings.HasSuffix(d.Status, "_COMPLETE") && !strings.Contains(d.Status, "ROLLBACK") && d.Status != "DELETE_COMPLETE"
}

func (d deployed) busy() bool {
	return strings.HasSuffix(d.Status, "_IN_PROGRESS") && d.Status != "REVIEW_IN_PROGRESS"
}

// buildFunctions leaves the building to the Makefile. MiniStack runs a function as a process of this machine, so it is built for it.
func (s *stack) buildFunctions(ctx context.Context) (string, error) {
	system := runtime.GOOS
	if s.external {
		system = "linux"
	}
	return "built", s.run(ctx, tool{name: "functions", env: environ(), args: []string{
		"make", "build", "GOOS=" + system, "GOARCH=" + runtime.GOARCH,
	}})
}

// deploy brings the stack up to date, if the template, what it includes or a function changed, and writes .local/env.
func (s *stack) deploy(ctx context.Context) (string, error) {
	key, err := hashOf([]string{stackName}, s.root, "template.yaml", "samconfig.toml", "infra", "statemachines", "build/functions")
	if err != nil {
		return "", err
	}
	keyFile := s.local("deploy.key")
	now, err := s.settled(ctx)
	if err != nil {
		return "", err
	}
	done := "unchanged"
	// The local AWS keeps its state when it is asked to stop, not when it is killed: the key alone proves nothing.
	if !now.complete() || !keyIs(keyFile, key) {
		done = "deployed"
		if err := s.run(ctx, tool{name: "deploy", env: toolEnvironment(), args: []string{
			s.venvBinary("sam"), "deploy", "--config-file", filepath.Join(s.root, "samconfig.toml"), "--config-env", "local",
			"--template-file", filepath.Join(s.root, "template.yaml"), "--stack-name", stackName, "--region", region,
			"--no-confirm-changeset", "--no-fail-on-empty-changeset",
		}}); err != nil {
			return "", err
		}
		if now, err = s.describe(ctx); err != nil {
			return "", err
		}
		if err := writeFile(keyFile, key); err != nil {
			return "", err
		}
	}
	if err := s.writeEnv(now); err != nil {
		return "", err
	}
	return done + "; now: . " + s.local("env"), nil
}

// settled waits for a deployment that an interrupted `up` left running.
func (s *stack) settled(ctx context.Context) (deployed, error) {
	for begin := time.Now(); ; {
		d, err := s.describe(ctx)
		if err != nil || !d.busy() {
			return d, err
		}
		if time.Since(begin) > settleTimeout {
			return d, fmt.Errorf("the stack %s stays in %s: run `make clean`, then `make up`", stackName, d.Status)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return d, err
		}
	}
}

func (s *stack) describe(ctx context.Context) (deployed, error) {
	cmd := exec.CommandContext(ctx, s.venvBinary("python"), "-c", stackScript, stackName)
	cmd.Env = toolEnvironment()
	out, err := cmd.Output()
	if err != nil {
		text := ""
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			text = string(exit.Stderr)
		}
		return deployed{}, fmt.Errorf("asking %s for the stack %s: %w\n%s", endpoint, stackName, err, text)
	}
	var d deployed
	return d, json.Unmarshal(out, &d)
}

func (s *stack) writeEnv(d deployed) error {
	id := d.Outputs["ApiId"]
	if id == "" {
		return errors.New("template.yaml has no output ApiId: the API's address is unknown")
	}
	return writeFile(s.local("env"), exports([][2]string{
		{"SWELL_URL", apiURL(id)},
		{"SWELL_TOKEN", d.Token},
		{"AWS_ENDPOINT_URL", endpoint},
		{"AWS_REGION", region},
		{"AWS_ACCESS_KEY_ID", rootKey},
		{"AWS_SECRET_ACCESS_KEY", rootKey},
	}))
}

// exports writes variables for a shell to read: a generated key may hold any printable character.
func exports(variables [][2]string) string {
	var b strings.Builder
	for _, v := range variables {
		_, _ = fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return b.String()
}
