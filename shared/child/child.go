// Package child runs hostile or unfenced work in a killed-and-reaped child of the function's own binary.
//
// Whatever parses a stranger's chart, and every Helm verb, runs here: when Call returns, the child and its process group are
// gone, whatever they were doing, so nothing goes on writing behind a handler that has answered (a frozen Lambda would thaw it).
// The child has an empty environment, an empty directory, limits on memory and CPU, and its input by pipe.
//
// Not done: a grandchild that leaves the process group (setsid) outlives its parent. The work given to children is Go code of ours over a
// stranger's data; it starts no processes. Linux only, as Lambda is.
package child

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound one Call. A zero field takes its default.
type Limits struct {
	CPU  time.Duration // processor time, rounded up to seconds; default 1 minute
	Wall time.Duration // elapsed time; default none but the context's
	RSS  int64         // resident memory in bytes; default 512 MiB
}

const (
	defaultCPU = time.Minute
	defaultRSS = 512 << 20

	addressSpace = 2 << 30   // RLIMIT_AS: kube-prometheus-stack needs 0.9 GiB of it for 88 MB of resident memory
	memoryTarget = 400 << 20 // where the child's garbage collector begins to work hard
	stackLimit   = 128 << 20 // an endless recursion ends here, before it looks like a large heap

	maxOutput = 32 << 20
	maxStderr = 4 << 10
)

// Func is the work of a child: JSON in, JSON out. Its error crosses to the parent, see FailedError.
type Func func(ctx context.Context, in io.Reader, out io.Writer) error

var (
	registry  sync.Map    // name → Func
	mainIsSet atomic.Bool // without Main a child would run the whole program again
)

// Register names fn, so that Call can run it in a child. Do it before Main; the last registration of a name wins.
func Register(name string, fn func(ctx context.Context, in io.Reader, out io.Writer) error) {
	registry.Store(name, Func(fn))
}

// Handle registers a typed fn: its input is decoded from JSON, its output encoded.
func Handle[In, Out any](name string, fn func(ctx context.Context, in In) (Out, error)) {
	Register(name, func(ctx context.Context, r io.Reader, w io.Writer) error {
		var in In
		if err := json.NewDecoder(r).Decode(&in); err != nil {
			return fmt.Errorf("decoding the input of child %s: %w", name, err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(out)
	})
}

func registered(name string) (Func, bool) {
	v, ok := registry.Load(name)
	if !ok {
		return nil, false
	}
	fn, ok := v.(Func)
	return fn, ok
}
