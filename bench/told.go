package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/webhook"
)

const (
	receivers     = 2 // functions at once; on AWS it is one a delivery
	receiveMemory = 0.25
	asksForLook   = "AmazonSQS.SendMessage"
)

// checkTold is P12 with relays: somebody changed an object of each release, and every relay says so.
func (e *estate) checkTold(ctx context.Context) error {
	const releases = estateClusters * estateReleases
	if err := e.touch(ctx); err != nil {
		return err
	}
	m, err := newMeter(ctx, *e.scene.cfg.BaseEndpoint)
	if err != nil {
		return err
	}
	defer m.close()
	looks, err := openLooks(ctx, e.scene)
	if err != nil {
		return err
	}
	defer looks.close(ctx)
	environment := append(e.scene.environment(), "AWS_ENDPOINT_URL="+m.url, "CHECKS_QUEUE_URL="+looks.url)
	took, err := e.tellAndLook(ctx, environment, m, looks)
	if err != nil {
		return err
	}
	if err := e.judgeTold(ctx); err != nil {
		return err
	}
	e.add("P12-relay-seconds", "s", seconds(took), "until each of %d releases on %d clusters is known to differ, after the relays told at once that somebody changed an object of each: %d functions take their reports, %d look, round trip %s",
		releases, estateClusters, receivers, checkers, roundTrip).atMost(60)
	e.add("P12-relay-looks", "looks", float64(m.count(asksForLook)), "at a cluster, for the %d reports of that", releases).atMost(estateClusters)
	bill := m.bill() + (checkMemory*e.due.Seconds()+receiveMemory*e.receiving.Seconds())*priceGBSecond + estateClusters*(2*priceInvocation+priceSQS+priceRequest)
	e.add("P12-relay-bill", "$", bill*1000/releases, "price of 1,000 such releases told and found, by the list prices of us-east-1: no state transition")
	return nil
}

// touch changes an object of each release as a person would, and gives every cluster's relay a key.
func (e *estate) touch(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(8)
	for i, c := range e.clusters {
		for n := range estateReleases {
			object := e.servers[i].Get("configmaps", estateNamespace, releaseName(n)+"-00")
			if object == nil {
				return fmt.Errorf("cluster %s has no object of release %s", c.Name, releaseName(n))
			}
			object["data"] = map[string]any{"text": "by hand"}
			e.servers[i].Put(object)
		}
		name := relay.KeysName(org, c.ID)
		e.scene.secrets = append(e.scene.secrets, name)
		tasks.Go(func() error { return e.scene.keep.Put(ctx, name, relay.FormatKeys(relayKey, webhook.Key{})) })
	}
	return tasks.Wait()
}

// tellAndLook has every relay tell, and every look made that is asked for.
func (e *estate) tellAndLook(ctx context.Context, environment []string, m *meter, looks *looks) (time.Duration, error) {
	all, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	told := make(chan struct{})
	all.Go(func() error {
		defer close(told)
		return e.tell(ctx, environment)
	})
	bodies := make(chan string)
	all.Go(func() error {
		defer close(bodies)
		for n := 0; ; {
			select {
			case <-told:
				if n == m.count(asksForLook) {
					return nil
				}
			default:
			}
			asked, err := looks.receive(ctx)
			if err != nil {
				return err
			}
			for _, body := range asked {
				n++
				select {
				case bodies <- body:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	})
	all.Go(func() error { return e.look(ctx, environment, checkers, bodies) })
	err := all.Wait()
	return time.Since(began), err
}

// tell delivers what each relay saw, once.
func (e *estate) tell(ctx context.Context, environment []string) error {
	path, err := e.bootstrap("receive-webhook")
	if err != nil {
		return err
	}
	var requests []events.APIGatewayV2HTTPRequest
	for i, c := range e.clusters {
		d := relaytest.Delivery()
		for n := range estateReleases {
			object := e.servers[i].Get("configmaps", estateNamespace, releaseName(n)+"-00")
			uid, _ := object["metadata"].(map[string]any)["uid"].(string)
			d.Reports = append(d.Reports, relay.Report{
				ID: c.ID + releaseName(n), Namespace: estateNamespace, Release: releaseName(n), State: relay.Changed, SeenAt: time.Now().UTC(),
				Object: relay.Object{Kind: "ConfigMap", Namespace: estateNamespace, Name: releaseName(n) + "-00", UID: uid},
			})
		}
		request, err := signed(c.ID, c.ID, d)
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	work := make(chan events.APIGatewayV2HTTPRequest, len(requests))
	for _, r := range requests {
		work <- r
	}
	close(work)
	var mu sync.Mutex
	return serve(ctx, path, environment, receivers, work, func(w *worker, r events.APIGatewayV2HTTPRequest) error {
		start := time.Now()
		err := w.deliver(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		e.receiving += time.Since(start)
		return err
	})
}

// judgeTold refuses figures of looks that did not find what was changed.
func (e *estate) judgeTold(ctx context.Context) error {
	for _, c := range e.clusters {
		var keys []release.Key
		for n := range estateReleases {
			keys = append(keys, release.Key{Org: org, ClusterID: c.ID, Namespace: estateNamespace, Name: releaseName(n)})
		}
		found, err := e.scene.store.FindReleases(ctx, keys)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if n := found[key].DriftedObjects(); n != 1 {
				return fmt.Errorf("release %s of cluster %s is known to differ in %d objects, want 1", key.Name, c.Name, n)
			}
		}
	}
	return nil
}

// looks is the queue of the looks that are asked for.
type looks struct {
	api *sqs.Client
	url string
}

func openLooks(ctx context.Context, s *scene) (*looks, error) {
	l := &looks{api: sqs.NewFromConfig(s.cfg)}
	made, err := l.api.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &s.name, Attributes: map[string]string{"VisibilityTimeout": "900"}})
	if err != nil {
		return nil, fmt.Errorf("creating queue %s: %w", s.name, err)
	}
	l.url = aws.ToString(made.QueueUrl)
	return l, nil
}

func (l *looks) receive(ctx context.Context) (bodies []string, err error) {
	got, err := l.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &l.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return nil, fmt.Errorf("receiving looks: %w", err)
	}
	for _, m := range got.Messages {
		bodies = append(bodies, aws.ToString(m.Body))
	}
	return bodies, nil
}

func (l *looks) close(ctx context.Context) {
	_, _ = l.api.DeleteQueue(context.WithoutCancel(ctx), &sqs.DeleteQueueInput{QueueUrl: &l.url})
}
