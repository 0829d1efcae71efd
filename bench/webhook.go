package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/webhook"
)

var relayKey = webhook.KeyOf([]byte("the key of the bench's own relay"))

// webhooks is P11: what it takes to take a relay's report, and what a run has of it.
func (b *bench) webhooks(ctx context.Context) error {
	if err := b.verification(); err != nil {
		return err
	}
	if err := b.webhookTime(ctx); err != nil {
		return err
	}
	return b.learning(ctx)
}

func (b *bench) verification() error {
	const size, times = 1 << 20, 200
	body, header, now := make([]byte, size), http.Header{}, time.Now()
	webhook.Sign(header, webhook.Message{ID: "bench", At: now}, body, relayKey)
	began := time.Now()
	for range times {
		if _, err := webhook.Verify(header, body, now, relayKey); err != nil {
			return err
		}
	}
	slowness := time.Since(began).Seconds() * 1e6 / (size * times) // seconds for a MB
	b.add("P11-verify", "s/GB", slowness*1000, "to verify the signature over bodies of 1 MiB: %.0f MB/s", 1/slowness).atMost(10)
	return nil
}

// webhookTime is what the function adds to its round trips, with a report that is news and the last word on what a task waits for.
func (b *bench) webhookTime(ctx context.Context) error {
	s, err := b.newScene(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	key := release.Key{Org: org, ClusterID: "c", Namespace: "shop", Name: "web"}
	web := relay.Object{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u", Generation: 2}
	s.secrets = append(s.secrets, relay.KeysName(org, "c"))
	err = errors.Join(s.keep.Put(ctx, relay.KeysName(org, "c"), relay.FormatKeys(relayKey, webhook.Key{})),
		s.store.ClaimRelease(ctx, key, release.OwnedByDeployment("d")),
		s.store.PutWait(ctx, watch.Wait{Key: key, Run: "r", Until: time.Now().Add(time.Hour), Objects: []relay.Object{web, {Kind: "Job", UID: "other"}}}))
	if err != nil {
		return err
	}
	table, err := newSlowTable(ctx, *s.cfg.BaseEndpoint)
	if err != nil {
		return err
	}
	defer table.close()
	path, err := b.bootstrap("receive-webhook")
	if err != nil {
		return err
	}
	w, err := startWorker(ctx, path, append(s.environment(), "AWS_ENDPOINT_URL="+table.url))
	if err != nil {
		return err
	}
	defer w.kill()
	report := relay.Report{ID: "fact", Namespace: "shop", Release: "web", Object: web, State: relay.Complete, SeenAt: time.Now()}
	times, err := table.deliver(ctx, w, relay.Delivery{Relay: "bench", Reports: []relay.Report{report}})
	if err != nil {
		return err
	}
	slices.Sort(times)
	b.add("P11-handler", "ms", milliseconds(times[len(times)/2]), "added by the warm function receive-webhook to its round trips (%s each) by a signed report that is news, p50 of %d", tableTakes, len(times)).atMost(10)
	b.add("P11-handler-p99", "ms", milliseconds(times[len(times)*99/100]), "the same, p99").atMost(10)
	var cold []time.Duration
	for range coldRounds {
		took, err := coldStart(ctx, path)
		if err != nil {
			return err
		}
		cold = append(cold, took)
	}
	b.add("P11-cold", "ms", milliseconds(median(cold)), "receive-webhook: exec to its first call for work, p50 of %d", coldRounds).atMost(60)
	return nil
}

// deliver sends the delivery again and again: what each takes beside the table's time.
func (t *slowTable) deliver(ctx context.Context, w *worker, d relay.Delivery) (times []time.Duration, err error) {
	const warm = 20
	for n := range warm + apiRequests {
		request, err := signed("c", fmt.Sprint(n), d)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		t.spent = 0
		t.mu.Unlock()
		began := time.Now()
		if err := w.deliver(ctx, request); err != nil {
			return nil, err
		}
		took := time.Since(began)
		t.mu.Lock()
		if n >= warm {
			times = append(times, took-t.spent)
		}
		t.mu.Unlock()
	}
	return times, nil
}

// signed is the event that the delivery of a cluster's relay is to the function.
func signed(clusterID, id string, d relay.Delivery) (events.APIGatewayV2HTTPRequest, error) {
	body, err := json.Marshal(d)
	header := http.Header{}
	webhook.Sign(header, webhook.Message{ID: id, At: time.Now()}, body, relayKey)
	e := events.APIGatewayV2HTTPRequest{RawPath: "/hooks/v1/orgs/" + org + "/clusters/" + clusterID + "/reports", Headers: map[string]string{"content-type": "application/json"}, Body: string(body)}
	for name := range header {
		e.Headers[strings.ToLower(name)] = header.Get(name)
	}
	e.RequestContext.HTTP.Method = http.MethodPost
	return e, err
}

func (w *worker) deliver(ctx context.Context, request events.APIGatewayV2HTTPRequest) error {
	if err := w.invoke(ctx, request, time.Minute); err != nil {
		return err
	}
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(w.said, &answer); err != nil || answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the function answered %d %s: %w", answer.StatusCode, answer.Body, err)
	}
	return nil
}
