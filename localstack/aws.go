package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	awsProcess = "aws"
	region     = "us-east-1"
	// MiniStack takes this key for the root of its one account; functions get their own roles' credentials.
	rootKey    = "test"
	awsTimeout = time.Minute
)

var endpoint = "http://127.0.0.1:" + strconv.Itoa(awsPort)

// makeVenv installs the local AWS and its tools. The key is written last, so that an interrupted installation is made anew.
func (s *stack) makeVenv(ctx context.Context) (string, error) {
	python, err := s.python(ctx)
	if err != nil {
		return "", err
	}
	venv := s.local("venv")
	// A virtual environment holds its own path and its interpreter's.
	key, err := hashOf([]string{python, venv}, s.root, "localstack/requirements.txt")
	if err != nil {
		return "", err
	}
	if keyIs(filepath.Join(venv, "key"), key) {
		return "unchanged", nil
	}
	s.note("installing the local AWS and its tools: about a minute")
	if err := os.RemoveAll(venv); err != nil {
		return "", err
	}
	if err := s.run(ctx, tool{name: "venv", args: []string{python, "-m", "venv", venv}, env: environ()}); err != nil {
		return "", err
	}
	// The file lists everything, so nothing is left to resolve; older pips cannot do it with hashes and extras.
	if err := s.run(ctx, tool{name: "pip", env: environ(), args: []string{
		s.venvBinary("pip"), "install", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps",
		"-r", filepath.Join(s.root, "localstack", "requirements.txt"),
	}}); err != nil {
		return "", err
	}
	return "installed", writeFile(filepath.Join(venv, "key"), key)
}

func (s *stack) venvBinary(name string) string { return s.local("venv", "bin", name) }

// startAWS starts MiniStack, unless it runs, and waits until it answers.
func (s *stack) startAWS(ctx context.Context) (string, error) {
	done := "unchanged"
	if _, ok := s.running(ctx, awsProcess); !ok {
		done = "started at " + endpoint
		for _, dir := range []string{"state", "s3", "tmp"} {
			if err := os.MkdirAll(s.local("aws", dir), 0o700); err != nil {
				return "", err
			}
		}
		if err := forgetStreams(s.local("aws", "state", "lambda.json")); err != nil {
			return "", fmt.Errorf("preparing the kept state of the local AWS: %w", err)
		}
		if err := s.start(ctx, program{
			name: awsProcess, args: []string{s.venvBinary("ministack")}, env: s.awsEnvironment(), dir: s.local("aws"),
		}); err != nil {
			return "", err
		}
	}
	return done, s.waitFor(ctx, awsProcess, awsTimeout, func() bool { return healthy(ctx) })
}

// forgetStreams takes out of MiniStack's kept state how far functions have read the tables' streams: it keeps that, but not the streams, so what is
// written after a restart would count as read.
func forgetStreams(file string) error {
	kept, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(kept, &state); err != nil {
		return err
	}
	var lambda map[string]json.RawMessage
	if err := json.Unmarshal(state["payload"], &lambda); err != nil {
		return err
	}
	delete(lambda, "dynamodb_stream_positions")
	if state["payload"], err = json.Marshal(lambda); err != nil {
		return err
	}
	if kept, err = json.Marshal(state); err != nil {
		return err
	}
	return writeFile(file, string(kept))
}

// awsEnvironment is all that MiniStack sees, because every function inherits it.
func (s *stack) awsEnvironment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.local("aws"),
		"TMPDIR=" + s.local("aws", "tmp"),
		"BIND_HOST=127.0.0.1", // it listens on every address otherwise
		"GATEWAY_PORT=" + strconv.Itoa(awsPort),
		"AWS_ENDPOINT_URL=" + endpoint, // functions get no endpoint without it
		"AWS_ACCESS_KEY_ID=" + rootKey,
		"AWS_SECRET_ACCESS_KEY=" + rootKey,
		"AUTH=true", // a permission that is missing or too wide is found here and not on AWS
		"IOT_MTLS_ENABLED=0",
		"PERSIST_STATE=1", "STATE_DIR=" + s.local("aws", "state"),
		"S3_PERSIST=1", "S3_DATA_DIR=" + s.local("aws", "s3"),
	}
}

func healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_ministack/health", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode == http.StatusOK
}

// toolEnvironment leads the AWS tools to the local AWS, and nowhere else.
func toolEnvironment() []string {
	return environ(
		"AWS_ENDPOINT_URL="+endpoint, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+rootKey, "AWS_SECRET_ACCESS_KEY="+rootKey,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"SAM_CLI_TELEMETRY=0",
	)
}

// apiURL is where the local AWS serves an HTTP API for a client that cannot set the Host header.
func apiURL(id string) string { return fmt.Sprintf("%s/_aws/execute-api/%s/$default", endpoint, id) }
