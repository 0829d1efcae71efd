package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/swell-sh/swell/cmd/relay/internal/outbox"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/webhook"
)

var key = webhook.KeyOf(bytes.Repeat([]byte("k"), 32))

// swell is the server: it verifies as the real one does, and counts facts by their ids.
type swell struct {
	ahead    time.Duration                             // of its clock before the relay's
	fault    func(request int) (*http.Response, error) // nil response: none
	requests int
	beats    int
	facts    []string // ids of reports, in the order of their first coming
	repeats  int      // facts that came again
	largest  int      // reports in one delivery
	lost     int
	refused  int
}

func (s *swell) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if s.fault != nil {
		if res, err := s.fault(s.requests); res != nil || err != nil {
			return res, err
		}
	}
	now := time.Now().Add(s.ahead)
	if _, err := webhook.Verify(r.Header, body, now, key); err != nil {
		s.refused++
		return response(http.StatusUnauthorized, "Date", now.UTC().Format(http.TimeFormat)), nil
	}
	var d relay.Delivery
	if err := json.Unmarshal(body, &d); err != nil || len(body) > 256<<10 {
		return response(http.StatusBadRequest), nil
	}
	if d.Cluster != nil {
		s.beats++
	}
	s.lost += d.Dropped
	s.largest = max(s.largest, len(d.Reports))
	for _, report := range d.Reports {
		s.take(report.ID)
	}
	return response(http.StatusAccepted), nil
}

func (s *swell) take(id string) {
	for _, known := range s.facts {
		if known == id {
			s.repeats++
			return
		}
	}
	s.facts = append(s.facts, id)
}

func response(status int, header ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil))}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// run has a relay deliver to the server for so long, in simulated time, while work is done.
func run(t *testing.T, s *swell, busy bool, work func(*outbox.Outbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		box := outbox.New()
		sender := outbox.Sender{
			Outbox: box, URL: "https://swell.example.com/hooks", Key: func() (webhook.Key, error) { return key, nil }, Transport: s,
			Cluster: func(context.Context) (relay.Cluster, error) { return relay.Cluster{Version: "v1.36.3"}, nil },
			Follows: func() (int, bool) { return 1, busy }, Version: "test", Log: slog.New(slog.DiscardHandler),
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { sender.Run(ctx); close(done) }()
		work(box)
		synctest.Wait()
		stop()
		<-done
	})
}

func report(uid string, state relay.State) relay.Report {
	return relay.Report{ID: uid + " " + string(state), Object: relay.Object{UID: uid, Kind: "Deployment", Generation: 1}, State: state, SeenAt: time.Now()}
}

func TestHeartbeat(t *testing.T) {
	for name, c := range map[string]struct {
		busy bool
		want int
	}{"nothing happens": {false, 7}, "something progresses": {true, 31}} {
		t.Run(name, func(t *testing.T) {
			s := &swell{}
			run(t, s, c.busy, func(*outbox.Outbox) { time.Sleep(30*time.Minute + time.Second) })
			if s.beats != c.want || s.requests != c.want {
				t.Errorf("%d heartbeats in %d requests in half an hour, want %d", s.beats, s.requests, c.want)
			}
		})
	}
}

// What a workload goes through within an instant is one report of it; thousands of changes are few requests.
func TestFlood(t *testing.T) {
	s := &swell{}
	run(t, s, false, func(box *outbox.Outbox) {
		for i := range 10_000 {
			box.Add(report(fmt.Sprint("w", i%500), relay.Progressing))
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(10 * time.Second)
	})
	t.Logf("10,000 changes of 500 workloads: %d requests, %d reports at most in one", s.requests, s.largest)
	if len(s.facts) != 500 || s.requests > 40 || s.largest > 100 {
		t.Errorf("%d facts in %d requests, up to %d in one", len(s.facts), s.requests, s.largest)
	}
}

// The network is away for ten minutes: nothing terminal is lost, though far more came than is held.
func TestOutage(t *testing.T) {
	began := time.Time{}
	s := &swell{}
	s.fault = func(int) (*http.Response, error) {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < 10*time.Minute {
			return nil, errors.New("no route to host")
		}
		return nil, nil
	}
	run(t, s, false, func(box *outbox.Outbox) {
		for i := range 3000 {
			box.Add(report(fmt.Sprint("moves", i), relay.Progressing))
			if i%10 == 0 {
				box.Add(report(fmt.Sprint("ended", i), relay.Failed))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Minute)
		if n := box.Len(); n != 0 {
			t.Errorf("%d reports are still held", n)
		}
	})
	failed := 0
	for _, id := range s.facts {
		if bytes.HasSuffix([]byte(id), []byte("failed")) {
			failed++
		}
	}
	t.Logf("%d requests, %d facts, %d said to be lost", s.requests, len(s.facts), s.lost)
	if failed != 300 || s.repeats != 0 || len(s.facts)+s.lost != 3300 {
		t.Errorf("%d of 300 terminal reports came, %d again; %d facts and %d lost of 3300", failed, s.repeats, len(s.facts), s.lost)
	}
	if first := s.facts[0]; !bytes.HasSuffix([]byte(first), []byte("failed")) {
		t.Errorf("%q came first after the outage", first)
	}
}

func TestFaults(t *testing.T) {
	tests := map[string]struct {
		server swell
		wait   time.Duration
		most   int // requests
	}{
		"clock is behind":  {server: swell{ahead: 7 * time.Minute}, wait: time.Minute, most: 3},
		"clock is ahead":   {server: swell{ahead: -7 * time.Minute}, wait: time.Minute, most: 3},
		"asked to wait":    {server: swell{fault: first(1, 429, "Retry-After", "30")}, wait: 25 * time.Second, most: 1},                    //nolint:bodyclose // the sender closes what it is answered
		"waits, then goes": {server: swell{fault: first(1, 429, "Retry-After", "30")}, wait: 50 * time.Second, most: 3},                    //nolint:bodyclose // the sender closes what it is answered
		"server is broken": {server: swell{fault: first(5, 500)}, wait: 2 * time.Minute, most: 8},                                          //nolint:bodyclose // the sender closes what it is answered
		"times out":        {server: swell{fault: hang(2)}, wait: 2 * time.Minute, most: 5},                                                //nolint:bodyclose // the sender closes what it is answered
		"redirects":        {server: swell{fault: first(2, 302, "Location", "https://elsewhere.example.com")}, wait: time.Minute, most: 5}, //nolint:bodyclose // the sender closes what it is answered
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			s := &c.server
			run(t, s, false, func(box *outbox.Outbox) {
				box.Add(report("w", relay.Complete))
				time.Sleep(c.wait)
			})
			want := []string{"w complete"}
			if name == "asked to wait" {
				want = nil
			}
			if diff := cmp.Diff(want, s.facts); diff != "" || s.requests > c.most || s.repeats != 0 {
				t.Errorf("%d requests, %d repeats, facts (-want +got):\n%s", s.requests, s.repeats, diff)
			}
		})
	}
}

// first answers the first n requests with the status.
func first(n, status int, header ...string) func(int) (*http.Response, error) {
	return func(request int) (*http.Response, error) {
		if request <= n {
			return response(status, header...), nil
		}
		return nil, nil
	}
}

// hang lets the first n requests end by the sender's own patience.
func hang(n int) func(int) (*http.Response, error) {
	return func(request int) (*http.Response, error) {
		if request <= n {
			time.Sleep(15 * time.Second)
			return nil, context.DeadlineExceeded
		}
		return nil, nil
	}
}

// A relay that nobody knows any more asks no more often than one that has nothing to say, and is heard soon when it is known again.
func TestForgotten(t *testing.T) {
	began := time.Time{}
	s := &swell{}
	s.fault = func(int) (*http.Response, error) {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < 24*time.Hour {
			return response(http.StatusUnauthorized), nil
		}
		return nil, nil
	}
	run(t, s, false, func(box *outbox.Outbox) {
		box.Add(report("w", relay.Complete))
		time.Sleep(24 * time.Hour)
		if s.requests > 500 {
			t.Errorf("%d requests in a day that refused them all", s.requests)
		}
		time.Sleep(5 * time.Minute)
		if len(s.facts) != 1 {
			t.Errorf("%d facts when it was known again", len(s.facts))
		}
	})
}

// A clock that is wrong costs no time after a long outage either: the refusal is the first.
func TestClockIsWrongAfterAnOutage(t *testing.T) {
	began := time.Time{}
	s := &swell{ahead: 7 * time.Minute}
	s.fault = func(int) (*http.Response, error) {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < 3*time.Hour {
			return nil, errors.New("no route to host")
		}
		return nil, nil
	}
	run(t, s, false, func(box *outbox.Outbox) {
		box.Add(report("w", relay.Complete))
		time.Sleep(3*time.Hour + 70*time.Second)
		if len(s.facts) != 1 {
			t.Errorf("%d facts a minute after the outage", len(s.facts))
		}
	})
}

// A report that the server does not take holds up no other.
func TestPoison(t *testing.T) {
	s := &swell{}
	poisoned := func(body []byte) bool { return bytes.Contains(body, []byte("poison complete")) }
	s.fault = nil
	guard := refuser{s, poisoned}
	synctest.Test(t, func(t *testing.T) {
		box := outbox.New()
		for i := range 20 {
			box.Add(report(fmt.Sprint("w", i), relay.Complete))
		}
		box.Add(report("poison", relay.Complete))
		sender := outbox.Sender{
			Outbox: box, URL: "https://swell.example.com/hooks", Key: func() (webhook.Key, error) { return key, nil }, Transport: guard,
			Cluster: func(context.Context) (relay.Cluster, error) { return relay.Cluster{}, errors.New("no version") },
			Follows: func() (int, bool) { return 1, false }, Version: "test", Log: slog.New(slog.DiscardHandler),
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { sender.Run(ctx); close(done) }()
		time.Sleep(10 * time.Minute)
		stop()
		<-done
		if len(s.facts) != 20 || box.Len() != 0 {
			t.Errorf("%d of 20 came, %d are held", len(s.facts), box.Len())
		}
	})
}

type refuser struct {
	next    *swell
	refuses func([]byte) bool
}

func (r refuser) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if r.refuses(body) {
		return response(http.StatusUnprocessableEntity), nil
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return r.next.RoundTrip(req)
}

func TestCheckURL(t *testing.T) {
	for url, good := range map[string]bool{
		"https://swell.example.com/hooks": true, "http://127.0.0.1:4566/x": true, "http://localhost/x": true,
		"http://swell.example.com": false, "swell.example.com": false, "": false, "ftp://x": false,
	} {
		if err := outbox.CheckURL(url); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
}
