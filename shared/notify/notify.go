// Package notify sends messages to receivers, each kind in its own way.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/receiver"
)

// Delivery is what a receiver is to be told.
type Delivery struct {
	Receiver   receiver.Receiver
	Credential receiver.Credential
	Event      event.Event
	Message    receiver.Message
	At         time.Time
}

// Sender tells receivers of one kind. An error says why it was not taken, without the receiver's URL: it is shown to whoever may read receivers.
type Sender interface {
	Send(ctx context.Context, d Delivery) error
}

// Senders are who tells receivers, by their kind.
type Senders map[receiver.Kind]Sender

// Send tells a receiver.
func (s Senders) Send(ctx context.Context, d Delivery) error {
	sender, ok := s[d.Receiver.Kind]
	if !ok {
		return fmt.Errorf("nobody tells receivers of kind %s here", d.Receiver.Kind)
	}
	return sender.Send(ctx, d)
}

// laterError is that a receiver asks not to be told again before some time is over.
type laterError struct {
	After time.Duration
	cause error
}

func (e *laterError) Error() string { return e.cause.Error() }
func (e *laterError) Unwrap() error { return e.cause }

// After is how long the receiver asks to be left alone; 0: it does not.
func After(err error) time.Duration {
	var later *laterError
	if errors.As(err, &later) {
		return later.After
	}
	return 0
}

const (
	timeout   = 10 * time.Second
	maxAnswer = 1 << 10 // of which the first words are shown
	maxLater  = time.Hour
)

// post sends JSON. Its errors have the answer's status and first words, and never the URL.
func post(ctx context.Context, client *http.Client, to string, body any, sign func(http.Header, []byte) error) error {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false) // each sender escapes what its receiver takes for markup
	if err := encoder.Encode(body); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(raw.Bytes()))
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Swell")
	if sign != nil {
		if err := sign(request.Header, raw.Bytes()); err != nil {
			return err
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // what can be read of it
	if response.StatusCode < 300 {
		return nil
	}
	err = fmt.Errorf("it answered %s: %s", response.Status, bytes.TrimSpace(answer))
	if after := retryAfter(response.Header); after > 0 {
		return &laterError{After: after, cause: err}
	}
	return err
}

// withoutURL takes the URL out of an error of the client's: that of Slack or Teams is a password.
func withoutURL(err error) error {
	var wrapped *url.Error
	if !errors.As(err, &wrapped) {
		return err
	}
	if wrapped.Timeout() {
		return errors.New("it did not answer within 10 seconds")
	}
	return fmt.Errorf("it cannot be reached: %w", wrapped.Err)
}

// retryAfter reads seconds or a date, as RFC 9110 has it.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, maxLater)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(time.Until(at), maxLater))
	}
	return 0
}
