package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/health"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/taskerr"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

// A target that failed says what the cluster's relay knows of it, if that is of what failed.
func TestAFailureSaysWhatTheRelayTold(t *testing.T) {
	m := &memory{server: kubetest.New(t, kubetest.Options{}), release: release.Release{Key: key, Owner: release.OwnedByDeployment("d")}}
	m.server.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": key.Namespace}})
	m.server.SetReady(false)
	m.relay = cluster.Relay{HeardAt: time.Now()}
	h := m.handler()
	if got := taskerr.NameOf(m.apply(t, h, release.Install, "one", 0)); got != taskerr.AwaitReport {
		t.Fatal(got)
	}
	web := m.wait.Objects[0]
	m.entry.Timeout, m.release.Desired.SetAt = -60, time.Now().Add(-time.Hour) // its time is over

	before := web
	before.Generation--
	crash := relay.Cause{Code: health.CodeCrashLoop, Message: "pod web-1: CrashLoopBackOff: container web, 3 restarts", Pod: "web-1", Logs: "starting\npanic: cannot pull registry.example/one\n"}
	long := crash
	long.Logs = strings.Repeat("x", 4000) + " the end"
	place := relay.Cause{Code: health.CodeUnschedulable, Message: "pod web-1: Unschedulable: 0/3 nodes are available", Pod: "web-1", Waiting: true}
	strange := relay.Cause{Code: "pay-me", Message: "who knows"}
	cases := map[string]struct {
		object relay.Object
		state  relay.State
		cause  relay.Cause
		code   string
		says   []string
	}{
		"a crash":                   {web, relay.Failed, crash, health.CodeCrashLoop, []string{"; the relay says of Deployment web: " + crash.Message, "; pod web-1 wrote: starting\npanic: cannot pull [redacted]"}},
		"the end of a long log":     {web, relay.Failed, long, health.CodeCrashLoop, []string{"the end"}},
		"what it waits for":         {web, relay.Progressing, place, health.CodeUnschedulable, []string{place.Message}},
		"a code that nobody knows":  {web, relay.Failed, strange, health.CodeNotReady, []string{"who knows"}},
		"of the generation before":  {before, relay.Failed, crash, health.CodeNotReady, nil},
		"of an object of no matter": {relay.Object{Kind: "Job", Namespace: "shop", Name: "x", UID: "x"}, relay.Failed, crash, health.CodeNotReady, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m.reported = watch.Watch{}
			m.reported.Take([]relay.Report{{ID: "1", Namespace: key.Namespace, Release: key.Name, Object: c.object, State: c.state, Cause: &c.cause, SeenAt: time.Now()}}, time.Now())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := h.handle(ctx, workflow.TargetRef{Org: key.Org, Run: "r", Plan: "p", Cluster: key.ClusterID})
			got := taskerr.CauseOf(err)
			if taskerr.NameOf(err) != taskerr.TargetFailed || taskerr.CodeOf(err) != c.code || !strings.Contains(got, "not ready after") || len(got) > 2500 {
				t.Fatalf("%d bytes: %v", len(got), err)
			}
			for _, words := range c.says {
				if !strings.Contains(got, words) {
					t.Errorf("it does not say %q: %s", words, got)
				}
			}
			if len(c.says) == 0 && strings.Contains(got, "pod web-1") {
				t.Error(got)
			}
		})
	}
}

// What a container wrote may come a moment after the look that saw it end; of other failures, and from a relay that is silent, nothing is waited for.
func TestARelayHasAMomentToTellALog(t *testing.T) {
	web := kube.ObjectState{Kind: "Deployment", Name: "web", UID: "u", Generation: 2, State: "InProgress", Reason: "pod web-2: CrashLoopBackOff", Code: health.CodeCrashLoop, Final: true}
	report := func(state relay.State, c relay.Cause) relay.Report {
		return relay.Report{ID: "1", Namespace: key.Namespace, Release: key.Name, Object: objectOf(web), State: state, Cause: &c, SeenAt: time.Now()}
	}
	ended := report(relay.Failed, relay.Cause{Code: health.CodeCrashLoop, Message: "it crashed", Pod: "web-2", Logs: "panic: no database"})
	older := report(relay.Progressing, relay.Cause{Code: health.CodeImagePull, Message: "pod web-1: ImagePullBackOff", Pod: "web-1", Waiting: true})
	cases := map[string]struct {
		report  relay.Report
		later   int // how many looks find nothing yet
		heardAt time.Time
		code    string
		want    string
	}{
		"at once":                   {ended, 0, time.Now(), health.CodeCrashLoop, "why; pod web-2 wrote: panic: no database"},
		"a moment later":            {ended, 1, time.Now(), health.CodeCrashLoop, "why; pod web-2 wrote: panic: no database"},
		"of a relay that is silent": {ended, 1, time.Now().Add(-time.Hour), health.CodeCrashLoop, "why"},
		"of what has no log":        {ended, 1, time.Now(), health.CodeImagePull, "why"},
		"of an older pod":           {older, 0, time.Now().Add(-time.Hour), health.CodeCrashLoop, "why"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &memory{later: c.later}
			m.reported.Take([]relay.Report{c.report}, time.Now())
			l := look{handler: handler{store: m}, relay: cluster.Relay{HeardAt: c.heardAt}, state: kube.Readiness{Objects: []kube.ObjectState{web}}}
			if _, got, err := l.told(t.Context(), c.code, "why"); err != nil || got != c.want {
				t.Errorf("got %q, want %q: %v", got, c.want, err)
			}
		})
	}
}
