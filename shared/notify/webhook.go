package notify

import (
	"context"
	"errors"
	"net/http"

	"github.com/swell-sh/swell/shared/webhook"
)

// Webhook sends the event itself, signed the way of Standard Webhooks. The delivery's id is the event's: who gets it twice knows by it.
type Webhook struct{ Client *http.Client }

// Send implements Sender.
func (s Webhook) Send(ctx context.Context, d Delivery) error {
	key, err := webhook.ParseKey(d.Credential.Key)
	if err != nil {
		return errors.New("its secret cannot be read")
	}
	return post(ctx, s.Client, d.Credential.URL, d.Event, func(header http.Header, body []byte) error {
		webhook.Sign(header, webhook.Message{ID: d.Event.ID, At: d.At}, body, key)
		return nil
	})
}
