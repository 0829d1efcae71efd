package child

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lookEvery = 50 * time.Millisecond
	pipeDelay = time.Second // for a pipe that a stray grandchild holds open
)

// Call runs the work called name in a child: in goes as JSON, out (a pointer, or nil) is decoded from what comes back. When it returns the child
// is dead and reaped, whatever happened. Errors of the work are *FailedError, of the limits and of ctx *KilledError; a child that
// had its result before the kill arrived has succeeded.
func Call(ctx context.Context, name string, in, out any, limits Limits) error {
	if !mainIsSet.Load() {
		return fmt.Errorf("calling child %s: this program does not call child.Main first", name)
	}
	if _, ok := registered(name); !ok {
		return fmt.Errorf("calling child %s: not registered", name)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("calling child %s: %w", name, killedBy(ctx))
	}
	input, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding the input of child %s: %w", name, err)
	}
	output, err := runIn(ctx, name, input, limits)
	if err != nil {
		return fmt.Errorf("calling child %s: %w", name, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(output, out); err != nil {
		return fmt.Errorf("decoding the output of child %s: %w", name, err)
	}
	return nil
}

// runIn gives the child an empty directory of its own.
func runIn(ctx context.Context, name string, input []byte, limits Limits) ([]byte, error) {
	dir, err := os.MkdirTemp("", "swell-child-")
	if err != nil {
		return nil, fmt.Errorf("making its directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the child may have left nothing, or much; either way the next one has its own

	p := newProcess(dir, name, input, limits)
	if err := p.start(); err != nil {
		return nil, err
	}
	p.watch(ctx)
	return p.result()
}

// process is one running child.
type process struct {
	cmd    *exec.Cmd
	limits Limits
	stdout capped
	stderr capped
	over   chan struct{} // closed when stdout is over its cap
	done   chan struct{} // closed when the child is reaped
	err    error         // of Wait, after done

	mu     sync.Mutex
	reaped bool // from then on its pid may be another process
	killed *KilledError
}

func newProcess(dir, name string, input []byte, limits Limits) *process {
	limits.CPU = cmp.Or(limits.CPU, defaultCPU)
	limits.RSS = cmp.Or(limits.RSS, defaultRSS)
	seconds := int64((limits.CPU + time.Second - 1) / time.Second)
	limits.CPU = time.Duration(seconds) * time.Second

	p := &process{limits: limits, over: make(chan struct{}), done: make(chan struct{})}
	p.stdout = capped{limit: maxOutput, over: p.over}
	p.stderr = capped{limit: maxStderr}
	p.cmd = &exec.Cmd{
		Path:      "/proc/self/exe",
		Args:      []string{os.Args[0], marker, name, strconv.FormatInt(seconds, 10)},
		Env:       []string{},
		Dir:       dir,
		Stdin:     bytes.NewReader(input),
		Stdout:    &p.stdout,
		Stderr:    &p.stderr,
		WaitDelay: pipeDelay,
		SysProcAttr: &syscall.SysProcAttr{
			Setpgid:   true,
			Pdeathsig: syscall.SIGKILL,
		},
	}
	return p
}

// start returns when the child runs. The thread that began it stays until it is reaped: Pdeathsig fires at the death of a thread, not of
// the process.
func (p *process) start() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(p.done)
		awaitExit(p.cmd.Process.Pid)
		p.killGroup(true)
		p.err = p.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting it: %w", err)
	}
	return nil
}

// awaitExit returns when the child has ended, and leaves it unreaped: so long its pid, which is its group's id, stays its own.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// watch returns when the child is reaped, and sees to it that this happens.
func (p *process) watch(ctx context.Context) {
	var wall <-chan time.Time
	if p.limits.Wall > 0 {
		timer := time.NewTimer(p.limits.Wall)
		defer timer.Stop()
		wall = timer.C
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	canceled, over := ctx.Done(), p.over
	for {
		select {
		case <-p.done:
			return
		case <-canceled:
			p.kill(killedBy(ctx))
			canceled = nil
		case <-wall:
			p.kill(&KilledError{Reason: Time})
		case <-over:
			p.kill(&KilledError{Reason: Output})
			over = nil
		case <-look.C:
			if residentMemory(p.cmd.Process.Pid) > p.limits.RSS {
				p.kill(&KilledError{Reason: Memory})
			}
		}
	}
}

func killedBy(ctx context.Context) *KilledError {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &KilledError{Reason: Time, cause: ctx.Err()}
	}
	return &KilledError{Reason: Canceled, cause: ctx.Err()}
}

// kill ends the child and remembers the first reason.
func (p *process) kill(why *KilledError) {
	p.mu.Lock()
	if p.killed == nil && !p.reaped {
		p.killed = why
	}
	p.mu.Unlock()
	p.killGroup(false)
}

// killGroup reaches the stopped and those that ignore other signals. After the last call, which comes between exit and reaping, it does nothing.
func (p *process) killGroup(last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	p.reaped = last
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // ESRCH is what we want
}

// residentMemory is 0 for a process that is gone.
func residentMemory(pid int) int64 {
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

func (p *process) result() ([]byte, error) {
	stderr := p.stderr.buffer.String()
	state := p.cmd.ProcessState
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok {
		return nil, fmt.Errorf("reading its exit status: %w", p.err)
	}
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return nil, p.whyKilled(state)
	case status.Signaled() && p.stdout.truncated: // a broken pipe, before our kill came
		return nil, &KilledError{Reason: Output}
	case status.Signaled():
		return nil, &FailedError{Name: nameFailed, Message: "child died of signal: " + status.Signal().String(), Stderr: stderr}
	case p.stdout.truncated:
		return nil, &KilledError{Reason: Output}
	case state.ExitCode() == 0:
		return p.stdout.buffer.Bytes(), nil
	case state.ExitCode() == exitFailed:
		return nil, failedError(p.stdout.buffer.Bytes(), stderr)
	}
	return nil, crashed(state.ExitCode(), stderr)
}

func (p *process) whyKilled(state *os.ProcessState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed != nil {
		return p.killed
	}
	if state.UserTime()+state.SystemTime() >= p.limits.CPU-100*time.Millisecond {
		return &KilledError{Reason: CPU}
	}
	return &KilledError{Reason: Memory} // not by us: the kernel, short of memory
}

// crashed reads what Go's runtime said. A panic's own text stays in Stderr: it may quote a value.
func crashed(code int, stderr string) error {
	for _, sign := range []string{"out of memory", "cannot allocate memory", "stack overflow", "newosproc"} {
		if strings.Contains(stderr, sign) {
			return &KilledError{Reason: Memory}
		}
	}
	if strings.Contains(stderr, "panic:") || strings.Contains(stderr, "fatal error:") {
		return &FailedError{Name: namePanicked, Message: "child panicked", Stderr: stderr}
	}
	return &FailedError{Name: nameFailed, Message: fmt.Sprintf("child exited with status %d: %s", code, strings.TrimSpace(stderr)), Stderr: stderr}
}

// capped keeps the first bytes written to it. With over it closes that at the first byte too many.
type capped struct {
	buffer    bytes.Buffer // not embedded: its ReadFrom would go past the cap
	limit     int
	over      chan struct{}
	truncated bool
}

func (c *capped) Write(b []byte) (int, error) {
	if room := c.limit - c.buffer.Len(); len(b) > room {
		if !c.truncated && c.over != nil {
			close(c.over)
		}
		c.truncated = true
		c.buffer.Write(b[:room])
		return len(b), nil
	}
	return c.buffer.Write(b)
}
