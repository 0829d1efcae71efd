//go:build stack

package dynamo_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/watch"
)

func TestWatchIsKeptWhole(t *testing.T) {
	s := newStore(t)
	w := filled[watch.Watch](t)
	w.Key, w.Version = keyA, 0
	none, err := s.FindWatch(t.Context(), keyA)
	must(t, err)
	wantEqual(t, none, watch.Watch{Key: keyA})
	kept, err := s.PutWatch(t.Context(), w)
	must(t, err)
	if again, err := s.PutWatch(t.Context(), w); err != nil || !kept || again {
		t.Errorf("kept %v; of one that has changed since %v, %v", kept, again, err)
	}
	got, err := s.FindWatch(t.Context(), keyA)
	must(t, err)
	w.Version = 1
	wantEqual(t, got, w)
}

func TestWaits(t *testing.T) {
	now := noon
	s := newStoreAt(t, func() time.Time { return now })
	ctx := t.Context()
	if _, ok, err := s.SetToken(ctx, keyA, "r", "t"); ok || err != nil {
		t.Errorf("a token where nobody waits: %v, %v", ok, err)
	}
	want := filled[watch.Wait](t)
	want.Key, want.Token, want.Run = keyA, "", "r"
	must(t, s.PutWait(ctx, want))
	if waits, err := s.ListWaits(ctx, keyA.Org, keyA.ClusterID); err != nil || len(waits) != 0 {
		t.Errorf("without a token %d wait, %v", len(waits), err)
	}
	if _, ok, err := s.SetToken(ctx, keyA, "another", "t"); ok || err != nil {
		t.Errorf("the token of a run that does not have the release: %v, %v", ok, err)
	}
	before, ok, err := s.SetToken(ctx, keyA, "r", "one")
	must(t, err)
	if before != "" || !ok {
		t.Errorf("before the first stood %d letters, %v", len(before), ok)
	}
	if before, ok, err = s.SetToken(ctx, keyA, "r", "two"); before != "one" || !ok || err != nil {
		t.Errorf("the second: %v, %v", ok, err)
	}
	want.Token = "two"
	must(t, s.PutWait(ctx, want)) // leaves the token
	waits, err := s.ListWaits(ctx, keyA.Org, keyA.ClusterID)
	must(t, err)
	wantEqual(t, waits, []watch.Wait{want})
	if string(waits[0].Token) != "two" {
		t.Error("the token is another")
	}

	claim := func(token string) bool {
		t.Helper()
		w := want
		w.Token = waits[0].Token[:0] + waits[0].Token
		if token != "two" {
			w.Token = "one"
		}
		mine, err := s.ClaimAnswer(ctx, w, now.Add(10*time.Second))
		must(t, err)
		return mine
	}
	if claim("one") || !claim("two") || claim("two") {
		t.Error("the answer is not one's alone")
	}
	must(t, s.FreeAnswer(ctx, want))
	if !claim("two") {
		t.Error("what was given back cannot be claimed")
	}
	now = now.Add(11 * time.Second)
	if !claim("two") {
		t.Error("who died at the answer is not replaced")
	}
	must(t, s.EndWait(ctx, want))
	if w, found, err := s.FindWait(ctx, keyA); err != nil || !found || w.Token != "" || claim("two") {
		t.Errorf("it still waits, %v", err)
	}
}

func TestLearnedBy(t *testing.T) {
	s := newStore(t)
	ctx, r := t.Context(), run.New("r", run.Deploy, orgA, "api", "ann", noon)
	must(t, s.PutTargets(ctx, r, []run.Target{{ClusterID: "c", Status: run.TargetVerifying}}))
	for _, step := range []struct{ set, want run.LearnedBy }{
		{run.LearnedByLook, run.LearnedByLook}, {run.LearnedByPoll, run.LearnedByPoll}, {run.LearnedByRelay, run.LearnedByRelay}, {run.LearnedByLook, run.LearnedByRelay},
	} {
		must(t, s.SetLearnedBy(ctx, orgA, "r", "c", step.set))
		got, err := s.FindTarget(ctx, orgA, "r", "c")
		must(t, err)
		if got.LearnedBy != step.want {
			t.Errorf("%s after %s", got.LearnedBy, step.set)
		}
	}
	must(t, s.UpdateTarget(ctx, orgA, "r", run.Target{ClusterID: "c", Status: run.TargetSucceeded}))
	must(t, s.SetLearnedBy(ctx, orgA, "r", "c", run.LearnedByPoll))
	must(t, s.SetLearnedBy(ctx, orgA, "r", "nobody", run.LearnedByPoll))
	if got, err := s.FindTarget(ctx, orgA, "r", "c"); err != nil || got.LearnedBy != run.LearnedByRelay {
		t.Errorf("of a target that is done: %s, %v", got.LearnedBy, err)
	}
}

func TestHearRelay(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	c := newCluster(orgA, "one")
	must(t, s.CreateCluster(ctx, c))
	must(t, s.HearRelay(ctx, orgA, c.ID, relay.Delivery{Relay: "1.2.0", Watching: 4}, noon.Add(time.Minute)))
	got, err := s.FindCluster(ctx, orgA, c.ID)
	must(t, err)
	if got.Relay.Version != "1.2.0" || !got.Relay.HeardAt.Equal(noon.Add(time.Minute)) || got.Relay.Watching != 4 || got.Version != c.Version || got.Nodes != c.Nodes || got.Revision != c.Revision {
		t.Errorf("got %+v", got)
	}
	must(t, s.HearRelay(ctx, orgA, c.ID, relay.Delivery{Relay: "1.2.0", Cluster: &relay.Cluster{Version: "v1.37.0", Nodes: 5, ReadyNodes: 4, MilliCPU: 1, MemoryBytes: 2, Pods: 3, RequestedMilliCPU: 4}}, noon.Add(2*time.Minute)))
	must(t, s.HearRelay(ctx, orgA, c.ID, relay.Delivery{Relay: "late"}, noon))
	must(t, s.HearRelay(ctx, orgA, "nobody", relay.Delivery{Relay: "1.2.0"}, noon))
	got, err = s.FindCluster(ctx, orgA, c.ID)
	must(t, err)
	if got.Version != "v1.37.0" || got.Nodes != 5 || got.Capacity.ReadyNodes != 4 || got.Capacity.RequestedMilliCPU != 4 || got.Relay.Version != "1.2.0" {
		t.Errorf("got %+v", got)
	}
	if _, err := s.FindCluster(ctx, orgA, "nobody"); err == nil {
		t.Error("a relay made a cluster")
	}
}

// Of changes at once one look is scheduled; of changes after each other no two looks are nearer than ten seconds, and each change is followed by one.
func TestScheduleLook(t *testing.T) {
	s := newStore(t)
	const every = 10 * time.Second
	var ours atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, mine, err := s.ScheduleLook(t.Context(), orgA, "c", noon, every); err != nil {
				t.Error(err)
			} else if mine {
				ours.Add(1)
			}
		})
	}
	all.Wait()
	if n := ours.Load(); n < 1 || n > 2 { // one now, and one after it for who came just behind
		t.Errorf("%d looks for changes at once", n)
	}
	if _, mine, err := s.ScheduleLook(t.Context(), orgA, "d", noon, every); err != nil || !mine {
		t.Error(mine, err)
	}
	if _, mine, err := s.ScheduleLook(t.Context(), orgA, "d", noon, every); err != nil || mine {
		t.Errorf("what was told in the same instant is looked at twice: %v %v", mine, err)
	}
	var last time.Time
	for second := range 100 {
		now := noon.Add(time.Hour + time.Duration(second)*time.Second)
		at, mine, err := s.ScheduleLook(t.Context(), orgA, "c", now, every)
		must(t, err)
		if !mine {
			if last.Before(now) {
				t.Errorf("the change at %s is followed by no look", now)
			}
			continue
		}
		if at.Before(now) || !last.IsZero() && at.Sub(last) < every {
			t.Errorf("a look at %s, after one at %s", at, last)
		}
		last = at
	}
}
