package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tool is a command that this one waits for.
type tool struct {
	name string // of its log
	args []string
	env  []string
	dir  string
}

// run runs the tool with its output in .local/log/NAME.log; a fault shows the log's end.
func (s *stack) run(ctx context.Context, t tool) error {
	if err := os.MkdirAll(s.local("log"), 0o700); err != nil {
		return err
	}
	log, err := os.Create(s.logFile(t.name))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, t.args[0], t.args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.dir, t.env, log, log
	if cmd.Dir == "" {
		cmd.Dir = s.root
	}
	// In a group of its own, so that an interrupt ends the tool's children too (make's, go's, pip's).
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", t.args[0], err)
	}
	defer s.remember(ctx, t.name, cmd.Process.Pid)()
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w; the end of %s:\n%s", strings.Join(t.args, " "), err, s.logFile(t.name), tail(s.logFile(t.name), 20))
	}
	return nil
}

// remember records a running tool for as long as it runs, for endOrphans.
func (s *stack) remember(ctx context.Context, name string, pid int) (forget func()) {
	file := s.local("tools", name)
	started, ok := startTime(ctx, pid)
	if ok && os.MkdirAll(s.local("tools"), 0o700) == nil {
		_ = writeFile(file, record{pid: pid, started: started}.String())
	}
	return func() { _ = os.Remove(file) }
}

// endOrphans ends the tools of a command that was killed before it could: they would write into what this command makes anew.
// The caller holds the lock, so no tool on record has a living owner.
func (s *stack) endOrphans(ctx context.Context) {
	files, _ := filepath.Glob(s.local("tools", "*"))
	for _, file := range files {
		for r, ok := runningFrom(ctx, file); ok; r, ok = runningFrom(ctx, file) {
			_ = syscall.Kill(-r.pid, syscall.SIGKILL)
			time.Sleep(pollInterval)
		}
		_ = os.Remove(file)
	}
}

func tail(file string, lines int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func lastLine(file string) string {
	if line := tail(file, 1); line != "" {
		return line
	}
	return "it said nothing"
}

// environ is this process' environment without what could lead a tool to a real AWS account, and with the given additions.
func environ(add ...string) []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			out = append(out, v)
		}
	}
	return append(out, add...)
}

// writeFile replaces a file as a whole or not at all.
func writeFile(file, text string) error {
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// hashOf is a key of all that a result depends on: texts and, by content and name, the files in and below the given paths.
// A path that is not there counts as empty.
func hashOf(texts []string, root string, paths ...string) (string, error) {
	h := sha256.New()
	for _, t := range texts {
		_, _ = fmt.Fprintf(h, "%d %s\n", len(t), t)
	}
	for _, p := range paths {
		err := filepath.WalkDir(filepath.Join(root, p), func(file string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			return hashFile(h, root, file)
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, root, file string) error {
	name, err := filepath.Rel(root, file)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(h, "%d %s %d\n", len(name), filepath.ToSlash(name), info.Size())
	_, err = io.Copy(h, f)
	return err
}

// keyIs tells whether the file holds this key.
func keyIs(file, key string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(b)) == key
}
