//go:build stack

package callback_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"github.com/swell-sh/swell/shared/callback"
	"github.com/swell-sh/swell/shared/config"
	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/dynamotest"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/workflow"
)

// tasks counts who was woken how often.
type tasks struct {
	mu    sync.Mutex
	woken map[string]int
	fails func() bool
}

func (t *tasks) Wake(_ context.Context, token string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fails != nil && t.fails() {
		return errors.New("no answer from Step Functions")
	}
	t.woken[token]++
	return nil
}

func (*tasks) Heartbeat(context.Context, string) (bool, error) { return true, nil }

func newStore(t *testing.T) *dynamo.Store {
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
	return dynamo.New(client, table, time.Now)
}

func keyOf(i int) release.Key {
	return release.Key{Org: "o", ClusterID: fmt.Sprintf("c%d", i%10), Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}
}

// begin is what CheckRelease does before the task waits.
func begin(t *testing.T, s *dynamo.Store, key release.Key) relay.Object {
	t.Helper()
	web := relay.Object{Kind: "Deployment", Namespace: key.Namespace, Name: "web", UID: key.Name, Generation: 2}
	if err := s.PutWait(t.Context(), watch.Wait{Key: key, Run: "r", Objects: []relay.Object{web}, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return web
}

// report records as the webhook does, and then looks who waits.
func report(ctx context.Context, s *dynamo.Store, a callback.Answerer, key release.Key, r relay.Report) error {
	for {
		w, err := s.FindWatch(ctx, key)
		if err != nil {
			return err
		}
		if news, _ := w.Take([]relay.Report{r}, time.Now()); news {
			if kept, err := s.PutWatch(ctx, w); err != nil {
				return err
			} else if !kept {
				continue
			}
		}
		return a.Reported(ctx, w)
	}
}

// A thousand times a report and the task that waits for it meet in any order, the report two times at once: each task is woken, and once.
func TestNoReportIsLostAndNoneCountsTwice(t *testing.T) {
	s, woken := newStore(t), &tasks{woken: map[string]int{}}
	a := callback.Answerer{Store: s, Tasks: woken, Now: time.Now}
	const races = 1000
	var all errgroup.Group
	all.SetLimit(16)
	for i := range races {
		key, token := keyOf(i), workflow.TaskToken(fmt.Sprint("token-", i))
		web := begin(t, s, key)
		r := relay.Report{ID: "f", Namespace: key.Namespace, Release: key.Name, Object: web, State: relay.Complete, SeenAt: time.Now()}
		all.Go(func() error {
			var race errgroup.Group
			for _, do := range []func() error{
				func() error { return a.Await(t.Context(), key, "r", token) },
				func() error { return report(t.Context(), s, a, key, r) },
				func() error { return report(t.Context(), s, a, key, r) },
			} {
				wait := time.Duration(rand.IntN(4)) * time.Millisecond
				race.Go(func() error { time.Sleep(wait); return do() })
			}
			return race.Wait()
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range races {
		if n := woken.woken[fmt.Sprint("token-", i)]; n != 1 {
			t.Errorf("task %d was woken %d times", i, n)
		}
	}
}

// Whoever dies between the record and the answer, or gets none from Step Functions, leaves what the next one finishes.
func TestWhatWasNotAnsweredIsAnsweredByTheNext(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	now := time.Now()
	key, broken := keyOf(1), true
	woken := &tasks{woken: map[string]int{}, fails: func() bool { return broken }}
	a := callback.Answerer{Store: s, Tasks: woken, Now: func() time.Time { return now }}
	r := relay.Report{ID: "f", Namespace: key.Namespace, Release: key.Name, Object: begin(t, s, key), State: relay.Failed, SeenAt: now}
	if err := a.Await(ctx, key, "r", "token"); err != nil {
		t.Fatal(err)
	}
	if err := report(ctx, s, a, key, r); err == nil {
		t.Fatal("an answer that was not given is a success")
	}
	broken = false
	if err := report(ctx, s, a, key, r); err != nil || woken.woken["token"] != 1 { // the relay sends it again
		t.Fatalf("woken %v, %v", woken.woken, err)
	}
	// A new task of the same run, whose answer nobody gave: the relay's next heartbeat finds it. CheckRelease does not wait for what was said already.
	if err := s.PutWait(ctx, watch.Wait{Key: key, Run: "r", Objects: []relay.Object{{Kind: "Job", UID: "other"}}, Until: now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if err := a.Await(ctx, key, "r", "second"); err != nil {
		t.Fatal(err)
	}
	heard := func() {
		t.Helper()
		waits, err := s.ListWaits(ctx, key.Org, key.ClusterID)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range waits {
			if err := a.Heard(ctx, w); err != nil {
				t.Fatal(err)
			}
		}
	}
	if heard(); woken.woken["second"] != 0 {
		t.Error("it goes on before its time")
	}
	if now = now.Add(2 * time.Minute); woken.woken["second"] == 0 {
		heard()
		heard()
	}
	if woken.woken["second"] != 1 {
		t.Errorf("at its deadline it was woken %d times", woken.woken["second"])
	}
	if err := a.Await(ctx, key, "another run", "third"); err != nil || woken.woken["third"] != 1 {
		t.Errorf("a run that has the release no more waits for ever: %v, %v", woken.woken, err)
	}
	if learned, err := s.FindTarget(ctx, key.Org, "r", key.ClusterID); err == nil {
		t.Errorf("a target was made: %v", learned.LearnedBy == run.LearnedByRelay)
	}
}
