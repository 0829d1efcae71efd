package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/relay"
	"github.com/swell-sh/swell/shared/relaytest"
	"github.com/swell-sh/swell/shared/release"
	"github.com/swell-sh/swell/shared/run"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/watch"
	"github.com/swell-sh/swell/shared/webhook"
)

const reportsURL = "/hooks/v1/orgs/o/clusters/c/reports"

var (
	web           = release.Key{Org: "o", ClusterID: "c", Namespace: "shop", Name: "web"}
	first, second = webhook.KeyOf(bytes.Repeat([]byte{1}, 32)), webhook.KeyOf(bytes.Repeat([]byte{2}, 32))
)

// scene is an installation with one release on one cluster, whose relay has the first key.
func scene() *memory {
	m := newMemory()
	m.rotate(first, webhook.Key{})
	m.releases[web] = release.Release{Key: web}
	return m
}

func (m *memory) rotate(current, previous webhook.Key) {
	m.secrets[relay.KeysName("o", "c")] = secrets.Of(relay.FormatKeys(current, previous))
}

func report(state relay.State, seconds int) relay.Report {
	return relay.Report{
		ID: fmt.Sprint(state, seconds), Namespace: "shop", Release: "web", State: state, SeenAt: time.Date(2026, 11, 21, 11, 0, seconds, 0, time.UTC),
		Object: relay.Object{Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u", Generation: 2},
	}
}

func send(tb testing.TB, h http.Handler, url string, body []byte, at time.Time, keys ...webhook.Key) *httptest.ResponseRecorder {
	tb.Helper()
	r, err := relaytest.Request(context.Background(), url, body, at, keys...)
	if err != nil {
		tb.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func delivery(tb testing.TB, reports ...relay.Report) []byte {
	tb.Helper()
	raw, err := json.Marshal(relaytest.Delivery(reports...))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestWhatIsTaken(t *testing.T) {
	throttled := fmt.Errorf("reading: %w", &types.ProvisionedThroughputExceededException{})
	cases := map[string]struct {
		given  func(m *memory) // of the scene
		url    string
		body   []byte
		key    webhook.Key
		late   time.Duration
		status int
		code   string
	}{
		"a delivery":                           {status: 202},
		"the previous key while it rotates":    {given: func(m *memory) { m.rotate(second, first) }, status: 202},
		"an old key after the rotation":        {given: func(m *memory) { m.rotate(second, webhook.Key{}) }, status: 401, code: "signature-refused"},
		"the key of another cluster":           {url: "/hooks/v1/orgs/o/clusters/d/reports", status: 401, code: "signature-refused"},
		"another org":                          {url: "/hooks/v1/orgs/p/clusters/c/reports", status: 401, code: "signature-refused"},
		"a path that leads out of the secrets": {url: "/hooks/v1/orgs/o%2Frelay%2Fc/clusters/c/reports", status: 401, code: "signature-refused"},
		"a forged key":                         {key: second, status: 401, code: "signature-refused"},
		"a clock five minutes ahead":           {late: -5 * time.Minute, status: 202},
		"a clock more than that ahead":         {late: -301 * time.Second, status: 401, code: "signature-refused"},
		"replayed after five minutes":          {late: 301 * time.Second, status: 401, code: "signature-refused"},
		"over 1 MiB":                           {body: bytes.Repeat([]byte(" "), 1<<20+1), status: 413, code: "body-too-large"},
		"not a delivery":                       {body: []byte(`{"reports": 7}`), status: 400, code: "delivery-invalid"},
		"not JSON":                             {body: []byte(`complete!`), status: 400, code: "delivery-invalid"},
		"the table is throttled":               {given: func(m *memory) { m.fails = throttled }, status: 429, code: "too-many-deliveries"},
		"the table is down":                    {given: func(m *memory) { m.fails = errors.New("down") }, status: 500, code: "internal"},
		"others always write it first":         {given: func(m *memory) { m.conflicts = 100 }, status: 429, code: "too-many-deliveries"},
		"others wrote it first a few times":    {given: func(m *memory) { m.conflicts = 3 }, status: 202},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := scene()
			if c.given != nil {
				c.given(m)
			}
			if c.url == "" {
				c.url = reportsURL
			}
			if c.body == nil {
				c.body = delivery(t, report(relay.Complete, 1))
			}
			if c.key.IsZero() {
				c.key = first
			}
			w := send(t, m.handler(), c.url, c.body, m.now.Add(-c.late), c.key)
			var p openapi.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Code != c.code {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if date := w.Header().Get("Date"); (date == m.now.Format(http.TimeFormat)) != (c.status == 401) {
				t.Errorf("Date: %s", date)
			}
			if (w.Header().Get("Retry-After") != "") != (c.status == 429) {
				t.Errorf("Retry-After: %s", w.Header().Get("Retry-After"))
			}
			if c.status != 202 && len(m.watches) > 0 {
				t.Errorf("it was recorded: %v", m.watches)
			}
		})
	}
}

func TestAKeyIsRotatedWithoutAGap(t *testing.T) {
	m := scene()
	h, body := m.handler(), delivery(t)
	wants := func(when string, key webhook.Key, status int) {
		t.Helper()
		if w := send(t, h, reportsURL, body, m.now, key); w.Code != status {
			t.Errorf("%s: %d", when, w.Code)
		}
	}
	wants("before", first, 202)
	m.rotate(second, first)
	m.now = m.now.Add(10 * time.Second)
	wants("the new one, at once", second, 202)
	wants("the old one still", first, 202)
	m.rotate(second, webhook.Key{})
	wants("the old one is believed no longer than a minute", first, 202)
	m.now = m.now.Add(time.Minute)
	wants("after it", first, 401)
	wants("the new one", second, 202)
}

// 10,000 forgeries, each with a body or a signature that differs in one byte: none is taken, and they cost few reads of the keys.
func TestNoForgeryIsTaken(t *testing.T) {
	m, random := scene(), rand.New(rand.NewPCG(3, 4))
	h, body := m.handler(), delivery(t, report(relay.Complete, 1), report(relay.Changed, 2))
	for i := range 10_000 {
		r, err := relaytest.Request(t.Context(), reportsURL, body, m.now, first)
		if err != nil {
			t.Fatal(err)
		}
		forged := bytes.Clone(body)
		if i%2 == 0 {
			forged[random.IntN(len(forged))] ^= byte(1 + random.IntN(255))
		} else {
			raw, _ := base64.StdEncoding.DecodeString(r.Header.Get(webhook.HeaderSignature)[3:])
			raw[random.IntN(len(raw))] ^= byte(1 + random.IntN(255))
			r.Header.Set(webhook.HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(raw))
		}
		r.Body = io.NopCloser(bytes.NewReader(forged))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Fatalf("forgery %d: %d", i, w.Code)
		}
		m.now = m.now.Add(10 * time.Millisecond) // 100 s in all
	}
	if len(m.watches)+len(m.heard)+len(m.sent)+len(m.woken) > 0 {
		t.Error("a forgery had an effect")
	}
	if m.reads > 21 {
		t.Errorf("10,000 forgeries in 100 s cost %d reads of the keys", m.reads)
	}
}

func TestForgeriesOfManyClustersCostFewReads(t *testing.T) {
	m := scene()
	h, refused := m.handler(), 0
	for i := range 5_000 {
		switch w := send(t, h, fmt.Sprintf("/hooks/v1/orgs/o/clusters/made-up-%d/reports", i), delivery(t), m.now, second); w.Code {
		case http.StatusTooManyRequests:
			refused++
		case http.StatusUnauthorized:
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if m.reads > maxUnknown || refused == 0 || m.looked > refused {
		t.Errorf("%d reads of keys and %d of clusters, %d refused", m.reads, m.looked, refused)
	}
	if w := send(t, h, reportsURL, delivery(t), m.now, first); w.Code != http.StatusAccepted {
		t.Errorf("meanwhile a relay is refused: %d", w.Code)
	}
	if w := send(t, h, reportsURL, delivery(t), m.now, second); w.Code != http.StatusUnauthorized {
		t.Errorf("meanwhile a forgery of it is answered %d", w.Code)
	}
}

// 5,000 random JSON bodies with a valid signature: nothing breaks and nothing is started.
func TestRandomBodiesStartNothing(t *testing.T) {
	m, random := scene(), rand.New(rand.NewPCG(5, 6))
	h := m.handler()
	for i := range 5_000 {
		body, err := json.Marshal(randomJSON(random, 4))
		if err != nil {
			t.Fatal(err)
		}
		if w := send(t, h, reportsURL, body, m.now, first); w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest {
			t.Fatalf("body %d: %d for %s", i, w.Code, body)
		}
	}
	if len(m.watches)+len(m.sent)+len(m.woken) > 0 {
		t.Error("a random body had an effect")
	}
}

// randomJSON is likely to have the names that a delivery has.
func randomJSON(r *rand.Rand, depth int) any {
	names := []string{"relay", "sentAt", "cluster", "reports", "id", "namespace", "release", "object", "state", "cause", "seenAt", "kind", "generation", "nodes", "x"}
	switch n := r.IntN(9); {
	case n < 4 && depth > 0:
		object := map[string]any{}
		for range r.IntN(6) {
			object[names[r.IntN(len(names))]] = randomJSON(r, depth-1)
		}
		return object
	case n < 6 && depth > 0:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomJSON(r, depth-1)
		}
		return list
	case n == 6:
		return r.Int64() - r.Int64()
	case n == 7:
		return []any{"complete", "failed", "deleted", "2026-11-21T12:00:00Z", "", strings.Repeat("x", 300), "shop", "web\x00"}[r.IntN(8)]
	}
	return []any{nil, true, 1e300, -1}[r.IntN(4)]
}

func FuzzReceiveReports(f *testing.F) {
	f.Add([]byte(`{"reports":[{"id":"a","namespace":"shop","release":"web","object":{"kind":"Job","name":"x","uid":"u","generation":1},"state":"failed","seenAt":"2026-11-21T11:00:00Z"}]}`))
	f.Add(delivery(f, report(relay.Complete, 1), report(relay.Deleted, 2)))
	f.Add([]byte(`null`))
	m := scene()
	h := m.handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		if w := send(t, h, reportsURL, body, m.now, first); w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

func TestWhatADeliveryDoes(t *testing.T) {
	elsewhere := report(relay.Complete, 1)
	elsewhere.Release = "of-another-cluster"
	var manyChanged []relay.Report
	for i := range 20 {
		r := report(relay.Changed, 1)
		r.Release = fmt.Sprint("web-", i)
		manyChanged = append(manyChanged, r)
	}
	waits := watch.Wait{Key: web, Run: "r", Objects: []relay.Object{report("", 0).Object}, Until: newMemory().now.Add(time.Hour), Token: "token"}
	type effect struct {
		accepted, looks, woken, beaten int
		learned                        run.LearnedBy
	}
	cases := map[string]struct {
		reports []relay.Report
		given   func(m *memory)
		want    effect
	}{
		"nothing to say":                          {want: effect{beaten: 1}},
		"its last word":                           {reports: []relay.Report{report(relay.Complete, 1)}, want: effect{accepted: 1, woken: 1, learned: "relay"}},
		"its last word, of a failure":             {reports: []relay.Report{report(relay.Failed, 1)}, want: effect{accepted: 1, woken: 1, learned: "relay"}},
		"not its last word":                       {reports: []relay.Report{report(relay.Progressing, 1)}, want: effect{accepted: 1, beaten: 1}},
		"of a release that is not on its cluster": {reports: []relay.Report{elsewhere}, want: effect{beaten: 1}},
		"a state that is none":                    {reports: []relay.Report{report("exploded", 1)}, want: effect{beaten: 1}},
		"changed by hand":                         {reports: []relay.Report{report(relay.Changed, 1), report(relay.Changed, 2)}, want: effect{accepted: 2, looks: 1, beaten: 1}},
		"many changed by hand at once": {reports: manyChanged, want: effect{accepted: 20, looks: 1, beaten: 1}, given: func(m *memory) {
			for _, r := range manyChanged {
				key := release.Key{Org: "o", ClusterID: "c", Namespace: r.Namespace, Name: r.Release}
				m.releases[key] = release.Release{Key: key}
			}
		}},
		"changed while a run has it": {reports: []relay.Report{report(relay.Changed, 1)}, want: effect{accepted: 1, beaten: 1}, given: func(m *memory) {
			m.releases[web] = release.Release{Key: web, ActiveRun: "r"}
		}},
		"deleted by hand while it is waited for": {reports: []relay.Report{report(relay.Deleted, 1)}, want: effect{accepted: 1, looks: 1, woken: 1, learned: "relay"}},
		"the deadline has come":                  {want: effect{woken: 1}, given: func(m *memory) { w := waits; w.Until = m.now.Add(-time.Second); m.waits[web] = w }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := scene()
			m.waits[web] = waits
			if c.given != nil {
				c.given(m)
			}
			h := m.handler()
			for again := range 3 { // what comes again changes nothing
				w := send(t, h, reportsURL, delivery(t, c.reports...), m.now, first)
				var accepted openapi.DeliveryAccepted
				if err := json.Unmarshal(w.Body.Bytes(), &accepted); err != nil || w.Code != 202 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				if got := (effect{accepted.Accepted, len(m.sent), len(m.woken), len(m.beaten), m.learned}); got != c.want {
					t.Fatalf("time %d: got %+v, want %+v", again, got, c.want)
				}
				m.beaten = m.beaten[:max(0, len(m.beaten)-1)]
			}
		})
	}
}

func TestARelayIsRecordedOnceAMinute(t *testing.T) {
	m := scene()
	h := m.handler()
	say := func(change func(*relay.Delivery)) {
		t.Helper()
		d := relaytest.Delivery()
		change(&d)
		raw, _ := json.Marshal(d)
		if w := send(t, h, reportsURL, raw, m.now, first); w.Code != 202 {
			t.Fatal(w.Code)
		}
	}
	same := func(*relay.Delivery) {}
	for range 59 {
		say(same)
		say(func(d *relay.Delivery) { d.Cluster = nil })
		m.now = m.now.Add(time.Second)
	}
	if len(m.heard) != 1 {
		t.Errorf("118 deliveries in 59 s are %d writes", len(m.heard))
	}
	m.now = m.now.Add(2 * time.Second)
	say(same)
	say(func(d *relay.Delivery) { d.Cluster.ReadyNodes = 2 })
	say(func(d *relay.Delivery) { d.Cluster.ReadyNodes = 2; d.Cluster.Version = strings.Repeat("v", 1000) })
	if len(m.heard) != 4 || len(m.heard[3].Cluster.Version) != 64 {
		t.Errorf("%d writes", len(m.heard))
	}
}
