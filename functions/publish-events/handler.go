package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/run"
)

type store interface {
	NameEvents(ctx context.Context, events []event.Event) error
	ListTargets(ctx context.Context, org, run string) ([]run.Target, error)
}

type bus interface {
	Put(ctx context.Context, events []event.Event) []error
}

type dead interface {
	Send(ctx context.Context, body any) error
}

type handler struct {
	store store
	bus   bus
	dead  dead
	log   *slog.Logger
}

// batch is what Lambda hands on. A record is read by itself, so that one that cannot be read is alone with that.
type batch struct {
	Records []json.RawMessage
}

// letter is a record in the dead-letter queue, and why it could not be read. `swell dead-letters redrive` hands the record to this function again.
type letter struct {
	Reason string          `json:"reason"`
	Record json.RawMessage `json:"record"`
}

// handle puts on the bus what the records mean to others. A record that cannot be read goes to the dead-letter queue, and the rest goes on. One whose
// events the bus did not take is told to Lambda, which sends it again with all that came after it: who consumes events knows them by their ids.
func (h handler) handle(ctx context.Context, in batch) (events.DynamoDBEventResponse, error) {
	out := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}} // null is not taken for none everywhere
	all, of, err := h.read(ctx, in.Records)
	if err != nil {
		return out, err
	}
	if err := h.complete(ctx, all); err != nil {
		return out, err
	}
	for i, err := range h.bus.Put(ctx, all) {
		if err == nil {
			continue
		}
		h.log.ErrorContext(ctx, "telling the bus; Lambda sends the record again", "event", all[i].ID, "type", all[i].Type, "error", err)
		number, unnumbered := sequenceNumber(in.Records[of[i]])
		if unnumbered != nil {
			return out, fmt.Errorf("telling the bus: %w", err)
		}
		out.BatchItemFailures = append(out.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: number})
		return out, nil
	}
	h.log.InfoContext(ctx, "told the bus", "records", len(in.Records), "events", len(all))
	return out, nil
}

// read finds the events of the records, and of which record each is.
func (h handler) read(ctx context.Context, records []json.RawMessage) (all []event.Event, of []int, err error) {
	for i, raw := range records {
		change, err := dynamo.ReadChange(raw)
		if err != nil {
			h.log.ErrorContext(ctx, "a record cannot be read; it goes to the dead-letter queue", "error", err)
			if err := h.dead.Send(ctx, letter{Reason: err.Error(), Record: raw}); err != nil {
				return nil, nil, fmt.Errorf("putting a record aside: %w", err)
			}
			continue
		}
		for _, e := range event.Of(change) {
			all, of = append(all, e), append(of, i)
		}
	}
	return all, of, nil
}

// complete adds what the records themselves do not say: names, and what the targets of a run that ended came to.
func (h handler) complete(ctx context.Context, all []event.Event) error {
	if err := h.store.NameEvents(ctx, all); err != nil {
		return fmt.Errorf("naming %d events: %w", len(all), err)
	}
	for i, e := range all {
		if e.Outcome == nil {
			continue
		}
		targets, err := h.store.ListTargets(ctx, e.Org, e.Run.ID)
		if err != nil {
			return fmt.Errorf("listing the targets of run %s: %w", e.Run.ID, err)
		}
		all[i].Count(targets)
	}
	return nil
}

func sequenceNumber(raw json.RawMessage) (string, error) {
	var record struct {
		DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
	}
	err := json.Unmarshal(raw, &record)
	if err == nil && record.DynamoDB.SequenceNumber == "" {
		err = fmt.Errorf("reading a record: it has no sequence number")
	}
	return record.DynamoDB.SequenceNumber, err
}
