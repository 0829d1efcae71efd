package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swell-sh/swell/shared/excerpt"
	"github.com/swell-sh/swell/shared/health"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/watch"
)

// maxLogs is how many bytes of a log are told at most, its end: with the relay's words it is less than 2 KiB.
const maxLogs = 1 << 10

// A code of the look that says no more than that it failed gives way to one of these, if the relay said it: what a relay sends is signed, and else not checked.
var (
	vague    = []string{health.CodeNotReady, health.CodeWorkloadFailed}
	specific = []string{health.CodeImagePull, health.CodeCrashLoop, health.CodeOOMKilled, health.CodeJobFailed, health.CodePodFailed,
		health.CodeDeadlineExceeded, health.CodeUnschedulable, health.CodeVolumeUnbound}
)

// told adds to a failure what the cluster's relay said of why an object of the release does not run: its words, where the look found none of its own, and the
// last lines that a container wrote, without the release's values.
func (l look) told(ctx context.Context, code, cause string) (string, string, error) {
	waiting := l.state.Waiting()
	i, why, err := l.why(ctx, waiting, code)
	if err != nil || why == nil || why.Waiting && waiting[i].Reason != "" { // such as of an older pod
		return code, cause, err
	}
	if slices.Contains(vague, code) && slices.Contains(specific, why.Code) {
		code = why.Code
	}
	if o := waiting[i]; o.Reason == "" || o.Code != why.Code {
		cause += fmt.Sprintf("; the relay says of %s %s: %s", o.Kind, o.Name, why.Message)
	}
	logs := mask.NewRedactor(l.values, l.entry.Key.Name, l.entry.Key.Namespace).Hide(strings.TrimSpace(why.Logs))
	if logs != "" {
		cause += fmt.Sprintf("; pod %s wrote: %s", why.Pod, excerpt.End(logs, maxLogs))
	}
	return code, cause, nil
}

// why is the relay's word on the first of the objects of which it has one. Where a container ended, which the relay saw when the look did, and its log is
// the relay's alone to tell, a moment is left for that to come.
func (l look) why(ctx context.Context, waiting []kube.ObjectState, code string) (at int, why *relay.Cause, err error) {
	objects := make([]relay.Object, len(waiting))
	for i, o := range waiting {
		objects[i] = objectOf(o)
	}
	for tries := 5; ; tries-- {
		reported, err := l.store.FindWatch(ctx, l.entry.Key)
		if err != nil {
			return 0, nil, fmt.Errorf("finding what was reported of release %s: %w", l.entry.Key.Name, err)
		}
		at, why = reported.Why(objects)
		if why != nil && !why.Waiting || tries == 0 || !slices.Contains(health.Ended, code) || !watch.Alive(l.relay.HeardAt, time.Now()) {
			return at, why, nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return at, why, nil
		}
	}
}

func objectOf(o kube.ObjectState) relay.Object {
	return relay.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID, Generation: o.Generation}
}
