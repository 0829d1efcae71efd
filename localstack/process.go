package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stopTimeout  = 20 * time.Second
	pollInterval = 50 * time.Millisecond
)

// record names one process for good: a process id alone is soon another process'.
type record struct {
	pid     int
	started string
}

func (r record) String() string { return fmt.Sprintf("%d %s\n", r.pid, r.started) }

func parseRecord(text string) (record, error) {
	pid, started, found := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.Atoi(pid)
	if !found || err != nil || n <= 1 || started == "" {
		return record{}, fmt.Errorf("not a process record: %q", text)
	}
	return record{pid: n, started: started}, nil
}

// program is a process that goes on when this command ends.
type program struct {
	name string // of its record and its log
	args []string
	env  []string
	dir  string
}

// start runs the program detached, its output appended to .local/log/NAME.log, and records it in .local/run/NAME.
func (s *stack) start(ctx context.Context, p program) error {
	for _, dir := range []string{s.local("run"), s.local("log")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(s.logFile(p.name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// It outlives this command on purpose, so it does not get the command's context.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.args[0], p.args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.env, p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() { _ = cmd.Wait() }() // else it stays as a zombie, and seems alive, while this command runs
	started, ok := startTime(ctx, cmd.Process.Pid)
	if !ok {
		return fmt.Errorf("%s ended at once: %s", p.name, lastLine(s.logFile(p.name)))
	}
	return writeFile(s.local("run", p.name), record{pid: cmd.Process.Pid, started: started}.String())
}

// running answers the recorded process of this name if it is still that very process.
func (s *stack) running(ctx context.Context, name string) (record, bool) {
	return runningFrom(ctx, s.local("run", name))
}

func runningFrom(ctx context.Context, file string) (record, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return record{}, false
	}
	r, err := parseRecord(string(b))
	if err != nil {
		return record{}, false
	}
	started, ok := startTime(ctx, r.pid)
	return r, ok && started == r.started
}

// waitFor returns when ready says so; a program that dies first has its last line as the fault.
func (s *stack) waitFor(ctx context.Context, name string, limit time.Duration, ready func() bool) error {
	deadline := time.Now().Add(limit)
	for !ready() {
		if _, ok := s.running(ctx, name); !ok {
			return fmt.Errorf("%s ended: %s (all of it: %s)", name, lastLine(s.logFile(name)), s.logFile(name))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: see %s", name, limit, s.logFile(name))
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
	return nil
}

// down asks every recorded process to end, waits for all of them, and kills the ones that do not.
// An interrupt does not end it: stopping halfway would help nobody.
func (s *stack) down(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	names, err := s.processes()
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, name := range names {
		if r, ok := s.running(ctx, name); ok {
			_ = syscall.Kill(r.pid, syscall.SIGTERM)
		}
	}
	for _, name := range names {
		r, ok := s.running(ctx, name)
		done := "stopped"
		if !ok {
			done = "was not running"
		}
		for ok && time.Since(begin) < stopTimeout {
			time.Sleep(pollInterval)
			r, ok = s.running(ctx, name)
		}
		if ok {
			_ = syscall.Kill(r.pid, syscall.SIGKILL)
			s.note("%s did not end in %s and was killed", name, stopTimeout)
		}
		if err := os.Remove(s.local("run", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, _ = fmt.Fprintf(s.notes, "%6.1fs  %s: %s\n", time.Since(begin).Seconds(), name, done)
	}
	return nil
}

// processes lists the names that have a record.
func (s *stack) processes() ([]string, error) {
	entries, err := os.ReadDir(s.local("run"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".new") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s *stack) logFile(name string) string { return s.local("log", name+".log") }

// startTime answers when a living process began, as text to be compared only. A zombie does not live.
func startTime(ctx context.Context, pid int) (string, bool) {
	if b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil {
		return parseStat(string(b))
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		return "", false
	}
	// No /proc, as on macOS.
	out, err := exec.CommandContext(ctx, "ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || state == "" || strings.HasPrefix(state, "Z") {
		return "", false
	}
	return strings.TrimSpace(started), true
}

// parseStat reads /proc/PID/stat: the state follows the name in parentheses, which may hold anything; the start time is 19 fields on.
func parseStat(text string) (started string, alive bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return fields[19], true
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
