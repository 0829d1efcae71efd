// Command localstack runs Swell on one machine: a local AWS with the whole stack deployed to it, and local Kubernetes clusters.
//
// Each command may be repeated, and interrupted at any point: the next one repairs what it finds. All state is in .local.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = `usage: localstack up [--external]    start the local AWS, deploy Swell to it, write .local/env
                                     (--external: something else listens on port 4566, such as LocalStack)
       localstack cluster NAME       start a Kubernetes cluster, print the path of its kubeconfig
       localstack demo               show the main job, on two clusters (after up)
       localstack venv               make the Python environment of sam, cfn-lint and the local AWS
       localstack helm               build Helm's own command line as .local/bin/helm
       localstack status             what runs
       localstack down               stop everything, keep the state
       localstack clean              stop everything, remove .local`

// stack is the local stack of one checkout.
type stack struct {
	root   string    // the repository
	notes  io.Writer // what happens and how long it took
	answer io.Writer // what a script reads
	// external: the local AWS is not ours to start; it runs in a Linux container.
	external bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	root, err := findRoot()
	if err == nil {
		err = (&stack{root: root, notes: os.Stderr, answer: os.Stdout}).command(ctx, os.Args[1:])
	}
	switch {
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(os.Stderr, "localstack: interrupted; the next run goes on from here")
		os.Exit(130)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "localstack:", err)
		os.Exit(1)
	}
}

func (s *stack) command(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "up" && args[1] == "--external" {
		s.external, args = true, args[:1]
	}
	commands := map[string]struct {
		arguments int
		run       func() error
	}{
		"up":      {run: func() error { return s.up(ctx) }},
		"cluster": {arguments: 1, run: func() error { return s.cluster(ctx, args[1]) }},
		"demo":    {run: func() error { return s.demo(ctx) }},
		"venv":    {run: func() error { return s.stage(ctx, "python environment", s.makeVenv) }},
		"helm":    {run: func() error { return s.buildHelm(ctx) }},
		"status":  {run: func() error { return s.status(ctx) }},
		"down":    {run: func() error { return s.down(ctx) }},
		"clean":   {run: func() error { return s.clean(ctx) }},
	}
	if len(args) == 0 {
		return errors.New(usage)
	}
	c, known := commands[args[0]]
	if !known || len(args)-1 != c.arguments {
		return errors.New(usage)
	}
	if args[0] == "status" { // it changes nothing, so it need not wait for a command that does
		return c.run()
	}
	if err := os.MkdirAll(s.local(), 0o700); err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.endOrphans(ctx)
	return c.run()
}

func (s *stack) clean(ctx context.Context) error {
	if err := s.down(ctx); err != nil {
		return err
	}
	return os.RemoveAll(s.local())
}

// up builds the clusters' binary beside the rest: cold, it takes as long as all of the rest together.
func (s *stack) up(ctx context.Context) error {
	if err := s.checkMachine(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	built := make(chan error, 1)
	go func() {
		built <- errors.Join(s.stage(ctx, "local-kubernetes", s.buildKubernetes), s.stage(ctx, "relay", s.buildRelay))
	}()
	err := s.upAWS(ctx)
	if err != nil {
		cancel()
	}
	return errors.Join(err, ignoreCanceled(err, <-built))
}

func (s *stack) upAWS(ctx context.Context) error {
	if err := s.stage(ctx, "python environment", s.makeVenv); err != nil {
		return err
	}
	if !s.external {
		if err := s.stage(ctx, "local AWS", s.startAWS); err != nil {
			return err
		}
	}
	if err := s.stage(ctx, "functions", s.buildFunctions); err != nil {
		return err
	}
	return s.stage(ctx, "stack "+stackName, s.deploy)
}

// ignoreCanceled drops the second of two errors when it only follows from the first.
func ignoreCanceled(first, second error) error {
	if first != nil && errors.Is(second, context.Canceled) {
		return nil
	}
	return second
}

func (s *stack) status(ctx context.Context) error {
	names, err := s.processes()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		_, err := fmt.Fprintln(s.answer, "nothing runs")
		return err
	}
	for _, name := range names {
		state := "stopped"
		if r, ok := s.running(ctx, name); ok {
			state = fmt.Sprintf("running, process %d", r.pid)
		}
		if _, err := fmt.Fprintf(s.answer, "%-24s %s\n", name, state); err != nil {
			return err
		}
	}
	return nil
}

// stage runs one step and says what it did, in one line, with the time it took.
func (s *stack) stage(ctx context.Context, name string, step func(context.Context) (string, error)) error {
	start := time.Now()
	done, err := step(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.notes, "%6.1fs  %s: %s\n", time.Since(start).Seconds(), name, done)
	return nil
}

func (s *stack) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.notes, "         "+format+"\n", args...)
}

// local is a path in the folder that holds everything this command makes.
func (s *stack) local(parts ...string) string {
	return filepath.Join(append([]string{s.root, ".local"}, parts...)...)
}

// lock lets one command at a time change the stack.
func (s *stack) lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.local("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		s.note("waiting for another localstack command to end")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return nil, fmt.Errorf("waiting for another localstack command: %w", err)
		}
	}
	return func() { _ = f.Close() }, nil
}

// findRoot answers the nearest folder upwards that holds this command's own.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "localstack", "requirements.txt")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run it in Swell's repository: there is no localstack/requirements.txt here or above")
		}
		dir = parent
	}
}
