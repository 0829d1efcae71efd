package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/id"
)

// worker is one process of a function, and the runtime API of Lambda that it asks for work, as the service would serve it.
type worker struct {
	cmd    *exec.Cmd
	server *http.Server
	stderr bytes.Buffer
	began  time.Time
	ready  chan time.Time // when it first asked for work
	events chan event
	taken  chan time.Time // when it took an event
	answer chan error
	said   []byte        // the last result, once answer has told of it
	gone   chan struct{} // closed when the process has ended
}

type event struct {
	payload  []byte
	deadline time.Time
}

// functionError is what a function answered instead of a result.
type functionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *functionError) Error() string { return e.Type + ": " + e.Message }

// startDeployRelease starts the function under test on a scene.
func (b *bench) startDeployRelease(ctx context.Context, s *scene) (*worker, error) {
	path, err := b.bootstrap("deploy-release")
	if err != nil {
		return nil, err
	}
	return startWorker(ctx, path, s.environment())
}

// startWorker starts the program with a runtime API of its own.
func startWorker(ctx context.Context, path string, environment []string) (*worker, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &worker{ready: make(chan time.Time, 1), events: make(chan event), taken: make(chan time.Time, 1), answer: make(chan error, 1), gone: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", w.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", w.responded)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", w.failed)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", w.failed)
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(listener) }()

	w.cmd = exec.CommandContext(ctx, path)
	w.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "LOG_LEVEL=error"}, environment...)
	w.cmd.Stderr = &w.stderr
	w.cmd.WaitDelay = time.Second
	w.began = time.Now()
	if err := w.cmd.Start(); err != nil {
		_ = w.server.Close()
		return nil, err
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.gone)
	}()
	return w, nil
}

func (w *worker) next(out http.ResponseWriter, r *http.Request) {
	select {
	case w.ready <- time.Now():
	default:
	}
	select {
	case e := <-w.events:
		out.Header().Set("Lambda-Runtime-Aws-Request-Id", id.New())
		out.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
		out.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:bench")
		w.taken <- time.Now()
		_, _ = out.Write(e.payload)
	case <-r.Context().Done():
	}
}

func (w *worker) responded(out http.ResponseWriter, r *http.Request) {
	w.said, _ = io.ReadAll(r.Body)
	w.answer <- nil
	out.WriteHeader(http.StatusAccepted)
}

func (w *worker) failed(out http.ResponseWriter, r *http.Request) {
	var e functionError
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		e = functionError{Type: "unreadable", Message: err.Error()}
	}
	w.answer <- &e
	out.WriteHeader(http.StatusAccepted)
}

// give hands over an event and returns when the process has taken it.
func (w *worker) give(ctx context.Context, in any, allowed time.Duration) error {
	payload, err := json.Marshal(in)
	if err != nil {
		return err
	}
	select {
	case w.events <- event{payload, time.Now().Add(allowed)}:
		<-w.taken
		return nil
	case <-w.gone:
		return w.died()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invoke runs the function once.
func (w *worker) invoke(ctx context.Context, in any, allowed time.Duration) error {
	if err := w.give(ctx, in, allowed); err != nil {
		return err
	}
	return w.await(ctx)
}

// await returns what the function answers.
func (w *worker) await(ctx context.Context) error {
	select {
	case err := <-w.answer:
		return err
	case <-w.gone:
		return w.died()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve starts so many functions of the program and hands them work, each its next when it is done with one, until there is no more.
func serve[T any](ctx context.Context, path string, environment []string, functions int, work <-chan T, do func(*worker, T) error) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for range functions {
		tasks.Go(func() error {
			w, err := startWorker(ctx, path, environment)
			if err != nil {
				return err
			}
			defer w.kill()
			for {
				select {
				case piece, more := <-work:
					if !more {
						return nil
					}
					if err := do(w, piece); err != nil {
						return err
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	return tasks.Wait()
}

func (w *worker) died() error {
	said := w.stderr.String()
	return fmt.Errorf("the function ended: %s", said[max(0, len(said)-500):])
}

// kill ends the process as the kernel or the service would, and returns when it is gone.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.gone
	_ = w.server.Close()
}

// children are the processes that it began.
func (w *worker) children() []int {
	pid := w.cmd.Process.Pid
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil // it is gone
	}
	var found []int
	for _, task := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(raw)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}

// alive says whether a process of that number runs.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z")
}
