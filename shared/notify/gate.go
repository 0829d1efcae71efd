package notify

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/webhook"
)

// Question asks a receiver whether a roll-out may go on after a wave. The answer goes to Callback, signed with the same key.
type Question struct {
	Type       string    `json:"type"`
	ID         string    `json:"id"` // the same whenever it is asked again
	At         time.Time `json:"time"`
	Org        string    `json:"org"`
	Run        string    `json:"run"`
	Deployment string    `json:"deployment"` // the release's name
	Generation int       `json:"generation"`
	PlanHash   string    `json:"planHash"`
	Wave       string    `json:"wave"`
	Targets    []string  `json:"targets"` // the wave's clusters, by name
	Until      time.Time `json:"until"`   // without an answer the gate fails then
	Callback   string    `json:"callback"`
}

// Asker puts questions; URLs are reached through the policy.
func Asker(p netguard.Policy) Webhook { return Webhook{Client: p.HTTPClient(timeout)} }

// Ask sends a question, signed the way of Standard Webhooks.
func (s Webhook) Ask(ctx context.Context, c receiver.Credential, q Question) error {
	key, err := webhook.ParseKey(c.Key)
	if err != nil {
		return errors.New("its secret cannot be read")
	}
	return post(ctx, s.Client, c.URL, q, func(header http.Header, body []byte) error {
		webhook.Sign(header, webhook.Message{ID: q.ID, At: q.At}, body, key)
		return nil
	})
}
