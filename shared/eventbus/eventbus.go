// Package eventbus puts Swell's events on its EventBridge bus.
package eventbus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/swell-sh/swell/shared/event"
)

// API is what is called of EventBridge: *eventbridge.Client.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

var _ API = (*eventbridge.Client)(nil)

// Bus is one bus.
type Bus struct {
	api  API
	name string
}

// New makes a Bus of its name.
func New(api API, name string) *Bus { return &Bus{api: api, name: name} }

// Open makes a Bus of a configuration.
func Open(cfg aws.Config, name string) *Bus { return New(eventbridge.NewFromConfig(cfg), name) }

// What one PutEvents takes: so many entries, and 256 KiB, of which the details are most.
const (
	maxEntries = 10
	maxDetails = 240 << 10
)

// Put puts the events on the bus, in their order, and says of each whether it was not taken. An event that was taken may be put again: its id says
// that it is the same.
func (b *Bus) Put(ctx context.Context, events []event.Event) []error {
	refused, details := make([]error, len(events)), make([][]byte, len(events))
	for i, e := range events {
		details[i], refused[i] = json.Marshal(e) // never an error: it holds text, numbers and times
	}
	for begin := 0; begin < len(events); {
		end, size := begin+1, len(details[begin])
		for end < min(begin+maxEntries, len(events)) && size+len(details[end]) <= maxDetails {
			size += len(details[end])
			end++
		}
		b.put(ctx, events[begin:end], details[begin:end], refused[begin:end])
		begin = end
	}
	return refused
}

func (b *Bus) put(ctx context.Context, events []event.Event, details [][]byte, refused []error) {
	in := &eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, len(events))}
	for i, e := range events {
		in.Entries[i] = types.PutEventsRequestEntry{EventBusName: &b.name, Source: aws.String(event.Source), DetailType: aws.String(string(e.Type)),
			Time: aws.Time(e.Time), Detail: aws.String(string(details[i]))}
	}
	out, err := b.api.PutEvents(ctx, in)
	for i, e := range events {
		switch {
		case err != nil:
			refused[i] = fmt.Errorf("putting event %s on the bus: %w", e.ID, err)
		case i >= len(out.Entries):
			refused[i] = fmt.Errorf("putting event %s on the bus: no answer was given", e.ID)
		case aws.ToString(out.Entries[i].ErrorCode) != "":
			refused[i] = fmt.Errorf("putting event %s on the bus: %s: %s", e.ID, aws.ToString(out.Entries[i].ErrorCode), aws.ToString(out.Entries[i].ErrorMessage))
		}
	}
}
