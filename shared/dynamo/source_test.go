//go:build stack

package dynamo_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

func TestSources(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	want := filled[source.Source](t)
	want.Org, want.Name, want.Kind, want.URL = orgA, "shop", source.ECR, "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	must(t, s.CreateSource(ctx, want))
	got, err := s.FindSource(ctx, orgA, "shop")
	must(t, err)
	wantEqual(t, got, want)
	if err := s.CreateSource(ctx, want); !problem.Is(err, "source-name-taken") {
		t.Errorf("the same name: %v", err)
	}
	was := want.Version
	want.Version++
	must(t, s.ReplaceSource(ctx, want, was))
	if err := s.ReplaceSource(ctx, want, was); !problem.Is(err, "source-changed") {
		t.Errorf("another version: %v", err)
	}
	if _, err := s.FindSource(ctx, orgB, "shop"); !problem.Is(err, "source-not-found") {
		t.Errorf("another org: %v", err)
	}
	followers, err := s.ListSourcesOfRegistry(ctx, "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
	must(t, err)
	wantEqual(t, followers, []source.Source{want})
	all, _, err := s.ListSources(ctx, orgA, dynamo.Page{Limit: 10})
	must(t, err)
	wantEqual(t, all, []source.Source{want})
	if err := s.DeleteSource(ctx, orgA, "shop", was); !problem.Is(err, "source-changed") {
		t.Errorf("deleted as it was before: %v", err)
	}
	must(t, s.DeleteSource(ctx, orgA, "shop", want.Version))
	if err := s.DeleteSource(ctx, orgA, "shop", want.Version); !problem.Is(err, "source-not-found") {
		t.Errorf("deleted twice: %v", err)
	}
}

// Of a hundred that claim a delivery at once one is the first; what was never done with can be claimed again later.
func TestDeliveries(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	r := filled[source.Record](t)
	r.Org, r.Source, r.Outcome, r.Event.Delivery = orgA, "shop", source.Received, "d-1"
	r.ReceivedAt = time.Now().UTC()
	var wait sync.WaitGroup
	var firsts atomic.Int32
	for range 100 {
		wait.Go(func() {
			first, err := s.ClaimDelivery(ctx, r)
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wait.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were the first, want 1", firsts.Load())
	}
	got, err := s.FindDelivery(ctx, orgA, "shop", "d-1")
	must(t, err)
	wantEqual(t, got, r)
	claim := func(r source.Record, want bool) {
		t.Helper()
		if first, err := s.ClaimDelivery(ctx, r); err != nil || first != want {
			t.Errorf("claimed: %t, %v; want %t", first, err, want)
		}
	}
	later := r
	later.ReceivedAt = r.ReceivedAt.Add(source.Again + time.Second)
	claim(later, true) // nobody did it
	must(t, s.ReleaseDelivery(ctx, later))
	claim(later, true)
	later.Outcome = source.Accepted
	must(t, s.PutDelivery(ctx, later))
	later.ReceivedAt, later.Outcome = later.ReceivedAt.Add(time.Hour), source.Received
	claim(later, false) // it is done
	for n := range 3 {
		r.Event.Delivery, r.ReceivedAt = fmt.Sprint("e-", n), r.ReceivedAt.Add(2*time.Hour)
		claim(r, true)
	}
	list, _, err := s.ListDeliveries(ctx, orgA, "shop", dynamo.Page{Limit: 2})
	must(t, err)
	if len(list) != 2 || list[0].Event.Delivery != "e-2" || list[1].Event.Delivery != "e-1" {
		t.Errorf("listed %+v", list)
	}
	if _, err := s.FindDelivery(ctx, orgA, "shop", "none"); !problem.Is(err, "delivery-not-found") {
		t.Errorf("none: %v", err)
	}
}

func TestRuleStatesAndComments(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	state := filled[source.State](t)
	state.Step = 1
	put := func(want bool) {
		t.Helper()
		if wrote, err := s.PutRuleState(ctx, orgA, "shop", "eu/shop/", state); err != nil || wrote != want {
			t.Errorf("step %d wrote: %t, %v; want %t", state.Step, wrote, err, want)
		}
	}
	put(true)
	put(false) // somebody was there
	got, err := s.FindRuleState(ctx, orgA, "shop", "eu/shop/")
	must(t, err)
	state.Changed = got.Changed
	wantEqual(t, got, state)
	state.Step = 3
	put(false)
	state.Step = 2
	put(true)
	if none, err := s.FindRuleState(ctx, orgA, "shop", "us/shop/"); err != nil || none != (source.State{}) {
		t.Errorf("a rule that never began is %+v, %v", none, err)
	}
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		comment string
		at      time.Time
		newest  bool
	}{{"", noon, true}, {"1000", noon, true}, {"older", noon.Add(-time.Nanosecond), false}, {"1000", noon.Add(time.Second), true}, {"older", noon, false}} {
		if newest, err := s.PutComment(ctx, orgA, "shop", 7, "eu/shop", c.comment, c.at); err != nil || newest != c.newest {
			t.Errorf("comment %q of a plan of %s is the newest: %t, %v", c.comment, c.at, newest, err)
		}
	}
	for n, want := range map[int]string{7: "1000", 8: ""} {
		if got, err := s.FindComment(ctx, orgA, "shop", n, "eu/shop"); err != nil || got != want {
			t.Errorf("pull request %d has comment %q, %v; want %q", n, got, err, want)
		}
	}
	must(t, s.PutKey(ctx, "h", dynamo.APIKey{Org: orgA}))
	for range 2 { // gone already is a success
		must(t, s.DeleteKey(ctx, "h"))
	}
	if _, err := s.FindKey(ctx, "h"); !problem.Is(err, "key-not-found") {
		t.Errorf("a key that was revoked: %v", err)
	}
}
