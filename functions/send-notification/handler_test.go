package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// world is the table, the secrets, the queue and the receivers, in memory.
type world struct {
	mu        sync.Mutex
	receivers []receiver.Receiver
	claims    map[string]bool // whether it was sent
	until     map[string]time.Time
	queued    []message
	told      []string // receiver and event
	off       []time.Duration
	fails     map[string]error // by receiver
	lost      error            // of the table
	slow      chan struct{}    // what the receiver "slow" waits for
}

func newWorld(names ...string) *world {
	w := &world{claims: map[string]bool{}, until: map[string]time.Time{}, fails: map[string]error{}}
	for _, name := range names {
		w.receivers = append(w.receivers, receiver.Receiver{Org: "acme", Name: name, Kind: receiver.Slack, Events: []string{"run.*"}})
	}
	return w
}

func (w *world) handler() handler {
	return handler{store: w, secrets: w, queue: queueOf{w}, consumed: w, senders: sendersOf{w}, log: slog.New(slog.DiscardHandler), now: func() time.Time { return noon }}
}

// ListReceivers pages by one.
func (w *world) ListReceivers(_ context.Context, _ string, page dynamo.Page) ([]receiver.Receiver, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.receivers {
		if r.Name > page.Cursor {
			next := ""
			if i+1 < len(w.receivers) {
				next = r.Name
			}
			return []receiver.Receiver{r}, next, w.lost
		}
	}
	return nil, "", w.lost
}

func (w *world) FindReceiver(_ context.Context, _, name string) (receiver.Receiver, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.receivers, func(r receiver.Receiver) bool { return r.Name == name })
	if i < 0 {
		return receiver.Receiver{}, problem.NotFound("receiver-not-found", "none")
	}
	return w.receivers[i], w.lost
}

func (w *world) SetReceiverState(_ context.Context, r receiver.Receiver, state receiver.State) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.receivers, func(other receiver.Receiver) bool { return r.Name == other.Name })
	w.receivers[i].State = state
	return nil
}

func (w *world) ClaimNotification(_ context.Context, _, eventID, name string, until time.Time) (ours, sent bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := name + " " + eventID
	if sent, held := w.claims[k]; held && (sent || !w.until[k].Before(noon)) {
		return false, sent, nil
	}
	w.claims[k], w.until[k] = false, until
	return true, false, nil
}

func (w *world) SettleNotification(_ context.Context, _, eventID, name string, sent bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := name + " " + eventID
	delete(w.claims, k)
	if sent {
		w.claims[k] = true
	}
	return nil
}

func (w *world) OfReceiver(context.Context, receiver.Receiver) (receiver.Credential, error) {
	return receiver.Credential{}, nil
}

func (w *world) Later(_ context.Context, _ string, after time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = append(w.off, after)
	return nil
}

type queueOf struct{ *world }

func (w queueOf) Send(_ context.Context, body any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued = append(w.queued, body.(message))
	return nil
}

type sendersOf struct{ *world }

func (w sendersOf) Send(_ context.Context, d notify.Delivery) error {
	if d.Receiver.Name == "slow" {
		<-w.slow
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fails[d.Receiver.Name]; err != nil {
		return err
	}
	w.told = append(w.told, d.Receiver.Name+" "+d.Event.ID)
	return nil
}

func records(t *testing.T, messages ...any) (in events.SQSEvent) {
	t.Helper()
	for i, m := range messages {
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := m.(string); ok {
			raw = []byte(text)
		}
		in.Records = append(in.Records, events.SQSMessage{MessageId: fmt.Sprint(i), Body: string(raw), Attributes: map[string]string{"ApproximateReceiveCount": "2"}})
	}
	return in
}

func failed(id string) event.Event {
	return event.Event{ID: id, Type: event.RunFailed, Org: "acme", Run: &event.Run{ID: "r"}}
}

func handle(t *testing.T, w *world, messages ...any) (again []string) {
	t.Helper()
	out, err := w.handler().handle(t.Context(), records(t, messages...))
	if err != nil || out.BatchItemFailures == nil {
		t.Fatal(err, out)
	}
	for _, f := range out.BatchItemFailures {
		again = append(again, f.ItemIdentifier)
	}
	return again
}

func TestAnEventIsSpreadToThoseWhoWantIt(t *testing.T) {
	w := newWorld("a", "b", "c")
	w.receivers[1].Events = []string{"cluster.*"}
	if again := handle(t, w, map[string]any{"source": "swell", "detail-type": "run.failed", "detail": failed("e")}); again != nil {
		t.Errorf("%v come again", again)
	}
	if len(w.queued) != 2 || w.queued[0].Receiver != "a" || w.queued[1].Receiver != "c" || w.queued[1].Detail.ID != "e" || len(w.told) != 0 {
		t.Errorf("queued %+v, told %v", w.queued, w.told)
	}
}

// However often an event and its messages come, side by side too, each receiver is told once.
func TestEachIsToldOnce(t *testing.T) {
	w := newWorld("a", "b")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _ = handle(t, w, message{failed("e"), "a"}, message{failed("e"), "b"}) })
	}
	wg.Wait()
	slices.Sort(w.told)
	if !slices.Equal(w.told, []string{"a e", "b e"}) {
		t.Errorf("told %v", w.told)
	}
	if again := handle(t, w, message{failed("e"), "a"}); again != nil || len(w.told) != 2 {
		t.Errorf("%v come again, told %v", again, w.told)
	}
}

// One that fails is tried again, later, and is seen; the others of its batch are told.
func TestOneThatFailsIsAloneWithIt(t *testing.T) {
	w := newWorld("a", "b")
	w.fails["a"] = errors.New("it answered 500 Internal Server Error: ")
	if again := handle(t, w, message{failed("e"), "a"}, message{failed("e"), "b"}); !slices.Equal(again, []string{"0"}) {
		t.Errorf("%v come again", again)
	}
	a, b := w.receivers[0].State, w.receivers[1].State
	if !a.FailingSince.Equal(noon) || a.LastError == "" || !b.LastSentAt.Equal(noon) || !slices.Equal(w.told, []string{"b e"}) || !slices.Equal(w.off, []time.Duration{30 * time.Second}) {
		t.Errorf("a is %+v, b is %+v, told %v, put off %v", a, b, w.told, w.off)
	}
	w.fails = nil
	if again := handle(t, w, message{failed("e"), "a"}); again != nil || len(w.told) != 2 || !w.receivers[0].State.FailingSince.IsZero() {
		t.Errorf("once it is back: %v come again, told %v", again, w.told)
	}
}

func TestASlowOneIsWaitedForByNobody(t *testing.T) {
	w := newWorld("slow", "z")
	w.slow = make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = handle(t, w, message{failed("e"), "slow"}, message{failed("e"), "z"})
	}()
	for told := 0; told == 0; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		told = len(w.told)
		w.mu.Unlock()
	}
	close(w.slow)
	<-done
	if !slices.Equal(w.told, []string{"z e", "slow e"}) {
		t.Errorf("told %v", w.told)
	}
}

func TestWhatComesToNothing(t *testing.T) {
	w := newWorld("a")
	w.receivers[0].Events = []string{"cluster.*"} // since the message was sent
	if again := handle(t, w, message{failed("e"), "a"}, message{failed("e"), "gone"}); again != nil || len(w.told) != 0 {
		t.Errorf("%v come again, told %v", again, w.told)
	}
	if again := handle(t, w, "{", `{"detail": {}}`, `[]`); len(again) != 3 {
		t.Errorf("of three messages that cannot be read %v come again", again)
	}
	w.lost = errors.New("throttled")
	if again := handle(t, w, message{failed("e"), "a"}, message{Detail: failed("e")}); len(again) != 2 {
		t.Errorf("without the table %v come again", again)
	}
}

// A try that died in the middle holds the notification until it is surely dead.
func TestATryThatDied(t *testing.T) {
	w := newWorld("a")
	w.claims["a e"], w.until["a e"] = false, noon.Add(time.Second)
	if again := handle(t, w, message{failed("e"), "a"}); len(again) != 1 || len(w.told) != 0 {
		t.Errorf("%v come again, told %v", again, w.told)
	}
	w.until["a e"] = noon.Add(-time.Second)
	if again := handle(t, w, message{failed("e"), "a"}); again != nil || len(w.told) != 1 {
		t.Errorf("%v come again, told %v", again, w.told)
	}
}
