package eventbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/eventbus"
)

type bridge struct {
	sizes  []int
	took   []types.PutEventsRequestEntry
	refuse map[string]bool // by detail type
	down   error
	short  bool
}

func (b *bridge) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	b.sizes = append(b.sizes, len(in.Entries))
	if b.down != nil {
		return nil, b.down
	}
	out := &eventbridge.PutEventsOutput{}
	for _, entry := range in.Entries {
		if b.refuse[*entry.DetailType] {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, types.PutEventsResultEntry{ErrorCode: aws.String("ThrottlingException"), ErrorMessage: aws.String("slow down")})
			continue
		}
		b.took = append(b.took, entry)
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: aws.String("x")})
	}
	if b.short {
		out.Entries = nil
	}
	return out, nil
}

func events(n int) (all []event.Event) {
	for i := range n {
		all = append(all, event.Event{ID: fmt.Sprint(i), Type: event.RunStarted, Org: "acme", Time: time.Unix(int64(i), 0).UTC(), SchemaVersion: 1})
	}
	return all
}

func TestPut(t *testing.T) {
	b := &bridge{}
	for i, err := range eventbus.New(b, "swell-x").Put(t.Context(), events(23)) {
		if err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
	if fmt.Sprint(b.sizes) != "[10 10 3]" {
		t.Errorf("put in batches of %v", b.sizes)
	}
	for i, entry := range b.took {
		var e event.Event
		if err := json.Unmarshal([]byte(*entry.Detail), &e); err != nil || e.ID != fmt.Sprint(i) || *entry.Source != "swell" || *entry.DetailType != "run.started" || *entry.EventBusName != "swell-x" || !entry.Time.Equal(e.Time) {
			t.Errorf("entry %d is %+v: %v", i, entry, err)
		}
	}
	if out := eventbus.New(b, "x").Put(t.Context(), nil); len(out) != 0 || len(b.sizes) != 3 {
		t.Error("nothing was put")
	}
}

// The ends of large runs that failed come together, and one request takes 256 KiB.
func TestPutLargeEvents(t *testing.T) {
	b, all := &bridge{}, events(12)
	for i := range 6 {
		all[i].Outcome = &event.Outcome{Failures: []event.Failure{{Cause: strings.Repeat("x", 100<<10)}}}
	}
	eventbus.New(b, "x").Put(t.Context(), all)
	if fmt.Sprint(b.sizes) != "[2 2 8]" || len(b.took) != len(all) {
		t.Errorf("%d of %d were put, in batches of %v", len(b.took), len(all), b.sizes)
	}
}

func TestWhatTheBusDoesNotTake(t *testing.T) {
	all := events(12)
	all[3].Type, all[11].Type = event.RunFailed, event.RunFailed
	for i, err := range eventbus.New(&bridge{refuse: map[string]bool{"run.failed": true}}, "x").Put(t.Context(), all) {
		if (err != nil) != (i == 3 || i == 11) {
			t.Errorf("event %d: %v", i, err)
		}
	}
	for name, b := range map[string]*bridge{"it is down": {down: errors.New("down")}, "it says nothing": {short: true}} {
		for i, err := range eventbus.New(b, "x").Put(t.Context(), events(2)) {
			if err == nil {
				t.Errorf("%s: event %d is taken for told", name, i)
			}
		}
	}
}
