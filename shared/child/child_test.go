package child_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/problem"
)

func TestMain(m *testing.M) {
	child.Handle("echo", func(_ context.Context, in string) (string, error) { return in, nil })
	child.Handle("surroundings", surroundings)
	child.Handle("chatter", func(context.Context, struct{}) (string, error) {
		fmt.Println("a library speaks") // would spoil the JSON, were stdout the output
		return "result", nil
	})
	child.Handle("large", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
	child.Handle("fail", fail)
	child.Handle("panic", func(context.Context, struct{}) (struct{}, error) { panic("secret") })
	child.Handle("panic-index", func(_ context.Context, in []int) (int, error) { return in[len(in)], nil })
	child.Handle("panic-elsewhere", func(context.Context, struct{}) (struct{}, error) {
		go func() { panic("secret") }()
		select {}
	})
	child.Handle("exit", func(context.Context, struct{}) (struct{}, error) { os.Exit(7); return struct{}{}, nil })
	child.Handle("memory", func(context.Context, struct{}) (int, error) { return eat(nil), nil })
	child.Handle("address-space", func(context.Context, struct{}) (int, error) { return len(make([]byte, 3<<30)), nil })
	child.Handle("recurse", func(context.Context, struct{}) (int, error) { return recurse(0), nil })
	child.Handle("cpu", func(context.Context, struct{}) (n int, err error) {
		for {
			n++
		}
	})
	child.Handle("sleep", sleep)
	child.Handle("stop", func(_ context.Context, file string) (struct{}, error) {
		if err := writePid(file, os.Getpid()); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	})
	child.Handle("grandchild", grandchild)
	child.Handle("intermediate", func(ctx context.Context, file string) (struct{}, error) {
		return struct{}{}, child.Call(ctx, "sleep", file, nil, child.Limits{})
	})
	child.Register("half", func(_ context.Context, _ io.Reader, out io.Writer) error {
		_, _ = io.WriteString(out, `{"half": [`)
		return errors.New("half way")
	})
	child.Main()
	os.Exit(m.Run())
}

type seen struct {
	Env, Args, Files []string
	Core, CPU        uint64
	NoNewPrivileges  bool
	OwnGroup         bool
}

func surroundings(context.Context, struct{}) (seen, error) {
	var core, cpu syscall.Rlimit
	if err := errors.Join(syscall.Getrlimit(syscall.RLIMIT_CORE, &core), syscall.Getrlimit(syscall.RLIMIT_CPU, &cpu)); err != nil {
		return seen{}, err
	}
	files, err := filepath.Glob("*")
	if err != nil {
		return seen{}, err
	}
	status, err := os.ReadFile("/proc/self/status")
	return seen{
		Env: os.Environ(), Args: os.Args[1:], Files: files, Core: core.Max, CPU: cpu.Max,
		NoNewPrivileges: strings.Contains(string(status), "NoNewPrivs:\t1"),
		OwnGroup:        syscall.Getpgrp() == os.Getpid(),
	}, err
}

type lockedError struct{}

func (lockedError) Error() string     { return "release is locked" }
func (lockedError) ErrorName() string { return "ReleaseLocked" }

func fail(_ context.Context, how string) (struct{}, error) {
	var err error
	switch how {
	case "problem":
		err = problem.Invalid("values-invalid", "values are\nno object").At("values").Try("Send an object.")
	case "named":
		err = lockedError{}
	default:
		err = errors.New("boom")
	}
	return struct{}{}, fmt.Errorf("upgrading release x: %w", err)
}

func eat(kept [][]byte) int {
	for {
		b := make([]byte, 8<<20)
		for i := range b {
			b[i] = 1
		}
		kept = append(kept, b)
	}
}

func recurse(n int) int {
	var frame [1024]byte
	frame[n%1024] = byte(recurse(n + 1)) //nolint:staticcheck // the bomb
	return int(frame[0])
}

func sleep(_ context.Context, file string) (struct{}, error) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := writePid(file, os.Getpid()); err != nil {
		return struct{}{}, err
	}
	time.Sleep(time.Hour)
	return struct{}{}, nil
}

func grandchild(_ context.Context, file string) (struct{}, error) {
	sleeper := exec.Command("/bin/sleep", "3600")
	sleeper.Stdout = os.Stdout // holds our pipes open
	if err := sleeper.Start(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, writePid(file, sleeper.Process.Pid)
}

// writePid is seen whole or not at all.
func writePid(file string, pid int) error {
	if err := os.WriteFile(file+".part", []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// waitPid returns the pid that some child writes to file.
func waitPid(t *testing.T, file string) int {
	t.Helper()
	for {
		b, err := os.ReadFile(file)
		if err == nil {
			pid, err := strconv.Atoi(string(b))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the child never began")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// waitState returns when the process is in one of states; "" is: gone.
func waitState(t *testing.T, pid int, states string) {
	t.Helper()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil && (states == "" || strings.Contains(states, "-")) {
			return
		}
		if _, rest, ok := strings.Cut(string(stat), ") "); ok && states != "" && strings.Contains(states, rest[:1]) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func gone(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is there still, or unreaped: %v", pid, err)
	}
}

func TestCallReturnsResult(t *testing.T) {
	var got string
	if err := child.Call(t.Context(), "echo", "hello", &got, child.Limits{}); err != nil || got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := child.Call(t.Context(), "chatter", struct{}{}, &got, child.Limits{}); err != nil || got != "result" {
		t.Errorf("with a library that prints: got %q, %v", got, err)
	}
	if err := child.Call(t.Context(), "large", 20<<20, &got, child.Limits{}); err != nil || len(got) != 20<<20 {
		t.Errorf("large: got %d bytes, %v", len(got), err)
	}
	if err := child.Call(t.Context(), "echo", "hello", nil, child.Limits{}); err != nil {
		t.Errorf("without out: %v", err)
	}
}

func TestChildHasNothingOfItsParent(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	var got seen
	if err := child.Call(t.Context(), "surroundings", struct{}{}, &got, child.Limits{CPU: 1500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	want := seen{Env: []string{}, Args: []string{"swell-child", "surroundings", "2"}, CPU: 2, NoNewPrivileges: true, OwnGroup: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFailureArrives(t *testing.T) {
	type failed struct{ Name, Code, Message string }
	tests := map[string]struct {
		work string
		in   any
		want failed
	}{
		"Plain":           {"fail", "plain", failed{Name: "ChildFailed", Message: "upgrading release x: boom"}},
		"Named":           {"fail", "named", failed{Name: "ReleaseLocked", Message: "upgrading release x: release is locked"}},
		"HalfOutput":      {"half", nil, failed{Name: "ChildFailed", Message: "half way"}},
		"Panic":           {"panic", struct{}{}, failed{Name: "ChildPanicked", Message: "child panicked"}},
		"PanicElsewhere":  {"panic-elsewhere", struct{}{}, failed{Name: "ChildPanicked", Message: "child panicked"}},
		"PanicOfRuntime":  {"panic-index", []int{}, failed{Name: "ChildPanicked", Message: "child panicked: runtime error: index out of range [0] with length 0"}},
		"Exit":            {"exit", struct{}{}, failed{Name: "ChildFailed", Message: "child exited with status 7: "}},
		"InputOfNoSense":  {"echo", 7, failed{Name: "ChildFailed", Message: "decoding the input of child echo: json: cannot unmarshal number into Go value of type string"}},
		"WithMultiLining": {"fail", "problem", failed{"ChildFailed", "values-invalid", "upgrading release x: values: values-invalid: values are\nno object"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := child.Call(t.Context(), tc.work, tc.in, nil, child.Limits{})
			got, ok := errors.AsType[*child.FailedError](err)
			if !ok {
				t.Fatalf("got %v, want a FailedError", err)
			}
			if diff := cmp.Diff(tc.want, failed{got.Name, got.Code, got.Message}); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the panic: %v", err)
			}
		})
	}
}

func TestProblemArrives(t *testing.T) {
	err := child.Call(t.Context(), "fail", "problem", nil, child.Limits{})
	got, ok := problem.From(err)
	if !ok {
		t.Fatalf("no problem in %v", err)
	}
	want := problem.Invalid("values-invalid", "values are\nno object").At("values").Try("Send an object.")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimitsKill(t *testing.T) {
	tests := map[string]struct {
		work   string
		in     any
		limits child.Limits
		want   string
	}{
		"Memory":       {"memory", struct{}{}, child.Limits{RSS: 100 << 20}, child.Memory},
		"AddressSpace": {"address-space", struct{}{}, child.Limits{}, child.Memory},
		"Stack":        {"recurse", struct{}{}, child.Limits{}, child.Memory},
		"CPU":          {"cpu", struct{}{}, child.Limits{CPU: time.Second}, child.CPU},
		"Wall":         {"sleep", filepath.Join(t.TempDir(), "pid"), child.Limits{Wall: 100 * time.Millisecond}, child.Time},
		"Output":       {"large", 40 << 20, child.Limits{}, child.Output},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "AddressSpace" && raceDetector {
				tc.want = "" // not limited there; what matters is that it ends
			}
			err := child.Call(t.Context(), tc.work, tc.in, nil, tc.limits)
			var got string
			if killed, ok := errors.AsType[*child.KilledError](err); ok {
				got = killed.Reason
			}
			if got != tc.want {
				t.Errorf("got %v, want killed for %q", err, tc.want)
			}
		})
	}
}

func TestCancelKillsAndReaps(t *testing.T) {
	tests := map[string]struct{ work, state string }{
		"IgnoringSignals": {"sleep", "S"},
		"Stopped":         {"stop", "T"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error)
			go func() { done <- child.Call(ctx, tc.work, file, nil, child.Limits{}) }()
			pid := waitPid(t, file)
			waitState(t, pid, tc.state)
			if tc.work == "sleep" {
				_ = syscall.Kill(pid, syscall.SIGTERM)
				waitState(t, pid, tc.state)
			}
			cancel()
			err := <-done
			gone(t, pid)
			killed, ok := errors.AsType[*child.KilledError](err)
			if !ok || killed.Reason != child.Canceled || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want killed for canceled", err)
			}
		})
	}
}

func TestContextThatEndedStartsNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	file := filepath.Join(t.TempDir(), "pid")
	err := child.Call(ctx, "sleep", file, nil, child.Limits{})
	killed, ok := errors.AsType[*child.KilledError](err)
	if !ok || killed.Reason != child.Time || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want killed for time", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a child ran")
	}
}

func TestGrandchildDiesWithItsParent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	if err := child.Call(t.Context(), "grandchild", file, nil, child.Limits{}); err != nil {
		t.Fatal(err)
	}
	waitState(t, waitPid(t, file), "-Z") // its reaper is init, which may not reap
}

func TestChildDiesWithItsParent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command("/proc/self/exe", "swell-child", "intermediate", "60")
	in, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	parent.Stdin = strings.NewReader(string(in))
	parent.Env = []string{"TMPDIR=" + t.TempDir()} // killed, it leaves its child's directory
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := waitPid(t, file)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitState(t, pid, "-Z")
}

func TestManyAtOnceLeaveNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	done := make(chan error)
	for i := range 20 {
		go func() {
			var got string
			err := child.Call(t.Context(), "echo", strconv.Itoa(i), &got, child.Limits{})
			if err == nil && got != strconv.Itoa(i) {
				err = fmt.Errorf("child %d answered %q", i, got)
			}
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestUnknownWork(t *testing.T) {
	if err := child.Call(t.Context(), "unheard-of", nil, nil, child.Limits{}); err == nil {
		t.Error("want an error")
	}
}
