package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

type store interface {
	ListReceivers(ctx context.Context, org string, page dynamo.Page) (receivers []receiver.Receiver, next string, err error)
	FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error)
	SetReceiverState(ctx context.Context, r receiver.Receiver, state receiver.State) error
	ClaimNotification(ctx context.Context, org, eventID, receiverName string, until time.Time) (ours, sent bool, err error)
	SettleNotification(ctx context.Context, org, eventID, receiverName string, sent bool) error
}

type credentials interface {
	OfReceiver(ctx context.Context, r receiver.Receiver) (receiver.Credential, error)
}

type sender interface {
	Send(ctx context.Context, body any) error
}

type consumed interface {
	Later(ctx context.Context, receiptHandle string, after time.Duration) error
}

type handler struct {
	store    store
	secrets  credentials
	queue    sender
	consumed consumed
	senders  notify.Sender
	log      *slog.Logger
	now      func() time.Time
}

// message is one of the queue: an event as the bus sends it, whose receivers are to be found; or one for a receiver, whom this function sent it for.
type message struct {
	Detail   event.Event `json:"detail"`
	Receiver string      `json:"receiver,omitempty"` // empty: an event from the bus
}

// handle takes each message by itself, side by side: a receiver that is slow or does not answer is waited for by nobody else. What it did not take is
// tried again, later each time, and then lies in the dead-letter queue.
func (h handler) handle(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	failed := make([]bool, len(in.Records))
	var tasks errgroup.Group
	for i, record := range in.Records {
		tasks.Go(func() error {
			if err := h.take(ctx, record); err != nil {
				failed[i] = true
				h.log.ErrorContext(ctx, "notifying; the queue tries again", "message", record.MessageId, "error", err)
				h.putOff(ctx, record, notify.After(err))
			}
			return nil
		})
	}
	_ = tasks.Wait()                                                                  // each message has its own error
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // null is not taken for none everywhere
	for i, record := range in.Records {
		if failed[i] {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return out, nil
}

// The waits between tries: each three times the one before, unless the receiver asked for another.
const (
	firstWait = 10 * time.Second
	maxTries  = 10
)

func (h handler) putOff(ctx context.Context, record events.SQSMessage, asked time.Duration) {
	wait := firstWait
	tries, _ := strconv.Atoi(record.Attributes["ApproximateReceiveCount"]) // 0 if it is not there
	for range min(tries, maxTries) - 1 {
		wait *= 3
	}
	if err := h.consumed.Later(ctx, record.ReceiptHandle, max(wait, asked)); err != nil {
		h.log.WarnContext(ctx, "putting a message off; it comes again after the queue's own time", "message", record.MessageId, "error", err)
	}
}

func (h handler) take(ctx context.Context, record events.SQSMessage) error {
	var m message
	if err := json.Unmarshal([]byte(record.Body), &m); err != nil {
		return fmt.Errorf("reading message %s: %w", record.MessageId, err)
	}
	switch {
	case m.Detail.ID == "" || m.Detail.Org == "":
		return fmt.Errorf("reading message %s: it has no event", record.MessageId)
	case m.Receiver == "":
		return h.spread(ctx, m.Detail)
	default:
		return h.tell(ctx, m.Detail, m.Receiver)
	}
}

// spread sends a message for each receiver that wants the event. Done twice, it sends twice; each is told once all the same.
func (h handler) spread(ctx context.Context, e event.Event) error {
	for page := (dynamo.Page{}); ; {
		receivers, next, err := h.store.ListReceivers(ctx, e.Org, page)
		if err != nil {
			return fmt.Errorf("listing the receivers of org %s: %w", e.Org, err)
		}
		for _, r := range receivers {
			if !r.Wants(e) {
				continue
			}
			if err := h.queue.Send(ctx, message{Detail: e, Receiver: r.Name}); err != nil {
				return fmt.Errorf("sending event %s to receiver %s: %w", e.ID, r.Name, err)
			}
		}
		if page.Cursor = next; next == "" {
			return nil
		}
	}
}

// attempt is for how long one try has a notification to itself: longer than the function may run.
const attempt = time.Minute

// tell tells a receiver of the event, if nobody did. One that is gone by now, or does not want it any more, is not told.
func (h handler) tell(ctx context.Context, e event.Event, name string) error {
	r, err := h.store.FindReceiver(ctx, e.Org, name)
	if problem.Is(err, "receiver-not-found") || err == nil && !r.Wants(e) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finding receiver %s: %w", name, err)
	}
	ours, sent, err := h.store.ClaimNotification(ctx, e.Org, e.ID, name, h.now().Add(attempt))
	switch {
	case err != nil:
		return fmt.Errorf("claiming event %s for receiver %s: %w", e.ID, name, err)
	case sent:
		return nil
	case !ours:
		return fmt.Errorf("telling receiver %s of event %s: another try is at it", name, e.ID)
	}
	refused := h.send(ctx, e, r)
	err = errors.Join(h.store.SettleNotification(ctx, e.Org, e.ID, name, refused == nil), h.store.SetReceiverState(ctx, r, r.State.Sent(refused, h.now())))
	if refused != nil {
		return fmt.Errorf("telling receiver %s of event %s: %w", name, e.ID, errors.Join(refused, err))
	}
	if err != nil { // it was told: trying again might tell it twice
		h.log.ErrorContext(ctx, "recording that a receiver was told", "receiver", name, "event", e.ID, "error", err)
	}
	return nil
}

func (h handler) send(ctx context.Context, e event.Event, r receiver.Receiver) error {
	credential, err := h.secrets.OfReceiver(ctx, r)
	if err != nil {
		return err
	}
	return h.senders.Send(ctx, notify.Delivery{Receiver: r, Credential: credential, Event: e, Message: r.Compose(e), At: h.now()})
}
