//go:build stack

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/dynamotest"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi/server/receivewebhook"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/watch"
)

// throttle refuses some of the calls, as a table does that has too much to do.
type throttle struct {
	dynamo.API
	percent int
	refused atomic.Int64
}

func (t *throttle) refuses() error {
	if rand.IntN(100) >= t.percent {
		return nil
	}
	t.refused.Add(1)
	return &types.ProvisionedThroughputExceededException{}
}

func (t *throttle) GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if err := t.refuses(); err != nil {
		return nil, err
	}
	return t.API.GetItem(ctx, in, opts...)
}

func (t *throttle) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	if err := t.refuses(); err != nil {
		return nil, err
	}
	return t.API.BatchGetItem(ctx, in, opts...)
}

func (t *throttle) PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if err := t.refuses(); err != nil {
		return nil, err
	}
	return t.API.PutItem(ctx, in, opts...)
}

func (t *throttle) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if err := t.refuses(); err != nil {
		return nil, err
	}
	return t.API.UpdateItem(ctx, in, opts...)
}

// onATable is the scene with a real table in place of the store in memory: a release on a cluster, and a task that waits for its two workloads.
func onATable(t *testing.T, percent int) (*memory, *dynamo.Store, *throttle) {
	t.Helper()
	cfg, err := config.AWS(t.Context())
	if err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	client, table := dynamodb.NewFromConfig(cfg), "swell-test-"+id.New()
	if err := dynamotest.CreateTable(t.Context(), client, table); err != nil {
		t.Fatalf("this test needs the local AWS, which `make test` starts: %v", err)
	}
	t.Cleanup(func() {
		_, _ = client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
	})
	m, refuses := scene(), &throttle{API: client, percent: percent}
	store := dynamo.New(client, table, time.Now)
	waits := watch.Wait{Key: web, Run: "r", Until: time.Now().Add(time.Hour)}
	for _, name := range []string{"web", "db"} {
		waits.Objects = append(waits.Objects, about(name, 2, relay.Complete, 0).Object)
	}
	if err := store.ClaimRelease(t.Context(), web, release.OwnedByDeployment("d")); err != nil {
		t.Fatal(err)
	}
	if err := store.PutWait(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := store.SetToken(t.Context(), web, "r", "token"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	return m, dynamo.New(refuses, table, time.Now), refuses
}

// about is a report of one of the release's workloads.
func about(name string, generation int64, state relay.State, milliseconds int) relay.Report {
	return relay.Report{
		ID: fmt.Sprint(name, generation, state, milliseconds), Namespace: "shop", Release: "web", State: state, SeenAt: time.Now().Add(-time.Hour + time.Duration(milliseconds)*time.Millisecond).Truncate(time.Millisecond),
		Object: relay.Object{Kind: "Deployment", Namespace: "shop", Name: name, UID: name, Generation: generation},
	}
}

func (m *memory) over(store *dynamo.Store) http.Handler {
	return receivewebhook.New(handler{
		store: store, keys: newKeyring(m, m, time.Now), heard: newHeard(), checks: m, now: time.Now, log: slog.New(slog.DiscardHandler),
		answers: callback.Answerer{Store: store, Tasks: m, Now: time.Now},
	})
}

// deliveries are the story of two workloads over two generations, told n times in any order.
func deliveries(t *testing.T, n int) [][]byte {
	t.Helper()
	story := [][]relay.Report{
		{about("web", 1, relay.Complete, 1), about("db", 1, relay.Complete, 2)}, {about("web", 2, relay.Progressing, 3)}, {about("db", 2, relay.Progressing, 4)},
		{about("web", 2, relay.Complete, 5)}, {about("db", 2, relay.Complete, 6)}, {about("web", 3, relay.Changed, 7)},
	}
	var all [][]byte
	for i := range n {
		raw, err := json.Marshal(relaytest.Delivery(story[i%len(story)]...))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// tell sends until each is taken, so many at once; what is refused for now is sent again, as a relay does.
func tell(t *testing.T, h http.Handler, all [][]byte, atOnce int) (again int64) {
	t.Helper()
	var refused atomic.Int64
	var tasks errgroup.Group
	tasks.SetLimit(atOnce)
	for _, body := range all {
		tasks.Go(func() error {
			for {
				switch w := send(t, h, reportsURL, body, time.Now(), first); w.Code {
				case http.StatusAccepted:
					return nil
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					return fmt.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	if err := tasks.Wait(); err != nil {
		t.Fatal(err)
	}
	return refused.Load()
}

// wantOneAnswer allows more than one only to those who came after the claim of one that could not be recorded was over: a machine goes on once all the same.
func wantOneAnswer(t *testing.T, m *memory, store *dynamo.Store, most int) {
	t.Helper()
	if n := len(m.woken); n < 1 || n > most {
		t.Errorf("the task was answered %d times, want at most %d", n, most)
	}
	if len(m.sent) > 3 { // told many times before it is recorded, it may be looked at again: ten seconds apart
		t.Errorf("one change by hand had the cluster looked at %d times", len(m.sent))
	}
	w, err := store.FindWatch(t.Context(), web)
	if err != nil || len(w.Objects) != 2 {
		t.Fatalf("%+v, %v", w, err)
	}
	for _, o := range w.Objects {
		if o.Progress.State != relay.Complete || o.Generation != 2 {
			t.Errorf("of %s is left %s at generation %d", o.Name, o.Progress.State, o.Generation)
		}
	}
}

func TestAThousandDeliveriesAreOneAnswer(t *testing.T) {
	m, store, _ := onATable(t, 0)
	again := tell(t, m.over(store), deliveries(t, 1000), 100)
	t.Logf("1,000 deliveries, 100 at once: %d were told to come again", again)
	wantOneAnswer(t, m, store, 1)
}

func TestAThrottledTableLosesNothing(t *testing.T) {
	m, store, refuses := onATable(t, 30)
	began := time.Now()
	again := tell(t, m.over(store), deliveries(t, 300), 20)
	t.Logf("of 300 deliveries with 30%% of the calls refused (%d) %d were told to come again", refuses.refused.Load(), again)
	if refuses.percent = 0; again == 0 {
		t.Error("nothing was refused")
	}
	wantOneAnswer(t, m, store, 1+int(time.Since(began)/(10*time.Second)))
}
