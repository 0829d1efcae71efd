package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// sources is what deliveries of Git hosts and registries are held against, and where they go.
type sources struct {
	store interface {
		FindSource(ctx context.Context, org, name string) (source.Source, error)
		ClaimDelivery(ctx context.Context, r source.Record) (first bool, err error)
		ReleaseDelivery(ctx context.Context, r source.Record) error
	}
	secrets interface {
		OfSource(ctx context.Context, s source.Source) (source.Secret, error)
	}
	deliveries sender
}

// ReceiveDelivery takes what a Git host or a registry says has happened. It only says where to look, and is kept once: the host may send it again.
func (h handler) ReceiveDelivery(w http.ResponseWriter, r *http.Request, org, name string) {
	taken, err := h.receiveDelivery(r, org, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	status := http.StatusAccepted
	if taken.Event == string(source.Ping) {
		status = http.StatusOK
	}
	openapi.Write(w, status, taken)
}

func (h handler) receiveDelivery(r *http.Request, org, name string) (openapi.DeliveryTaken, error) {
	body, err := bodyOf(r, source.MaxBody)
	if err != nil {
		return openapi.DeliveryTaken{}, err
	}
	d := source.Delivery{Header: r.Header, Token: r.URL.Query().Get("token"), Body: body}
	s, err := h.verified(r.Context(), org, name, d)
	if err != nil {
		return openapi.DeliveryTaken{}, err
	}
	event, err := source.Parse(s.Kind, r.Header, body)
	if err != nil {
		return openapi.DeliveryTaken{}, err
	}
	return h.keep(r.Context(), s, event)
}

// verified is the source, if the delivery is signed with its secret. One that is not there, or has no secret, is answered as a wrong signature is: who cannot
// sign learns no name.
func (h handler) verified(ctx context.Context, org, name string, d source.Delivery) (source.Source, error) {
	now := h.now()
	s, err := h.sources.store.FindSource(ctx, org, name)
	if problem.Is(err, "source-not-found") {
		return s, source.Verify(source.Generic, source.Delivery{Header: http.Header{}}, now)
	}
	if err != nil {
		return s, err
	}
	secret, err := h.sources.secrets.OfSource(ctx, s)
	if problem.Is(err, "source-secret-missing") {
		h.log.WarnContext(ctx, "a delivery is refused, since the source has no secret", "org", org, "source", name, "error", err.Error())
		return s, source.Verify(s.Kind, d, now)
	}
	if err != nil {
		return s, err
	}
	return s, source.Verify(s.Kind, d, now, secret.Hooks(now)...)
}

// keep records the delivery and sends it on, the record first: of two that come at once one is the first. What no rule is about is recorded only.
func (h handler) keep(ctx context.Context, s source.Source, event source.Event) (openapi.DeliveryTaken, error) {
	record := source.Record{Org: s.Org, Source: s.Name, Event: event, Outcome: source.Received, ReceivedAt: h.now().UTC()}
	taken := openapi.DeliveryTaken{Delivery: event.Delivery, Event: string(event.Kind)}
	if event.Kind == source.Ping {
		record.Outcome, record.EndedAt = source.Ignored, record.ReceivedAt
		record.Why = "the host tried the hook"
	} else if rules, why := s.Match(event); len(rules) == 0 {
		record.Outcome, record.EndedAt, record.Why = source.Ignored, record.ReceivedAt, why
	}
	taken.Outcome, taken.Why = openapi.DeliveryOutcome(record.Outcome), record.Why
	first, err := h.sources.store.ClaimDelivery(ctx, record)
	if err != nil {
		return taken, fmt.Errorf("keeping delivery %s of source %s: %w", event.Delivery, s.Name, err)
	}
	taken.Repeated = !first
	if !first || record.Outcome == source.Ignored {
		return taken, nil
	}
	if err := h.sources.deliveries.SendLater(ctx, source.Message{Org: s.Org, Source: s.Name, Delivery: event.Delivery}, 0); err != nil {
		if releaseErr := h.sources.store.ReleaseDelivery(context.WithoutCancel(ctx), record); releaseErr != nil {
			h.log.ErrorContext(ctx, "releasing a delivery that could not be sent on", "source", s.Name, "delivery", event.Delivery, "error", releaseErr.Error())
		}
		return taken, fmt.Errorf("sending on delivery %s of source %s: %w", event.Delivery, s.Name, err)
	}
	return taken, nil
}
