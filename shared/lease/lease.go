// Package lease holds a release's lease while work is done under it, so that each function that writes to a cluster takes and frees it in the same way.
package lease

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/swell-sh/swell/shared/release"
)

// Store keeps the leases.
type Store interface {
	AcquireLease(ctx context.Context, key release.Key, holder string, now, until time.Time) (fence int64, err error)
	FreeLease(ctx context.Context, key release.Key, holder string, fence int64) error
}

// Lease is the right to write one release. How long its parts are is said in shared/release.
type Lease struct {
	Fence    int64     // higher than that of every lease before
	Until    time.Time // it ends
	Deadline time.Time // of the function that holds it
}

// StopMutationsAt is from when on nothing must be written any more.
func (l Lease) StopMutationsAt() time.Time { return release.StopMutationsAt(l.Until) }

// HookTimeout is how long a verb that begins now may wait for hooks.
func (l Lease) HookTimeout(now time.Time) time.Duration { return release.HookTimeout(l.Deadline, now) }

// Holder takes leases for one function.
type Holder struct {
	Store      Store
	Log        *slog.Logger
	Invocation func(ctx context.Context) string // distinguishes the holders of a lease: two calls for the same target are two
}

// Hold calls do under the release's lease, for a run, and frees the lease whatever became of it. A lease that could not be freed is only logged: it ends
// by itself, and another attempt would have to wait for that. It does not renew a lease: ctx must end before it.
func (h Holder) Hold(ctx context.Context, key release.Key, clusterName, run string, do func(Lease) error) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return fmt.Errorf("leasing release %s on cluster %s: the function has no deadline, so its lease has no end", key.Name, clusterName)
	}
	l, holder := Lease{Until: release.LeaseEnd(deadline), Deadline: deadline}, run+"/"+h.Invocation(ctx)
	var err error
	if l.Fence, err = h.Store.AcquireLease(ctx, key, holder, time.Now(), l.Until); err != nil {
		return fmt.Errorf("leasing release %s on cluster %s: %w", key.Name, clusterName, err)
	}
	defer func() {
		if err := h.Store.FreeLease(context.WithoutCancel(ctx), key, holder, l.Fence); err != nil {
			h.Log.ErrorContext(ctx, "freeing a lease; it ends by itself", "release", key.Name, "until", l.Until, "error", err.Error())
		}
	}()
	return do(l)
}
