package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/workflow"
)

const (
	leasedAgain = 30 * time.Second // somebody else is at work on the same relay
	settleFirst = 10 * time.Second // its pod has started by then, on a good day
	settleAgain = time.Minute
	settleTries = 20 // a relay that is not heard for so many minutes keeps its old key, and says so
)

type store interface {
	FindCluster(ctx context.Context, org, id string) (cluster.Cluster, error)
	SetRelaySetup(ctx context.Context, org, id string, r cluster.RelaySetup) error
	LeaseRelay(ctx context.Context, org, id, holder string, now, until time.Time) (ours bool, err error)
	FreeRelay(ctx context.Context, org, id, holder string) error
}

type keeper interface {
	GetNow(ctx context.Context, name string) (secrets.Secret, error)
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
}

type orders interface {
	SendLater(ctx context.Context, body any, wait time.Duration) error
}

type handler struct {
	store    store
	secrets  keeper
	orders   orders
	chart    func() ([]byte, error)
	clusters kube.Opener
	endpoint string // of Swell's HTTP API
	image    string // of the relay, repository:tag or repository@digest; empty: the chart's own
	logs     bool   // whether the relay tells what a container that crashed wrote
	log      *slog.Logger
	now      func() time.Time
}

// handle carries out orders. One that fails because the cluster does not answer is tried again, and then lies in the dead-letter queue.
func (h handler) handle(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // null is not taken for none everywhere
	for _, m := range in.Records {
		var order workflow.RelayOrder
		err := json.Unmarshal([]byte(m.Body), &order)
		if err == nil {
			err = h.carryOut(ctx, order)
		}
		if err != nil {
			h.log.ErrorContext(ctx, "carrying out an order for a relay", "message", m.MessageId, "cluster", order.Cluster, "do", order.Do, "error", err.Error())
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// carryOut does one order under the lease of the cluster's relay, so that two never write its release at once.
func (h handler) carryOut(ctx context.Context, order workflow.RelayOrder) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("carrying out an order: the function has no deadline, so its lease has no end")
	}
	until, holder := release.LeaseEnd(deadline), id.New()
	ours, err := h.store.LeaseRelay(ctx, order.Org, order.Cluster, holder, h.now(), until)
	if err != nil {
		return fmt.Errorf("leasing the relay of cluster %s: %w", order.Cluster, err)
	}
	if !ours {
		return h.orders.SendLater(ctx, order, leasedAgain)
	}
	defer func() {
		if err := h.store.FreeRelay(context.WithoutCancel(ctx), order.Org, order.Cluster, holder); err != nil {
			h.log.ErrorContext(ctx, "freeing a lease; it ends by itself", "cluster", order.Cluster, "until", until, "error", err.Error())
		}
	}()
	c, err := h.store.FindCluster(ctx, order.Org, order.Cluster)
	if problem.Is(err, "cluster-not-found") {
		return h.dropKeys(ctx, order.Org, order.Cluster) // it was forgotten meanwhile
	}
	if err != nil {
		return fmt.Errorf("finding cluster %s: %w", order.Cluster, err)
	}
	work := visit{handler: h, cluster: c, until: until}
	switch order.Do {
	case workflow.RelayInstall, workflow.RelayRotate:
		return work.install(ctx, order.Do == workflow.RelayRotate)
	case workflow.RelaySettle:
		return work.settle(ctx, order)
	case workflow.RelayRemove:
		return work.remove(ctx)
	}
	return fmt.Errorf("carrying out an order: nobody knows what %q is", order.Do)
}
