package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

const maxBody = 64 << 10

type store interface {
	CreateReceiver(ctx context.Context, r receiver.Receiver) error
	ReplaceReceiver(ctx context.Context, r receiver.Receiver, expectedVersion int64) error
	FindReceiver(ctx context.Context, org, name string) (receiver.Receiver, error)
	ListReceivers(ctx context.Context, org string, page dynamo.Page) (receivers []receiver.Receiver, next string, err error)
	DeleteReceiver(ctx context.Context, org, name string, expectedVersion int64) error
	SetReceiverState(ctx context.Context, r receiver.Receiver, state receiver.State) error
}

type secretKeeper interface {
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
	OfReceiver(ctx context.Context, r receiver.Receiver) (receiver.Credential, error)
}

type handler struct {
	store    store
	secrets  secretKeeper
	senders  notify.Sender
	networks netguard.Policy
	log      *slog.Logger
	now      func() time.Time
}

func (h handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	openapi.Fail(w, r, h.log, err)
}

// ListReceivers answers the receivers of an org.
func (h handler) ListReceivers(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListReceiversParams) {
	receivers, next, err := h.store.ListReceivers(r.Context(), org, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.ReceiverList{NextCursor: next}
	for _, one := range receivers {
		list.Items = append(list.Items, openapi.ReceiverOf(one))
	}
	openapi.Write(w, http.StatusOK, list)
}

// GetReceiver answers one receiver.
func (h handler) GetReceiver(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.ReceiverPath) {
	found, err := h.store.FindReceiver(r.Context(), org, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, found.Version, openapi.ReceiverOf(found))
}

// CreateReceiver has somebody told of events from now on.
func (h handler) CreateReceiver(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	body, err := openapi.Decode[openapi.ReceiverRequest](r, maxBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	made, credential := openapi.ReplaceReceiverRequest(body).Domain(body.Name, receiver.Kind(body.Kind))
	made.Org, made.Version, made.CreatedAt, made.CreatedBy = org, 1, h.now().UTC(), openapi.PrincipalOf(r.Context()).Name
	if err = made.Validate(); err == nil {
		err = h.check(made.Kind, credential)
	}
	if err == nil {
		made, err = h.create(r.Context(), made, credential)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+made.Name)
	openapi.WriteVersion(w, http.StatusCreated, made.Version, openapi.ReceiverOf(made))
}

// check finds what is wrong with a URL or a secret, before anything is kept.
func (h handler) check(kind receiver.Kind, c receiver.Credential) error {
	if err := c.Validate(kind); err != nil || !kind.HasURL() {
		return err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	return h.networks.CheckURL(u)
}

// create keeps the record before the secret: the record claims the name, so that nobody's secret is overwritten. A secret that could not be kept takes
// the record with it; a death between the two is seen when the receiver is told, and put right by PUT.
func (h handler) create(ctx context.Context, r receiver.Receiver, c receiver.Credential) (receiver.Receiver, error) {
	r.Host = c.Host()
	if r.Kind.HasURL() {
		r.CredentialID = id.New()
	}
	if err := h.store.CreateReceiver(ctx, r); err != nil {
		return r, err
	}
	err := h.keep(ctx, r, c)
	if err != nil {
		if err := h.store.DeleteReceiver(ctx, r.Org, r.Name, r.Version); err != nil {
			h.log.ErrorContext(ctx, "forgetting a receiver whose URL could not be kept", "receiver", r.Name, "error", err)
		}
	}
	return r, err
}

func (h handler) keep(ctx context.Context, r receiver.Receiver, c receiver.Credential) error {
	if r.CredentialID == "" {
		return nil
	}
	c.ID = r.CredentialID
	raw, err := c.Marshal()
	if err != nil {
		return err
	}
	return h.secrets.Put(ctx, receiver.SecretName(r.Org, r.Name), raw)
}

// ReplaceReceiver changes what a receiver is told of, and how. A URL that the request leaves out stays.
func (h handler) ReplaceReceiver(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.ReceiverPath, params openapi.ReplaceReceiverParams) {
	body, err := openapi.Decode[openapi.ReplaceReceiverRequest](r, maxBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	was, err := h.store.FindReceiver(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, was.Version)
	}
	var is receiver.Receiver
	if err == nil {
		is, err = h.replace(r.Context(), was, body)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, is.Version, openapi.ReceiverOf(is))
}

func (h handler) replace(ctx context.Context, was receiver.Receiver, body openapi.ReplaceReceiverRequest) (receiver.Receiver, error) {
	switch {
	case body.Name != "" && body.Name != was.Name:
		return was, problem.Invalid("receiver-invalid", "the receiver is named %s, not %s", was.Name, body.Name).At("name").Try("leave the name out: it does not change")
	case body.Kind != "" && receiver.Kind(body.Kind) != was.Kind:
		return was, problem.Invalid("receiver-invalid", "the receiver is of kind %s", was.Kind).At("kind").Try("leave the kind out, or create another receiver")
	}
	is, credential := body.Domain(was.Name, was.Kind)
	is.Org, is.Version, is.CreatedAt, is.CreatedBy, is.UpdatedAt = was.Org, was.Version+1, was.CreatedAt, was.CreatedBy, h.now().UTC()
	is.Host, is.CredentialID, is.State = was.Host, was.CredentialID, was.State
	if err := is.Validate(); err != nil {
		return was, err
	}
	given := credential.URL+credential.Key != ""
	if given {
		if err := h.check(is.Kind, credential); err != nil {
			return was, err
		}
		is.Host, is.CredentialID, is.State = credential.Host(), id.New(), receiver.State{}
	}
	if err := h.store.ReplaceReceiver(ctx, is, was.Version); err != nil || !given {
		return is, err
	}
	return is, h.keep(ctx, is, credential)
}

// DeleteReceiver forgets a receiver.
func (h handler) DeleteReceiver(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.ReceiverPath, params openapi.DeleteReceiverParams) {
	found, err := h.store.FindReceiver(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, found.Version)
	}
	if err == nil {
		err = h.store.DeleteReceiver(r.Context(), org, name, found.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if found.CredentialID != "" {
		if err := h.secrets.Delete(r.Context(), receiver.SecretName(org, name)); err != nil {
			h.log.ErrorContext(r.Context(), "deleting the URL of a receiver", "receiver", name, "error", err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestReceiver sends a receiver a message now, and says whether it took it.
func (h handler) TestReceiver(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.ReceiverPath, params openapi.TestReceiverParams) {
	found, err := h.store.FindReceiver(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, found.Version)
	}
	var refused error
	if err == nil {
		refused = h.send(r.Context(), found)
		err = h.store.SetReceiverState(r.Context(), found, found.State.Sent(refused, h.now()))
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	out := openapi.ReceiverTest{Sent: refused == nil}
	if refused != nil {
		out.Error = refused.Error()
	}
	openapi.Write(w, http.StatusOK, out)
}

// send tells the receiver of a run that there never was.
func (h handler) send(ctx context.Context, r receiver.Receiver) error {
	credential, err := h.secrets.OfReceiver(ctx, r)
	if err != nil {
		return err
	}
	now := h.now().UTC()
	e := event.Event{
		ID: "test" + id.New(), Type: event.RunSucceeded, Org: r.Org, Time: now, SchemaVersion: event.SchemaVersion,
		Run:     &event.Run{ID: "test", Type: "test", Trigger: "api", Actor: openapi.PrincipalOf(ctx).Name, Status: "Succeeded", StartedAt: now, EndedAt: now},
		Outcome: &event.Outcome{Failures: []event.Failure{}},
	}
	m := receiver.Message{Mood: receiver.Good, Title: "This is a test of Swell's receiver " + r.Name, Facts: []receiver.Fact{{Name: "Organization", Value: r.Org}, {Name: "Sent by", Value: e.Run.Actor}}}
	return h.senders.Send(ctx, notify.Delivery{Receiver: r, Credential: credential, Event: e, Message: m, At: now})
}
