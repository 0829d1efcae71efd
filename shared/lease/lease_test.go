package lease_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/shared/lease"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
)

var key = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}

// memory keeps one lease, and what was asked of it.
type memory struct {
	acquireErr, freeErr error
	calls               []call
}

type call struct {
	What   string
	Key    release.Key
	Holder string
	Until  time.Time
	Fence  int64
}

func (m *memory) AcquireLease(_ context.Context, key release.Key, holder string, now, until time.Time) (int64, error) {
	if !now.Before(until) {
		return 0, errors.New("it ends before it begins")
	}
	m.calls = append(m.calls, call{What: "acquire", Key: key, Holder: holder, Until: until})
	return 7, m.acquireErr
}

func (m *memory) FreeLease(ctx context.Context, key release.Key, holder string, fence int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.calls = append(m.calls, call{What: "free", Key: key, Holder: holder, Fence: fence})
	return m.freeErr
}

func TestHold(t *testing.T) {
	deadline := time.Now().Add(time.Minute)
	acquired := call{What: "acquire", Key: key, Holder: "run-1/i", Until: release.LeaseEnd(deadline)}
	done := call{What: "do", Until: release.LeaseEnd(deadline), Fence: 7}
	freed := call{What: "free", Key: key, Holder: "run-1/i", Fence: 7}
	boom := taskerr.Failed("boom", "it did not work")
	cases := map[string]struct {
		store      memory
		noDeadline bool
		canceled   bool // while the work is done
		err        error
		calls      []call
		name, text string // of the error
		logged     string
	}{
		"the work is done":      {calls: []call{acquired, done, freed}},
		"the work fails":        {err: boom, calls: []call{acquired, done, freed}, name: taskerr.TargetFailed, text: "boom: it did not work"},
		"the function is ended": {canceled: true, calls: []call{acquired, done, freed}},
		"somebody has it": {
			store: memory{acquireErr: taskerr.New(taskerr.ReleaseLeased, "release-leased", errors.New("until noon"))}, calls: []call{acquired},
			name: taskerr.ReleaseLeased, text: "leasing release web on cluster demo: release-leased: until noon",
		},
		"it cannot be freed": {
			store: memory{freeErr: errors.New("no answer")}, calls: []call{acquired, done, freed}, logged: "freeing a lease; it ends by itself",
		},
		"neither works": {
			store: memory{freeErr: errors.New("no answer")}, err: boom, calls: []call{acquired, done, freed},
			name: taskerr.TargetFailed, text: "boom: it did not work", logged: "freeing a lease; it ends by itself",
		},
		"it would never end": {
			noDeadline: true, name: taskerr.Internal,
			text: "leasing release web on cluster demo: the function has no deadline, so its lease has no end",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithDeadline(t.Context(), deadline)
			defer cancel()
			if c.noDeadline {
				ctx = t.Context()
			}
			var log bytes.Buffer
			m := c.store
			h := lease.Holder{Store: &m, Log: slog.New(slog.NewTextHandler(&log, nil)), Invocation: func(context.Context) string { return "i" }}
			err := h.Hold(ctx, key, "demo", "run-1", func(l lease.Lease) error {
				if c.canceled {
					cancel()
				}
				if !l.Deadline.Equal(deadline) {
					t.Errorf("the function's deadline is %s, want %s", l.Deadline, deadline)
				}
				m.calls = append(m.calls, call{What: "do", Until: l.Until, Fence: l.Fence})
				return c.err
			})
			if diff := cmp.Diff(c.calls, m.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if c.text == "" && err != nil || c.text != "" && (err == nil || err.Error() != c.text || taskerr.NameOf(err) != c.name) {
				t.Errorf("got %v, want %q with name %s", err, c.text, c.name)
			}
			if got := log.String(); c.logged == "" && got != "" || !strings.Contains(got, c.logged) {
				t.Errorf("logged %q, want %q", got, c.logged)
			}
		})
	}
}

// Work that panics leaves no lease behind that the next attempt would have to wait for.
func TestPanicFrees(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m := &memory{}
	h := lease.Holder{Store: m, Log: slog.New(slog.DiscardHandler), Invocation: func(context.Context) string { return "i" }}
	func() {
		defer func() { _ = recover() }()
		_ = h.Hold(ctx, key, "demo", "run-1", func(lease.Lease) error { panic("boom") })
	}()
	if last := m.calls[len(m.calls)-1].What; last != "free" {
		t.Errorf("the last call is %s", last)
	}
}

func TestTimesOfALease(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	deadline := now.Add(10 * time.Minute)
	l := lease.Lease{Until: release.LeaseEnd(deadline), Deadline: deadline}
	if got := l.StopMutationsAt(); !got.After(deadline) || !got.Before(l.Until) {
		t.Errorf("mutations end at %s", got)
	}
	if got := l.HookTimeout(now); got <= 0 || got >= 10*time.Minute {
		t.Errorf("hooks have %s", got)
	}
}
