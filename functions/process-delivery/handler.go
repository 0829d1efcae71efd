package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

type store interface {
	FindSource(ctx context.Context, org, name string) (source.Source, error)
	ListSourcesOfRegistry(ctx context.Context, registry string) ([]source.Source, error)
	ClaimDelivery(ctx context.Context, r source.Record) (first bool, err error)
	FindDelivery(ctx context.Context, org, src, id string) (source.Record, error)
	PutDelivery(ctx context.Context, r source.Record) error
	FindRuleState(ctx context.Context, org, src, rule string) (source.State, error)
	PutRuleState(ctx context.Context, org, src, rule string, state source.State) (wrote bool, err error)
}

type secretsOf interface {
	OfSource(ctx context.Context, s source.Source) (source.Secret, error)
}

type handler struct {
	store   store
	secrets secretsOf
	hosts   hosts
	api     string // the base URL of Swell's own
	client  *http.Client
	log     *slog.Logger
	now     func() time.Time
}

// handle does each message of the queue: a delivery that receive-webhook took, or an event of ECR as the bus sends it. One that fails comes again, and
// then lies in the dead-letter queue.
func (h handler) handle(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // null is not taken for none everywhere
	for _, m := range in.Records {
		var message source.Message
		err := json.Unmarshal([]byte(m.Body), &message)
		switch {
		case err != nil:
		case message.Delivery == "":
			err = h.handleImage(ctx, []byte(m.Body))
		default:
			err = h.process(ctx, message)
		}
		if err != nil {
			h.log.ErrorContext(ctx, "processing a delivery", "source", message.Source, "delivery", message.Delivery, "error", err.Error())
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// handleImage does an event of ECR for every source that follows its registry.
func (h handler) handleImage(ctx context.Context, raw []byte) error {
	var from struct{ Account, Region string }
	event, err := source.Parse(source.ECR, nil, raw)
	if err == nil {
		err = json.Unmarshal(raw, &from)
	}
	if err != nil {
		return fmt.Errorf("reading an event of ECR: %w", err)
	}
	followers, err := h.store.ListSourcesOfRegistry(ctx, from.Account+".dkr.ecr."+from.Region+".amazonaws.com")
	for _, s := range followers {
		record := source.Record{Org: s.Org, Source: s.Name, Event: event, Outcome: source.Received, ReceivedAt: h.now().UTC()}
		_, claimErr := h.store.ClaimDelivery(ctx, record)
		if claimErr == nil {
			claimErr = h.process(ctx, source.Message{Org: s.Org, Source: s.Name, Delivery: event.Delivery})
		}
		err = errors.Join(err, claimErr)
	}
	return err
}

// process does a delivery, rule by rule. Done twice it finds the second time that all is as it should be.
func (h handler) process(ctx context.Context, m source.Message) error {
	record, err := h.store.FindDelivery(ctx, m.Org, m.Source, m.Delivery)
	if problem.Is(err, "delivery-not-found") {
		h.log.WarnContext(ctx, "a delivery is gone", "source", m.Source, "delivery", m.Delivery)
		return nil
	}
	if err != nil {
		return err
	}
	s, err := h.store.FindSource(ctx, m.Org, m.Source)
	if problem.Is(err, "source-not-found") {
		record.Why = "the source was deleted meanwhile"
		return h.store.PutDelivery(ctx, record.Conclude(h.now().UTC()))
	}
	var secret source.Secret
	if err == nil {
		secret, err = h.secrets.OfSource(ctx, s)
	}
	if err != nil {
		return h.failed(ctx, record, err)
	}
	w := &work{handler: h, source: s, secret: secret, event: record.Event}
	if record, err = w.followAll(ctx, record); err != nil {
		return h.failed(ctx, record, err)
	}
	return h.store.PutDelivery(ctx, record.Conclude(h.now().UTC()))
}

// failed records an error that may pass, which brings the message back.
func (h handler) failed(ctx context.Context, record source.Record, err error) error {
	record.Outcome, record.Why = source.Failed, "it is tried again: "+err.Error()
	return errors.Join(err, h.store.PutDelivery(ctx, record))
}
