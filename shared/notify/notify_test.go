package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"github.com/swell-sh/swell/shared/event"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/notify"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/webhook"
)

var now = time.Now().UTC().Truncate(time.Second)

func delivery(kind receiver.Kind, url string) notify.Delivery {
	return notify.Delivery{
		Receiver: receiver.Receiver{Org: "acme", Name: "ops", Kind: kind}, Credential: receiver.Credential{URL: url}, At: now,
		Event: event.Event{ID: "e1", Type: event.RunFailed, Org: "acme", Time: now, SchemaVersion: 1},
		Message: receiver.Message{Mood: receiver.Bad, Title: "Deploy of <web> failed", Lines: []string{"eu-1: <!channel> [x](http://evil) & *more*", "eu-2: OOMKilled"},
			Facts: []receiver.Fact{{Name: "Started by", Value: "ann"}}, Command: "swell run get r1"},
	}
}

func senders() notify.Senders {
	return notify.Open(aws.Config{}, netguard.Policy{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "arn")
}

// listening is a receiver on loopback.
func listening(t *testing.T, answer http.HandlerFunc) (url string, got chan []byte) {
	t.Helper()
	got = make(chan []byte, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s of %s", r.Method, r.Header.Get("Content-Type"))
		}
		if _, err := webhook.Verify(r.Header, raw, now, key); err == nil {
			raw = append([]byte("signed "), raw...)
		}
		got <- raw
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hunter2", got
}

var key = webhook.KeyOf([]byte(strings.Repeat("k", 32)))

func TestSlack(t *testing.T) {
	url, got := listening(t, nil)
	if err := senders().Send(t.Context(), delivery(receiver.Slack, url)); err != nil {
		t.Fatal(err)
	}
	raw := string(<-got)
	var m struct {
		Text   string
		Blocks []struct {
			Type string
			Text struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil || len(m.Blocks) != 3 || m.Text != "Deploy of &lt;web&gt; failed" || m.Blocks[0].Text.Type != "mrkdwn" ||
		m.Blocks[1].Text.Text != "• eu-1: &lt;!channel&gt; [x](http://evil) &amp; *more*\n• eu-2: OOMKilled" || !strings.Contains(raw, "`swell run get r1`") {
		t.Errorf("%v: %s", err, raw)
	}
	long := delivery(receiver.Slack, url)
	long.Message.Lines = []string{strings.Repeat("ő", 5000)}
	if err := senders().Send(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if raw = string(<-got); strings.Count(raw, "ő") > 3000 {
		t.Error("a block is longer than Slack takes")
	}
	own := delivery(receiver.Slack, url)
	own.Message.Text = "<@U1> look"
	if err := senders().Send(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if raw = string(<-got); !strings.Contains(raw, `"text":"<@U1> look"`) || strings.Contains(raw, "OOMKilled") {
		t.Errorf("its own text is not what is sent: %s", raw)
	}
}

func TestTeams(t *testing.T) {
	url, got := listening(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	if err := senders().Send(t.Context(), delivery(receiver.Teams, url)); err != nil {
		t.Fatal(err)
	}
	raw := string(<-got)
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct{ Type, Text, Color string }
			}
		}
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil || m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		t.Fatalf("%v: %s", err, raw)
	}
	card := m.Attachments[0].Content
	if card.Type != "AdaptiveCard" || len(card.Body) != 5 || card.Body[0].Color != "attention" || !strings.Contains(card.Body[1].Text, `\[x\](http://evil)`) {
		t.Errorf("%+v", card)
	}
}

func TestWebhookIsSigned(t *testing.T) {
	url, got := listening(t, nil)
	d := delivery(receiver.Webhook, url)
	d.Credential.Key = key.Text()
	if err := senders().Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	raw, signed := strings.CutPrefix(string(<-got), "signed ")
	var e event.Event
	if err := json.Unmarshal([]byte(raw), &e); err != nil || !signed || e.ID != "e1" || e.Type != event.RunFailed {
		t.Errorf("signed %t, %v: %s", signed, err, raw)
	}
	d.Credential.Key = "hunter2"
	if err := senders().Send(t.Context(), d); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a key that is none: %v", err)
	}
}

// Whatever goes wrong, the URL is in no error: it is shown to all who may read receivers.
func TestErrorsSayWhyAndNotWhere(t *testing.T) {
	answers := map[string]struct {
		answer http.HandlerFunc
		want   string
		after  time.Duration
	}{
		"refused":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no_service", http.StatusNotFound) }, "it answered 404 Not Found: no_service", 0},
		"too often": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "90"); w.WriteHeader(429) }, "429", 90 * time.Second},
		"for long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "999999")
			w.WriteHeader(503)
		}, "503", time.Hour},
		"much": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = w.Write(make([]byte, 1<<20)) }, "500", 0},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/hunter2", http.StatusTemporaryRedirect)
		}, "cannot be reached", 0},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be reached", 0},
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			url, _ := listening(t, c.answer)
			err := senders().Send(t.Context(), delivery(receiver.Slack, url))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 2000 || notify.After(err) != c.after {
				t.Errorf("got %v, after %s", err, notify.After(err))
			}
		})
	}
	for name, url := range map[string]string{"private": "https://10.0.0.1/hunter2", "link-local": "http://169.254.169.254/hunter2", "none": "hunter2://x", "broken": "http://[::1/hunter2"} {
		if err := senders().Send(t.Context(), delivery(receiver.Slack, url)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := senders().Send(t.Context(), delivery("pager", "")); err == nil {
		t.Error("a kind that nobody knows was told")
	}
}

type topic struct {
	got *sns.PublishInput
	err error
}

func (p *topic) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	p.got = in
	return &sns.PublishOutput{}, p.err
}

func TestEmail(t *testing.T) {
	p := &topic{}
	d := delivery(receiver.Email, "")
	d.Message.Title = "Ő " + strings.Repeat("x", 200)
	if err := (notify.Email{Topic: p, ARN: "arn"}).Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if *p.got.TopicArn != "arn" || len(*p.got.Subject) != 100 || !strings.HasPrefix(*p.got.Subject, "? x") || *p.got.MessageAttributes["receiver"].StringValue != "ops" ||
		!strings.Contains(*p.got.Message, "eu-2: OOMKilled\n") || !strings.Contains(*p.got.Message, "swell run get r1") {
		t.Errorf("%s: %s", *p.got.Subject, *p.got.Message)
	}
	p.err = &smithy.GenericAPIError{Code: "AuthorizationError", Message: "no"}
	if err := (notify.Email{Topic: p}).Send(t.Context(), d); err == nil || !strings.Contains(err.Error(), "AuthorizationError: no") {
		t.Error(err)
	}
	p.err = errors.New("no net")
	if err := (notify.Email{Topic: p}).Send(t.Context(), d); err == nil {
		t.Error("it was not sent, and nobody says so")
	}
}
