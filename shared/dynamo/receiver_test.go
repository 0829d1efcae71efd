//go:build stack

package dynamo_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

func TestReceivers(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	r := filled[receiver.Receiver](t)
	r.Org, r.Name = orgA, "ops"
	must(t, s.CreateReceiver(ctx, r))
	got, err := s.FindReceiver(ctx, orgA, "ops")
	must(t, err)
	wantEqual(t, got, r) // every field is kept
	if err := s.CreateReceiver(ctx, r); !problem.Is(err, "receiver-name-taken") {
		t.Errorf("a second of the name: %v", err)
	}
	if _, err := s.FindReceiver(ctx, orgB, "ops"); !problem.Is(err, "receiver-not-found") {
		t.Errorf("another org's: %v", err)
	}
	all, _, err := s.ListReceivers(ctx, orgA, dynamo.Page{})
	must(t, err)
	wantEqual(t, all, []receiver.Receiver{r})
	if all, _, err = s.ListReceivers(ctx, orgB, dynamo.Page{}); err != nil || len(all) != 0 {
		t.Errorf("another org's: %v, %v", all, err)
	}

	state := receiver.State{FailingSince: noon, LastError: "it answered 500"}
	must(t, s.SetReceiverState(ctx, r, state))
	got, err = s.FindReceiver(ctx, orgA, "ops")
	must(t, err)
	wantEqual(t, got.State, state)

	next := got
	next.Version++
	must(t, s.ReplaceReceiver(ctx, next, got.Version))
	if err := s.ReplaceReceiver(ctx, next, got.Version); !problem.Is(err, "receiver-changed") {
		t.Errorf("a version that is gone: %v", err)
	}
	must(t, s.SetReceiverState(ctx, got, receiver.State{LastSentAt: noon})) // of what was sent before the change
	got, err = s.FindReceiver(ctx, orgA, "ops")
	must(t, err)
	wantEqual(t, got, next)

	if err := s.DeleteReceiver(ctx, orgA, "ops", next.Version-1); !problem.Is(err, "receiver-changed") {
		t.Errorf("deleted as it was before: %v", err)
	}
	must(t, s.DeleteReceiver(ctx, orgA, "ops", next.Version))
	if err := s.DeleteReceiver(ctx, orgA, "ops", next.Version); !problem.Is(err, "receiver-not-found") {
		t.Errorf("deleted twice: %v", err)
	}
	must(t, s.SetReceiverState(ctx, got, state))
	if _, err := s.FindReceiver(ctx, orgA, "ops"); !problem.Is(err, "receiver-not-found") {
		t.Errorf("a state brought it back: %v", err)
	}
}

func TestClaimNotification(t *testing.T) {
	now := noon
	s := newStoreAt(t, func() time.Time { return now })
	ctx := t.Context()
	var won atomic.Int32
	var tries sync.WaitGroup
	for range 50 {
		tries.Go(func() {
			ours, sent, err := s.ClaimNotification(ctx, orgA, "e", "ops", noon.Add(time.Minute))
			must(t, err)
			if sent {
				t.Error("it was sent before anybody did")
			}
			if ours {
				won.Add(1)
			}
		})
	}
	tries.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 50 won", won.Load())
	}
	claim := func(wantOurs, wantSent bool) {
		t.Helper()
		ours, sent, err := s.ClaimNotification(ctx, orgA, "e", "ops", now.Add(time.Minute))
		must(t, err)
		if ours != wantOurs || sent != wantSent {
			t.Errorf("ours %t, sent %t", ours, sent)
		}
	}
	claim(false, false)
	now = noon.Add(2 * time.Minute) // the one who won is dead
	claim(true, false)
	must(t, s.SettleNotification(ctx, orgA, "e", "ops", false))
	claim(true, false)
	must(t, s.SettleNotification(ctx, orgA, "e", "ops", true))
	claim(false, true)
	must(t, s.SettleNotification(ctx, orgA, "e", "ops", false)) // of a try that comes too late
	claim(false, true)
	now = noon.Add(time.Hour)
	claim(false, true)
}

func TestNameEvents(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	g := given(t, s, orgA, "prod")
	d, r, err := s.AdmitDeployment(ctx, newAdmission(orgA, g.ID, "web"))
	must(t, err)
	c := filled[cluster.Cluster](t)
	c.Org, c.GroupID = orgA, ""
	must(t, s.CreateCluster(ctx, c))
	events := []event.Event{
		{Org: orgA, Type: event.TargetFailed, Run: &event.Run{ID: r.ID}, Cluster: &event.Cluster{ID: c.ID}},
		{Org: orgA, Type: event.ReleaseDrifted, Deployment: &event.Deployment{ID: d.ID}, Cluster: &event.Cluster{ID: c.ID}},
		{Org: orgB, Type: event.ReleaseDrifted, Deployment: &event.Deployment{ID: d.ID}, Cluster: &event.Cluster{ID: c.ID}},
		{Org: orgA, Type: event.GroupChanged, Group: &event.Group{ID: "gone"}},
	}
	for range 30 { // more than one read takes none twice
		events = append(events, event.Event{Org: orgA, Cluster: &event.Cluster{ID: c.ID}})
	}
	must(t, s.NameEvents(ctx, events))
	for i, want := range []string{"web prod " + c.Name, "web prod " + c.Name} {
		e := events[i]
		if got := fmt.Sprintf("%s %s %s", e.Deployment.ReleaseName, e.Group.Name, e.Cluster.Name); got != want {
			t.Errorf("%s: %s, want %s", e.Type, got, want)
		}
	}
	if e := events[0]; e.Run.Type != string(r.Type) || e.Run.Actor != r.Actor {
		t.Errorf("%+v", e.Run)
	}
	if events[3].Group.Name != "" {
		t.Errorf("%+v", events[3].Group)
	}
}
