package main

import (
	"context"
	"fmt"
	"time"

	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/watch"
)

// reports is what is kept of relays' reports, and of who waits for them.
type reports interface {
	FindWatch(ctx context.Context, key release.Key) (watch.Watch, error)
	PutWait(ctx context.Context, w watch.Wait) error
}

// next says how to go on where the release is not ready yet: by a report of the cluster's relay, or by looking again and again. A relay that reported its
// last word already, and was not believed, has no more to say.
func (l look) next(ctx context.Context, state kube.Readiness) (name string, err error) {
	if !watch.Alive(l.relay.HeardAt, time.Now()) {
		return taskerr.NotReady, nil
	}
	w := watch.Wait{Key: l.entry.Key, Run: l.ref.Run, Until: l.deadline.UTC()}
	for _, o := range state.Waiting() {
		if o.UID == "" || !relay.Follows(o.Kind) {
			return taskerr.NotReady, nil
		}
		w.Objects = append(w.Objects, objectOf(o))
	}
	reported, err := l.store.FindWatch(ctx, w.Key)
	if err != nil {
		return "", fmt.Errorf("finding what was reported of release %s: %w", w.Name, err)
	}
	if len(w.Objects) == 0 || len(w.Objects) > watch.MaxObjects || w.Over(reported) {
		return taskerr.NotReady, nil
	}
	if err := l.store.PutWait(ctx, w); err != nil {
		return "", fmt.Errorf("recording what run %s waits for: %w", l.ref.Run, err)
	}
	return taskerr.AwaitReport, nil
}
