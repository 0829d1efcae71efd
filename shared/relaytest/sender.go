// Package relaytest sends what a relay sends, for tests and benchmarks that need no cluster to be watched.
package relaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/webhook"
)

// Sender is a relay that reports what it is told to.
type Sender struct {
	URL  string // …/hooks/v1/orgs/{org}/clusters/{cluster}/reports
	Keys []webhook.Key
}

// Delivery is what a relay says in a heartbeat, with these reports.
func Delivery(reports ...relay.Report) relay.Delivery {
	return relay.Delivery{
		Relay: "0.0.0-test", SentAt: time.Now().UTC(), Reports: reports, Watching: 1,
		Cluster: &relay.Cluster{Version: "v1.36.3", Nodes: 3, ReadyNodes: 3, MilliCPU: 12_000, MemoryBytes: 48 << 30, Pods: 330},
	}
}

// Send sends a delivery once, signed now, and returns the answer's status.
func (s Sender) Send(ctx context.Context, d relay.Delivery) (status int, err error) {
	body, err := json.Marshal(d)
	if err != nil {
		return 0, fmt.Errorf("writing a delivery: %w", err)
	}
	r, err := Request(ctx, s.URL, body, time.Now(), s.Keys...)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, fmt.Errorf("sending a delivery: %w", err)
	}
	return answer.StatusCode, answer.Body.Close()
}

// Request is a signed request.
func Request(ctx context.Context, url string, body []byte, at time.Time, keys ...webhook.Key) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a delivery: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	webhook.Sign(r.Header, webhook.Message{ID: id.New(), At: at}, body, keys...)
	return r, nil
}
