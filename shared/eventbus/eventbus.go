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

// most is how many entries one PutEvents takes.
const most = 10

// Put puts the events on the bus, in their order, and says of each whether it was not taken. An event that was taken may be put again: its id says
// that it is the same.
func (b *Bus) Put(ctx context.Context, events []event.Event) []error {
	refused := make([]error, len(events))
	for begin := 0; begin < len(events); begin += most {
		end := min(begin+most, len(events))
		b.put(ctx, events[begin:end], refused[begin:end])
	}
	return refused
}

func (b *Bus) put(ctx context.Context, events []event.Event, refused []error) {
	in := &eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, len(events))}
	for i, e := range events {
		raw, err := json.Marshal(e)
		if err != nil { // it holds text, numbers and times
			refused[i] = fmt.Errorf("writing event %s: %w", e.ID, err)
		}
		in.Entries[i] = types.PutEventsRequestEntry{EventBusName: &b.name, Source: aws.String(event.Source), DetailType: aws.String(string(e.Type)),
			Time: aws.Time(e.Time), Detail: aws.String(string(raw))}
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
