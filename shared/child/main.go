package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	marker = "swell-child" // argv[1] of a child; argv[2] is the work's name, argv[3] its CPU seconds

	exitFailed  = 1 // the work returned an error: the last line of the output has it
	exitUnready = 3 // the child could not begin
)

// Main is the first call of every main function, and of TestMain, after Register. In a child it does the child's work and exits;
// in any other process it returns.
func Main() {
	mainIsSet.Store(true)
	if len(os.Args) != 4 || os.Args[1] != marker {
		return
	}
	os.Exit(run(os.Args[2], os.Args[3])) // Main stands in for main: nothing is deferred above it
}

func run(name, cpuSeconds string) int {
	results, err := prepare(cpuSeconds)
	if err != nil {
		fmt.Fprintf(os.Stderr, "preparing child %s: %v\n", name, err)
		return exitUnready
	}
	fn, ok := registered(name)
	if !ok {
		fmt.Fprintf(os.Stderr, "child %s is not registered\n", name)
		return exitUnready
	}
	if err := recovered(fn, results); err != nil {
		if _, werr := results.Write(failureOf(err).line()); werr != nil {
			fmt.Fprintf(os.Stderr, "writing the failure of child %s: %v\n", name, werr)
		}
		return exitFailed
	}
	return 0
}

// prepare sets the limits and keeps the output to results alone: what a library prints to stdout goes to stderr.
func prepare(cpuSeconds string) (*os.File, error) {
	cpu, err := strconv.ParseUint(cpuSeconds, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the CPU limit: %w", err)
	}
	limits := map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_CPU: cpu} // soft is hard: Go ignores SIGXCPU, nobody ignores SIGKILL
	if !raceDetector {
		limits[unix.RLIMIT_AS] = addressSpace
	}
	for which, limit := range limits {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return nil, fmt.Errorf("setting limit %d: %w", which, err)
		}
	}
	if err := noNewPrivileges(); err != nil {
		return nil, err
	}
	debug.SetMemoryLimit(memoryTarget)
	debug.SetMaxStack(stackLimit)
	fd, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keeping the output: %w", err)
	}
	if err := unix.Dup3(unix.Stderr, unix.Stdout, 0); err != nil {
		return nil, fmt.Errorf("diverting stdout: %w", err)
	}
	return os.NewFile(uintptr(fd), "results"), nil
}

// noNewPrivileges holds for every thread. A binary with cgo (a test's, where the machine has a C compiler) cannot ask all of them: there
// it holds for this thread and those it begets.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	switch {
	case errors.Is(errno, syscall.ENOTSUP):
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	case errno != 0:
		return fmt.Errorf("giving up privileges: %w", errno)
	}
	return nil
}

// panicError tells of the runtime's own panics what they say; any other may quote a value, so that stays in stderr.
type panicError struct {
	value any
}

func (e *panicError) Error() string {
	if err, ok := e.value.(runtime.Error); ok {
		return "child panicked: " + err.Error()
	}
	return "child panicked"
}

func (e *panicError) ErrorName() string { return namePanicked }

func recovered(fn Func, out io.Writer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", v, debug.Stack())
			err = &panicError{value: v}
		}
	}()
	return fn(context.Background(), os.Stdin, out)
}
