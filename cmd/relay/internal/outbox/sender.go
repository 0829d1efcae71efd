package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/webhook"
)

// The times of sending.
const (
	gather       = 300 * time.Millisecond // what comes together goes together
	requestTime  = 15 * time.Second
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	stranger     = 60               // refusals in a row, about three quarters of an hour, after which nobody seems to know this relay's key
	maxAsked     = 10 * time.Minute // of Retry-After
	beatBusy     = time.Minute
)

// Sender delivers an Outbox to Swell, one request at a time.
type Sender struct {
	Outbox    *Outbox
	URL       string
	Key       func() (webhook.Key, error) // read again for each delivery: it may be rotated
	Transport http.RoundTripper
	Cluster   func(context.Context) (relay.Cluster, error) // for the heartbeat
	Follows   func() (objects int, busy bool)
	Version   string
	Log       *slog.Logger

	ahead  time.Duration // of the server's clock before ours
	beatAt time.Time     // the last heartbeat
	limit  int           // of reports in a delivery: fewer once the server found one too large
}

// CheckURL refuses to send over a network in the clear.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("reading Swell's address: %q is not a URL", text)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	if u.Scheme != "https" {
		return fmt.Errorf("reading Swell's address: %s is not https", text)
	}
	return nil
}

// Run delivers until ctx is done. It begins with a heartbeat.
func (s *Sender) Run(ctx context.Context) {
	client := &http.Client{
		Transport: s.Transport, Timeout: requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.limit = maxReports
	failures, refused := 0, 0 // in a row
	for ctx.Err() == nil {
		if failures == 0 && !s.await(ctx) {
			return
		}
		err := s.deliver(ctx, client)
		if err == nil {
			failures, refused = 0, 0
			continue
		}
		failures, refused = failures+1, refused+1
		var said answer
		if !errors.As(err, &said) || said.status != http.StatusUnauthorized {
			refused = 0
		}
		pause := backoff(failures, refused, said.after)
		if ctx.Err() == nil {
			s.Log.WarnContext(ctx, "delivering reports; trying again", "in", pause.String(), "held", s.Outbox.Len(), "error", err.Error())
		}
		sleep(ctx, pause)
	}
}

// await returns when there is something to send.
func (s *Sender) await(ctx context.Context) bool {
	for {
		if s.due() {
			return true
		}
		if s.Outbox.Len() > 0 {
			return sleep(ctx, gather)
		}
		tick := time.NewTimer(min(beatBusy, time.Until(s.beatAt.Add(relay.Heartbeat)))) // whether it is busy is asked again meanwhile
		select {
		case <-ctx.Done():
			tick.Stop()
			return false
		case <-s.Outbox.wake:
		case <-tick.C:
		}
		tick.Stop()
	}
}

// due says whether it is time for a heartbeat.
func (s *Sender) due() bool {
	every := relay.Heartbeat
	if _, busy := s.Follows(); busy {
		every = beatBusy
	}
	return time.Since(s.beatAt) >= every
}

func (s *Sender) deliver(ctx context.Context, client *http.Client) error {
	batch, dropped := s.Outbox.next(s.limit)
	delivery := relay.Delivery{Relay: s.Version, SentAt: s.now(), Reports: make([]relay.Report, len(batch)), Dropped: dropped}
	for i, e := range batch {
		delivery.Reports[i] = e.report
	}
	delivery.Watching, _ = s.Follows()
	beat := s.due()
	if beat {
		cluster, err := s.Cluster(ctx)
		if err != nil {
			s.Log.WarnContext(ctx, "describing the cluster", "error", err.Error()) // reports are worth more than it
		} else {
			delivery.Cluster = &cluster
		}
	}
	answer, err := s.post(ctx, client, delivery)
	if err != nil {
		return err
	}
	switch {
	case answer.status/100 == 2:
		s.Outbox.done(batch, dropped)
		s.limit = maxReports
		if beat {
			s.beatAt = time.Now()
		}
		return nil
	case answer.status == http.StatusUnauthorized:
		if !answer.date.IsZero() {
			s.ahead = time.Until(answer.date).Round(time.Second)
		}
	case answer.status == http.StatusRequestEntityTooLarge, answer.status == http.StatusBadRequest, answer.status == http.StatusUnprocessableEntity:
		if len(batch) == 1 { // no other one may wait for it
			s.Log.ErrorContext(ctx, "dropping a report that Swell does not take", "status", answer.status, "report", batch[0].report.ID)
			s.Outbox.done(batch, 0)
		}
		s.limit = max(1, len(batch)/2)
	}
	return answer
}

// answer is what the server said that was not yes.
type answer struct {
	status int
	date   time.Time
	after  time.Duration
}

func (a answer) Error() string {
	return fmt.Sprintf("Swell answers %d %s", a.status, http.StatusText(a.status))
}

func (s *Sender) post(ctx context.Context, client *http.Client, delivery relay.Delivery) (answer, error) {
	key, err := s.Key()
	if err != nil {
		return answer{}, err
	}
	delivery.Key = key.Name()
	body, err := json.Marshal(delivery)
	if err != nil {
		return answer{}, fmt.Errorf("writing a delivery: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("making a delivery: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "swell-relay/"+s.Version)
	webhook.Sign(req.Header, webhook.Message{ID: id.New(), At: s.now()}, body, key)
	res, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("sending a delivery: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	date, _ := http.ParseTime(res.Header.Get("Date"))
	return answer{status: res.StatusCode, date: date, after: retryAfter(res.Header.Get("Retry-After"), date)}, nil
}

// now is the server's time, as far as it is known.
func (s *Sender) now() time.Time { return time.Now().Add(s.ahead).UTC() }

// retryAfter reads seconds or a date, which is compared with the server's own clock.
func retryAfter(text string, date time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, maxAsked)
	}
	if at, err := http.ParseTime(text); err == nil && !date.IsZero() {
		return min(max(at.Sub(date), 0), maxAsked)
	}
	return 0
}

// backoff doubles from one second to one minute, or to a heartbeat where the key was refused for long, by half of it at random, and is no shorter than
// the server asked for. A clock that was put right is tried with at once.
func backoff(failures, refused int, asked time.Duration) time.Duration {
	most := maxBackoff
	switch {
	case refused == 1:
		return 0
	case refused > stranger:
		most = relay.Heartbeat
	}
	full := min(firstBackoff<<min(failures-1, 10), most)
	return max(full/2+rand.N(full/2), asked) //nolint:gosec // jitter needs no secret
}

// sleep waits, and says whether it could.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
