package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/kubetest"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
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
	body, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	const warm = 20
	for n := range warm + apiRequests {
		header := http.Header{}
		webhook.Sign(header, webhook.Message{ID: fmt.Sprint(n), At: time.Now()}, body, relayKey)
		e := events.APIGatewayV2HTTPRequest{RawPath: "/hooks/v1/orgs/" + org + "/clusters/c/reports", Headers: map[string]string{"content-type": "application/json"}, Body: string(body)}
		for name := range header {
			e.Headers[strings.ToLower(name)] = header.Get(name)
		}
		e.RequestContext.HTTP.Method = http.MethodPost
		t.mu.Lock()
		t.spent = 0
		t.mu.Unlock()
		began := time.Now()
		if err := w.invoke(ctx, e, time.Minute); err != nil {
			return nil, err
		}
		took := time.Since(began)
		var answer events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(w.said, &answer); err != nil || answer.StatusCode != http.StatusAccepted {
			return nil, fmt.Errorf("the function answered %d %s: %w", answer.StatusCode, answer.Body, err)
		}
		t.mu.Lock()
		if n >= warm {
			times = append(times, took-t.spent)
		}
		t.mu.Unlock()
	}
	return times, nil
}

// rollingFor is how long a workload of the bench takes to be ready: so long that a poll has become seldom.
const rollingFor = 40 * time.Second

// learning is how long after a workload runs its run has ended, and what that costs, with a relay and without.
func (b *bench) learning(ctx context.Context) error {
	running := maps.Clone(workload)
	running["templates/deployment.yaml"] = strings.Replace(running["templates/deployment.yaml"], "replicas: 0", "replicas: 1", 1)
	archive, err := configMaps("1.0.0", 0, 10, running)
	if err != nil {
		return err
	}
	f, err := b.newFleet(ctx, 1, archive)
	if f != nil {
		defer f.close(ctx)
	}
	if err != nil {
		return err
	}
	if err := f.grow(ctx, 1); err != nil {
		return err
	}
	if _, err := f.deploy(ctx); err != nil {
		return err
	}
	cfg, err := config.AWS(ctx)
	if err != nil {
		return err
	}
	s := relaytest.Sender{URL: f.api.URL + "/hooks/v1/orgs/default/clusters/" + f.ids[0] + "/reports", Keys: []webhook.Key{relayKey}}
	for _, by := range []run.LearnedBy{run.LearnedByPoll, run.LearnedByRelay} {
		if by == run.LearnedByRelay {
			if err := secrets.Open(cfg).Put(ctx, relay.KeysName("default", f.ids[0]), relay.FormatKeys(relayKey, webhook.Key{})); err != nil {
				return err
			}
			if status, err := s.Send(ctx, relaytest.Delivery()); err != nil || status != http.StatusAccepted {
				return fmt.Errorf("a heartbeat is answered %d: %w", status, err)
			}
		}
		ended, id, err := f.roll(ctx, by == run.LearnedByRelay, s)
		if err != nil {
			return err
		}
		b.add("P11-ended-"+string(by), "s", ended.Seconds(), "from when the workload of an upgrade runs, %s after it began, to the end of the run (learned by %s)", rollingFor, by)
		h := histories{client: sfn.NewFromConfig(cfg)}
		if err := h.addRun(ctx, id); err != nil {
			return err
		}
		b.add("P11-transitions-"+string(by), "transitions", float64(h.transitions), "of that run, retries included")
	}
	return nil
}

// roll upgrades with a workload that runs after rollingFor, and returns how long after that the run ended.
func (f *fleet) roll(ctx context.Context, tell bool, s relaytest.Sender) (took time.Duration, id string, err error) {
	f.servers[0].SetReady(false)
	defer f.servers[0].SetReady(true)
	done := make(chan error, 1)
	var details openapi.RunDetails
	go func() {
		var err error
		details, err = f.deploy(ctx)
		done <- err
	}()
	select {
	case <-time.After(rollingFor):
	case err := <-done:
		return 0, "", fmt.Errorf("the run did not wait for its workload: %w", err)
	}
	finished := time.Now()
	reports := settled(f.servers[0], f.name)
	if tell {
		if status, err := s.Send(ctx, relaytest.Delivery(reports...)); err != nil || status != http.StatusAccepted {
			return 0, "", fmt.Errorf("a report is answered %d: %w", status, err)
		}
	}
	err = <-done
	return details.EndedAt.Sub(finished), details.ID, err
}

// settled has the controllers of a cluster's Deployments say that they run, and returns what a relay reports of it.
func settled(server *kubetest.Server, name string) (reports []relay.Report) {
	for _, o := range server.Objects("deployments") {
		meta, spec := o["metadata"].(map[string]any), o["spec"].(map[string]any)
		n := spec["replicas"]
		o["status"] = map[string]any{
			"observedGeneration": meta["generation"], "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n,
			"conditions": []any{map[string]any{"type": "Available", "status": "True"}, map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}},
		}
		server.Put(o)
		generation, _ := meta["generation"].(int64)
		namespace, uid := fmt.Sprint(meta["namespace"]), fmt.Sprint(meta["uid"])
		reports = append(reports, relay.Report{
			ID: fmt.Sprintf("%s-%d", uid, generation), Namespace: namespace, Release: name, State: relay.Complete, SeenAt: time.Now(),
			Object: relay.Object{Kind: "Deployment", Namespace: namespace, Name: fmt.Sprint(meta["name"]), UID: uid, Generation: generation},
		})
	}
	return reports
}
