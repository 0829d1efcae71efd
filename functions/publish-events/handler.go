package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/deadletter"
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

// handle puts on the bus what the records mean to others. One whose events the bus did not take is told to Lambda, which sends it again with all that
// came after it: who consumes events knows them by their ids. A record that cannot be read goes to the dead-letter queue once the bus has what came before
// it, so that it goes there once, and the rest goes on.
func (h handler) handle(ctx context.Context, in batch) (events.DynamoDBEventResponse, error) {
	all, of, poison := read(in.Records)
	if err := h.complete(ctx, all); err != nil {
		return events.DynamoDBEventResponse{}, err
	}
	end, err := h.tell(ctx, all, of, len(in.Records))
	if at, failure := h.putAside(ctx, in.Records[:end], poison); failure != nil {
		end, err = at, failure
	}
	out := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}} // null is not taken for none everywhere
	if err == nil {
		h.log.InfoContext(ctx, "told the bus", "records", len(in.Records), "events", len(all))
		return out, nil
	}
	number, unnumbered := sequenceNumber(in.Records[end])
	if unnumbered != nil {
		return out, err
	}
	h.log.ErrorContext(ctx, "Lambda sends the record again, and what came after it", "record", number, "error", err)
	out.BatchItemFailures = append(out.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: number})
	return out, nil
}

// tell puts the events on the bus, and returns the first record whose event it did not take; none: as many as there are records.
func (h handler) tell(ctx context.Context, all []event.Event, of []int, records int) (int, error) {
	for i, err := range h.bus.Put(ctx, all) {
		if err != nil {
			return of[i], fmt.Errorf("telling the bus of event %s, %s: %w", all[i].ID, all[i].Type, err)
		}
	}
	return records, nil
}

// putAside sends the records that cannot be read to the dead-letter queue, and returns the one that it could not send.
func (h handler) putAside(ctx context.Context, records []json.RawMessage, poison map[int]error) (int, error) {
	for i, raw := range records {
		reason, ok := poison[i]
		if !ok {
			continue
		}
		h.log.ErrorContext(ctx, "a record cannot be read; it goes to the dead-letter queue", "error", reason)
		if err := h.dead.Send(ctx, deadletter.Letter{Reason: reason.Error(), Record: raw}); err != nil {
			return i, fmt.Errorf("putting a record aside: %w", err)
		}
	}
	return 0, nil
}

// read finds the events of the records and of which record each is, and why a record cannot be read.
func read(records []json.RawMessage) (all []event.Event, of []int, poison map[int]error) {
	poison = map[int]error{}
	for i, raw := range records {
		change, err := dynamo.ReadChange(raw)
		if err != nil {
			poison[i] = err
			continue
		}
		for _, e := range event.Of(change) {
			all, of = append(all, e), append(of, i)
		}
	}
	return all, of, poison
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
